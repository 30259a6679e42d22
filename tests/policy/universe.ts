/**
 * The small world of the state-machine test: few clients, networks, names, addresses and ports, so that everything
 * overlaps with everything, and most of what is drawn concerns one client.
 */
import fc from "fast-check";
import { ALICE, BOB, GATEWAY, type Party } from "./harness.ts";
import type { ModelFilter, ModelResource, Probe, ProbeKind } from "./reference_model.ts";
import type { SessionKind } from "./reference_nat.ts";

/** Alice after a move, and a client that took one of Bob's addresses. */
const ALICE_MOVED: Party = { ...ALICE, ipv4: "100.64.0.8" };
const MALLORY: Party = {
  id: "3a110000-0000-4000-8000-000000000000",
  ipv4: BOB.ipv4,
  ipv6: "fd00:2021:1111::9",
};

const NETWORKS = ["0.0.0.0/0", "10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24", "10.1.2.3/32", "192.0.2.0/24"]
  .concat(
    ["100.64.0.0/10", "::/0", "2001:db8::/32", "2001:db8:1::/48", "2001:db8:1::3/128", "fd00::/8"],
  );
const PATTERNS = ["**.example.com", "**.example.com", "**.example.com", "app.example.com", "*.example.org"];
const DOMAINS = [
  "app.example.com",
  "app.example.com",
  "app.example.com",
  "a.b.example.com",
  "web.example.org",
];
const PROXIES = ["100.96.0.1", "100.96.0.2", "fd00:2021:1111:8000::1", "fd00:2021:1111:8000::2"];
/** What names resolve to: mostly what CIDR and Internet resources reach as well, and a way into the tunnel. */
const REAL = ["10.1.2.3", "192.0.2.1", "2001:db8:1::3", "2606:4700::1", BOB.ipv4, "fd00:2021:1111:8000::1"];
const OTHERS = ["10.1.2.4", "10.1.3.1", "10.2.0.1", "8.8.8.8", "127.0.0.1", "224.0.0.1", GATEWAY.ipv4].concat(
  ["2001:db8:1::4", "2001:db8:2::1", "::1", "fd00:1::1", "ff02::1", GATEWAY.ipv6],
  [ALICE, BOB, ALICE_MOVED, MALLORY].flatMap((party) => [party.ipv4, party.ipv6]),
);

function oneOf<T>(...choices: [weight: number, arbitrary: fc.Arbitrary<T>][]): fc.Arbitrary<T> {
  return fc.oneof(...choices.map(([weight, arbitrary]) => ({ weight, arbitrary })));
}

export const party = oneOf(
  [20, fc.constant(ALICE)],
  [6, fc.constant(BOB)],
  [1, fc.constantFrom(ALICE_MOVED, MALLORY)],
);
const port = fc.constantFrom(80, 81, 65535);
const filter: fc.Arbitrary<ModelFilter> = fc.oneof(
  fc.record({ protocol: fc.constantFrom("tcp" as const, "udp" as const), from: port, to: port }),
  fc.constant({ protocol: "icmp" as const, from: 0, to: 0 }),
);
const filters = oneOf([2, fc.constant<ModelFilter[]>([])], [
  3,
  fc.array(filter, { minLength: 1, maxLength: 3 }),
]);

const uuid = (n: number) => `${n}0000000-0000-4000-8000-000000000000`;
export const id = fc.integer({ min: 1, max: 5 }).map(uuid);
/** Ids mostly keep their kind. */
export const dnsId = oneOf([9, fc.constantFrom(uuid(1), uuid(2))], [1, id]);
const cidrId = oneOf([9, fc.constantFrom(uuid(3), uuid(4))], [1, id]);
const internetId = oneOf([9, fc.constant(uuid(5))], [1, id]);
export const resource: fc.Arbitrary<ModelResource> = oneOf<ModelResource>(
  [
    6,
    fc.record({
      kind: fc.constant("cidr" as const),
      id: cidrId,
      network: fc.constantFrom(...NETWORKS),
      filters,
    }),
  ],
  [
    6,
    fc.record({
      kind: fc.constant("dns" as const),
      id: dnsId,
      pattern: fc.constantFrom(...PATTERNS),
      filters,
    }),
  ],
  [1, fc.record({ kind: fc.constant("internet" as const), id: internetId })],
);
/** Seconds from now; undefined: never. */
export const lifetime = oneOf<number | undefined>(
  [3, fc.constant(undefined)],
  [2, fc.constantFrom(60, 600)],
  [1, fc.constantFrom(-10, 0, 1, 2, 5)],
);

