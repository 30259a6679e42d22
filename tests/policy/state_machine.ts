/**
 * Random histories of the portal, of time and of packets, on the policy and on the reference model at once: after
 * every step each probe must have the outcome that the model says (spec policy §10.3).
 */
import { strict as assert } from "node:assert";
import fc from "fast-check";
import type { Filter, Resource } from "../../mod/policy/types.ts";
import { ALICE, Bed, BOB, EPOCH, GATEWAY, type Party } from "./harness.ts";
import { echo, icmp, ip, other, tcp, udp, unreachable } from "./packets.ts";
import {
  type ModelFilter,
  type ModelResource,
  type Probe,
  type ProbeKind,
  ReferenceModel,
} from "./reference_model.ts";

const CAROL: Party = {
  id: "ca401000-0000-4000-8000-000000000000",
  ipv4: "100.64.0.7",
  ipv6: "fd00:2021:1111::7",
};
/** Alice after a move, and a client that took one of Bob's addresses. */
const ALICE_MOVED: Party = { ...ALICE, ipv4: "100.64.0.8" };
const MALLORY: Party = {
  id: "3a110000-0000-4000-8000-000000000000",
  ipv4: BOB.ipv4,
  ipv6: "fd00:2021:1111::9",
};
const PARTIES = [ALICE, BOB, CAROL, ALICE_MOVED, MALLORY];

const NETWORKS = [
  ...[
    "0.0.0.0/0",
    "10.0.0.0/8",
    "10.1.0.0/16",
    "10.1.2.0/24",
    "10.1.2.3/32",
    "192.0.2.0/24",
    "100.64.0.0/10",
  ],
  ...["::/0", "2001:db8::/32", "2001:db8:1::/48", "2001:db8:1::3/128", "fd00:2021:1111::/64", "fd00::/8"],
];
const HOSTS = [
  ...[
    "10.1.2.3",
    "10.1.2.4",
    "10.1.3.1",
    "10.2.0.1",
    "192.0.2.1",
    "8.8.8.8",
    "127.0.0.1",
    "100.96.0.1",
    "224.0.0.1",
  ],
  ...["2001:db8:1::3", "2001:db8:1::4", "2001:db8:2::1", "2606:4700::1", "::1", "fd00:1::1", "ff02::1"],
  ...["fd00:2021:1111:8000::1", GATEWAY.ipv4, GATEWAY.ipv6],
  ...PARTIES.flatMap((party) => [party.ipv4, party.ipv6]),
];
const PORTS = [22, 80, 443];

const party = fc.constantFrom(...PARTIES);
const port = fc.constantFrom(...PORTS);
const filter: fc.Arbitrary<ModelFilter> = fc.oneof(
  fc.record({ protocol: fc.constantFrom("tcp" as const, "udp" as const), from: port, to: port }),
  fc.constant({ protocol: "icmp" as const, from: 0, to: 0 }),
);
const filters = fc.array(filter, { maxLength: 3 });
const id = fc.integer({ min: 1, max: 5 }).map((n) => `${n}0000000-0000-4000-8000-000000000000`);
const resource: fc.Arbitrary<ModelResource> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("cidr" as const),
      id,
      network: fc.constantFrom(...NETWORKS),
      filters,
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("internet" as const), id }) },
);
/** Seconds from now; undefined: never. */
const lifetime = fc.option(fc.constantFrom(-10, 0, 1, 2, 5, 60), { nil: undefined });

const KINDS: ProbeKind[] = ["tcp", "udp", "echo", "echo-reply", "icmp", "icmp-error", "other", "fragment"];
const host = fc.constantFrom(...HOSTS);
const probe: fc.Arbitrary<Probe> = fc.record({
  kind: fc.constantFrom<ProbeKind>("tcp", "udp", ...KINDS),
  src: host,
  dst: host,
  srcPort: port,
  dstPort: port,
});
/** Mostly what a client would really send: from itself, in one family. */
const outboundProbe = fc.record({ party, probe, honest: fc.integer({ min: 0, max: 9 }).map((n) => n > 0) })
  .map(({ party, probe, honest }) => ({
    party,
    probe: honest ? { ...probe, src: addressLike(party, probe.dst) } : probe,
  }));
const inboundProbe = fc.record({ party, probe })
  .map(({ party, probe }) => ({ ...probe, dst: addressLike(party, probe.src) }));
const probes = fc.record({
  out: fc.array(outboundProbe, { minLength: 1, maxLength: 4 }),
  in: fc.array(inboundProbe, { minLength: 1, maxLength: 4 }),
});

function addressLike(party: Party, host: string): string {
  return host.includes(":") ? party.ipv6 : party.ipv4;
}

function real(resource: ModelResource): Resource {
  const filters = resource.kind === "internet"
    ? []
    : resource.filters.map((f): Filter =>
      f.protocol === "icmp"
        ? { protocol: "icmp" }
        : { protocol: f.protocol, portStart: f.from, portEnd: f.to }
    );
  switch (resource.kind) {
    case "internet":
      return { type: "internet", id: resource.id };
    case "dns":
      return { type: "dns", id: resource.id, address: resource.pattern, filters };
    case "cidr": {
      const [base, prefix] = resource.network.split("/");
      return { type: "cidr", id: resource.id, address: { ip: ip(base!), prefix: Number(prefix) }, filters };
    }
  }
}

/** The probe on the wire. Families that don't match are made to. */
function bytesOf({ kind, src, dst, srcPort, dstPort }: Probe): Uint8Array {
  switch (kind) {
    case "tcp":
      return tcp(src, srcPort, dst, dstPort);
    case "udp":
      return udp(src, srcPort, dst, dstPort);
    case "echo":
      return echo(src, dst, srcPort);
    case "echo-reply":
      return echo(src, dst, srcPort, true);
    case "icmp":
      return icmp(src, dst, src.includes(":") ? 135 : 13, 0, [0, 1, 0, 1], new Uint8Array(16));
    case "icmp-error":
      return unreachable(src, dst, udp(dst, dstPort, src, srcPort));
    case "other":
      return other(src, dst);
    case "fragment": {
      const bytes = udp(src, srcPort, dst, dstPort);
      if (!src.includes(":")) return bytes.fill(0x20, 6, 7);
      bytes.fill(44, 6, 7);
      return bytes;
    }
  }
}

type Probes = { out: { party: Party; probe: Probe }[]; in: Probe[] };
type Act = (model: ReferenceModel, bed: Bed) => void;

interface Real {
  readonly bed: Bed;
}

/** One step of a history: something happens to both sides, then the probes are compared. */
class Step implements fc.Command<ReferenceModel, Real> {
  /** @param late the owner of the policy does not call `handleTimeout` before the next packet. */
  constructor(readonly name: string, readonly probes: Probes, readonly act: Act, readonly late = false) {}

  check(): boolean {
    return true;
  }

  toString(): string {
    return this.name;
  }

  run(model: ReferenceModel, { bed }: Real): void {
    this.act(model, bed);
    if (!this.late) this.#compareState(model, bed);
    for (const { party, probe } of this.probes.out) {
      if (isPossible(probe)) compareOutbound(model, bed, party, probe);
    }
    for (const probe of this.probes.in) compareInbound(model, bed, probe);
  }

  #compareState(model: ReferenceModel, bed: Bed): void {
    bed.policy.handleTimeout(bed.now);
    const next = bed.policy.pollTimeout();
    assert.ok(next === undefined || next > bed.now, "asks to be woken in the past");
    assert.deepEqual([...bed.policy.peers()].map((p) => p.clientId).sort(), [...model.clients.keys()].sort());
  }
}

function isPossible(probe: Probe): boolean {
  return probe.src.includes(":") === probe.dst.includes(":");
}

function compareOutbound(model: ReferenceModel, bed: Bed, party: Party, probe: Probe): void {
  const packet = bytesOf(probe);
  const outcome = bed.send(party, packet);
  const got = outcome instanceof Uint8Array ? "forward" : outcome;
  assert.equal(got, model.outbound(party.id, probe), `outbound ${JSON.stringify(probe)}`);
  if (outcome instanceof Uint8Array) assert.deepEqual(outcome, packet);
}

function compareInbound(model: ReferenceModel, bed: Bed, probe: Probe): void {
  const packet = bytesOf(probe);
  const delivery = bed.receive(packet);
  assert.equal(delivery?.to, model.inbound(probe), `inbound ${JSON.stringify(probe)}`);
  if (delivery) assert.deepEqual(delivery.bytes, packet);
}