export const domain = fc.constantFrom(...DOMAINS);
export const proxyIps = oneOf([3, fc.constant(PROXIES)], [1, fc.subarray(PROXIES)]);
/** Undefined: no outcome in time. */
export const resolved = oneOf<string[] | undefined>([12, fc.subarray(REAL)], [1, fc.constant(undefined)]);
export const duration = oneOf(
  [6, fc.constantFrom(1, 500, 999, 1000, 1001, 5000, 5001)],
  [3, fc.constantFrom(59_000, 60_000, 120_000)],
  [1, fc.constant(7_440_000)],
);

const host = oneOf(
  [5, fc.constantFrom(...PROXIES)],
  [4, fc.constantFrom(...REAL)],
  [2, fc.constantFrom(...OTHERS)],
);
const kind = oneOf<ProbeKind>(
  [6, fc.constantFrom("tcp", "udp", "echo")],
  [2, fc.constantFrom("echo-reply", "icmp", "icmp-error", "other", "fragment")],
);
const flag = fc.constantFrom<Probe["flag"][]>("syn", "ack", "ack", "fin", "rst");
const quote = fc.record({
  kind: fc.constantFrom<SessionKind[]>("tcp", "udp", "echo"),
  srcPort: port,
  v4: host,
  v6: host,
});

const probe: fc.Arbitrary<Probe> = fc.record({
  kind,
  src: host,
  dst: host,
  srcPort: port,
  dstPort: port,
  flag,
  quote,
})
  .map(({ quote: { v4, v6, ...quote }, ...probe }) => ({
    ...probe,
    quote: {
      ...quote,
      dst: familyOf(probe.src) === familyOf(v4) ? v4 : familyOf(probe.src) === familyOf(v6) ? v6 : probe.src,
    },
  }));

/** Mostly what a client would really send: from itself, in one family. */
const outbound = fc.record({ party, probe, honest: oneOf([15, fc.constant(true)], [1, fc.constant(false)]) })
  .map(({ party, probe, honest }) => {
    const src = honest || familyOf(probe.src) !== familyOf(probe.dst)
      ? addressLike(party, probe.dst)
      : probe.src;
    return { party, probe: { ...probe, src } };
  });

/** Mostly to a client. */
const inbound = fc.record({ party, probe, stray: oneOf([30, fc.constant(false)], [1, fc.constant(true)]) })
  .map(({ party, probe, stray }) => {
    const dst = stray && familyOf(probe.src) === familyOf(probe.dst)
      ? probe.dst
      : addressLike(party, probe.src);
    return { ...probe, dst };
  });

/** What happens on the outside to a packet that was let through before: an answer, or an error about it. */
export interface FollowUp {
  /** 0 = the last one. */
  readonly age: number;
  readonly type: "reply" | "error";
  readonly flag: Probe["flag"];
  /** Who reports an error, one per family. */
  readonly router: readonly [v4: string, v6: string];
}

const followUp: fc.Arbitrary<FollowUp> = fc.record({
  age: fc.integer({ min: 0, max: 9 }),
  type: fc.constantFrom("reply" as const, "reply" as const, "error" as const),
  flag,
  router: fc.constantFrom<FollowUp["router"][]>(
    ["10.1.3.1", "2001:db8:2::1"],
    [GATEWAY.ipv4, GATEWAY.ipv6],
    [BOB.ipv4, BOB.ipv6],
  ),
});

export interface Probes {
  readonly out: readonly { readonly party: Party; readonly probe: Probe }[];
  readonly followUps: readonly FollowUp[];
  readonly in: readonly Probe[];
}

export const probes: fc.Arbitrary<Probes> = fc.record({
  out: fc.array(outbound, { minLength: 1, maxLength: 5, size: "max" }),
  followUps: fc.array(followUp, { maxLength: 4, size: "max" }),
  in: fc.array(inbound, { maxLength: 2, size: "max" }),
});

export function familyOf(address: string): 4 | 6 {
  return address.includes(":") ? 6 : 4;
}

function addressLike(party: Party, host: string): string {
  return familyOf(host) === 6 ? party.ipv6 : party.ipv4;
}