/** Monotonic deadline and Unix time (by the wall clock as it is now) of the same instant. */
function instant(bed: Bed, seconds: number | undefined): { until: number; expiresAt: number | null } {
  if (seconds === undefined) return { until: Infinity, expiresAt: null };
  const wall = EPOCH + bed.wallSkew;
  const expiresAt = Math.floor((wall + bed.now) / 1000) + seconds;
  return { until: expiresAt * 1000 - wall, expiresAt };
}

const grant = fc.tuple(party, resource, lifetime, probes).map(([party, resource, seconds, probes]) =>
  new Step(`grant ${party.ipv4} ${JSON.stringify(resource)} for ${seconds} s`, probes, (model, bed) => {
    const { until, expiresAt } = instant(bed, seconds);
    model.grant(party.id, [party.ipv4, party.ipv6], resource, until);
    bed.grant(party, real(resource), expiresAt);
  })
);

const revoke = fc.tuple(party, id, probes).map(([party, id, probes]) =>
  new Step(`revoke ${party.ipv4} ${id}`, probes, (model, bed) => {
    model.revoke(party.id, id);
    bed.policy.revoke(party.id, id);
  })
);

const updateExpiry = fc.tuple(party, id, lifetime, probes).map(([party, id, seconds, probes]) =>
  new Step(`expiry of ${party.ipv4} ${id} in ${seconds} s`, probes, (model, bed) => {
    const { until, expiresAt } = instant(bed, seconds);
    model.updateExpiry(party.id, id, until);
    bed.policy.updateExpiry(party.id, id, expiresAt, bed.now);
  })
);

const updateResource = fc.tuple(resource, probes).map(([resource, probes]) =>
  new Step(`update ${JSON.stringify(resource)}`, probes, (model, bed) => {
    model.updateFilters(resource);
    bed.policy.updateResource(real(resource));
  })
);

const listed = fc.record({
  party,
  id,
  expiry: fc.option(fc.record({ seconds: lifetime }), { nil: undefined }),
});
const list = fc.option(fc.array(listed, { maxLength: 12 }), { nil: undefined });
const reconcile = fc.tuple(list, probes).map(([list, probes]) =>
  new Step(`reconcile ${JSON.stringify(list)}`, probes, (model, bed) => {
    const entries = list?.map(({ party, id, expiry }) => ({
      clientId: party.id,
      resourceId: id,
      ...(expiry ? instant(bed, expiry.seconds) : { until: null, expiresAt: undefined }),
    }));
    model.reconcile(entries);
    bed.policy.reconcile(entries, bed.now);
  })
);

const removePeer = fc.tuple(party, probes).map(([party, probes]) =>
  new Step(`goodbye from ${party.ipv4}`, probes, (model, bed) => {
    model.remove(party.id);
    bed.policy.removePeer(party.id);
  })
);

const duration = fc.constantFrom(1, 999, 1000, 1001, 5000);
const advance = fc.tuple(duration, fc.boolean(), probes).map(([ms, late, probes]) =>
  new Step(`${ms} ms pass${late ? ", nobody looks at the clock" : ""}`, probes, (model, bed) => {
    model.advance(ms);
    if (late) bed.now += ms;
    else bed.advance(ms);
  }, late)
);

const clockJump = fc.tuple(fc.integer({ min: -1e8, max: 1e8 }), probes).map(([ms, probes]) =>
  new Step(`the wall clock jumps by ${ms} ms`, probes, (_model, bed) => {
    bed.wallSkew += ms;
  })
);

const commands = fc.commands<ReferenceModel, Real>(
  [
    grant,
    grant,
    grant,
    revoke,
    updateExpiry,
    updateResource,
    reconcile,
    removePeer,
    advance,
    advance,
    clockJump,
  ],
  { maxCommands: 50, size: "max" },
);

/** Runs `numRuns` histories; throws with the smallest failing one and its seed. */
export function checkHistories(
  parameters: fc.Parameters<[Iterable<fc.Command<ReferenceModel, Real>>]>,
): void {
  fc.assert(
    fc.property(commands, (history) => {
      fc.modelRun(() => {
        const model = new ReferenceModel();
        const bed = new Bed();
        model.now = bed.now;
        model.gateway = [GATEWAY.ipv4, GATEWAY.ipv6];
        return { model, real: { bed } };
      }, history);
    }),
    parameters,
  );
}
