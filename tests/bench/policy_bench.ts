/**
 * What the policy costs per packet, parsing of its headers not counted: 100 clients, each with 100 resources of 10
 * filters, and 10^5 NAT sessions.
 */
import { Counters } from "../../mod/packet/counters.ts";
import { IpHeader, PARSE_OK } from "../../mod/packet/ip_header.ts";
import { Slab } from "../../mod/packet/slab.ts";
import { MAX_SESSIONS, NAT_UDP, NatTable } from "../../mod/policy/nat_table.ts";
import { type Filter, type Peer, Policy } from "../../mod/policy/mod.ts";
import { tcp, udp } from "../policy/packets.ts";
import { type Figure, measure } from "./figure.ts";

const CLIENTS = 100, RESOURCES = 100, FILTERS = 10, SESSIONS_PER_CLIENT = 1000;
/** Flows that are busy at the same time; their packets take turns, the worst case for every cache. */
const FLOWS = 1000;
const REAL = Uint8Array.of(172, 20, 0, 100);

const slab = new Slab(1 << 21);
const area = slab.reserve(1 << 20);

const uuid = (n: number) => `${n.toString(16).padStart(8, "0")}-0000-4000-8000-000000000000`;
const clientAddress = (n: number) => `100.64.${1 + (n >> 8)}.${n & 255}`;
const proxyAddress = (n: number) => `100.96.0.${1 + n}`;
const bytes4 = (text: string) => Uint8Array.from(text.split("."), Number);

function clientOf(n: number) {
  const ipv6 = Uint8Array.of(0xfd, 0, 0x20, 0x21, 0x11, 0x11, 0, 0, 0, 0, 0, 0, 0, 0, 1 + (n >> 8), n & 255);
  return { id: uuid(n), ipv4: bytes4(clientAddress(n)), ipv6 };
}

const filters: Filter[] = Array.from({ length: FILTERS }, (_, i) => ({
  protocol: i % 2 === 0 ? "tcp" : "udp",
  portStart: 1000 * i,
  portEnd: 1000 * i + 500,
}));

function makePolicy(): { policy: Policy; peers: Peer[] } {
  const policy = new Policy({ slab, counters: new Counters(), unixNow: () => 1.7e12, seed: 12345 });
  policy.setInterface(clientOf(65_535));
  const peers: Peer[] = [];
  for (let n = 0; n < CLIENTS; n++) {
    const client = clientOf(n);
    for (let r = 0; r < RESOURCES - 1; r++) {
      const address = { ip: Uint8Array.of(10, r, 0, 0), prefix: 16 };
      policy.grant({ client, resource: { type: "cidr", id: uuid(r), address, filters }, expiresAt: null }, 0);
    }
    const resource = { type: "dns", id: uuid(RESOURCES), address: "*.example.com", filters: [] } as const;
    const peer = policy.grant({ client, resource, expiresAt: null }, 0);
    policy.setupNat(
      peer,
      resource.id,
      "app.example.com",
      [REAL],
      [0, 1, 2, 3].map((i) => bytes4(proxyAddress(i))),
    );
    peers.push(peer);
  }
  return { policy, peers };
}

/** Parsed packets, each with what the policy may rewrite: a slab offset and a header. */
interface Prepared {
  readonly peer: Peer;
  readonly header: IpHeader;
  readonly offset: number;
  readonly length: number;
}

function prepare(packets: readonly { peer: Peer; bytes: Uint8Array }[]): Prepared[] {
  return packets.map(({ peer, bytes }, i) => {
    const offset = area + i * 128, header = new IpHeader();
    slab.bytes.set(bytes, offset);
    if (header.parse(slab.bytes, offset, bytes.length) !== PARSE_OK) throw new Error("Unexpected refusal.");
    return { peer, header, offset, length: bytes.length };
  });
}

/** Of CIDR traffic: packets are not changed, so that the same ones serve for ever. */
function cidr(name: string, port: number, inbound: boolean): Figure {
  const { policy, peers } = makePolicy();
  const prepared = prepare(Array.from({ length: FLOWS }, (_, i) => {
    const n = i % CLIENTS, host = `10.${i * 7 % 99}.1.${i % 250}`;
    const bytes = inbound
      ? tcp(host, port, clientAddress(n), 5000 + i)
      : tcp(clientAddress(n), 5000 + i, host, port);
    return { peer: peers[n]!, bytes };
  }));
  return measure(name, () => {
    for (const { peer, header, offset, length } of prepared) {
      if (inbound) policy.inbound(header, offset, length, 0);
      else policy.outbound(peer, header, offset, length, 0);
    }
  }, FLOWS);
}

/**
 * Of DNS resources: the packet goes out translated and is turned round into its answer, which comes in translated;
 * half of that is one packet. The turning (swapping two addresses and ports) is part of the figure.
 */
function nat(name: string): Figure {
  const { policy, peers } = makePolicy();
  const header = new IpHeader();
  for (let n = 0; n < CLIENTS; n++) {
    for (let i = 0; i < SESSIONS_PER_CLIENT; i++) {
      const bytes = udp(clientAddress(n), 2000 + i, proxyAddress(i % 4), 53, "");
      slab.bytes.set(bytes, area);
      header.parse(slab.bytes, area, bytes.length);
      policy.outbound(peers[n]!, header, area, bytes.length, 0);
    }
  }
  const prepared = prepare(Array.from({ length: FLOWS }, (_, i) => {
    const n = i % CLIENTS, session = i * 37 % SESSIONS_PER_CLIENT;
    return {
      peer: peers[n]!,
      bytes: udp(clientAddress(n), 2000 + session, proxyAddress(session % 4), 53, ""),
    };
  }));
  return measure(name, () => {
    for (const { peer, header, offset, length } of prepared) {
      policy.outbound(peer, header, offset, length, 0);
      turn(header);
      if (policy.inbound(header, offset, length, 0) !== peer) throw new Error("Unexpected refusal.");
      turn(header);
    }
  }, 2 * FLOWS);
}

function turn(header: IpHeader): void {
  const { addresses, srcPort } = header;
  for (let i = 0; i < 4; i++) {
    const source = addresses[i]!;
    addresses[i] = addresses[4 + i]!;
    addresses[4 + i] = source;
  }
  header.srcPort = header.dstPort;
  header.dstPort = srcPort;
}

function grant(): Figure {
  const { policy } = makePolicy();
  const client = clientOf(0);
  let n = 0;
  const { samples = [], value } = measure("policy.grant", () => {
    const address = { ip: Uint8Array.of(10, n++ % 99, 0, 0), prefix: 16 };
    policy.grant(
      { client, resource: { type: "cidr", id: uuid(n % 99), address, filters }, expiresAt: null },
      0,
    );
  });
  return { name: "policy.grant", value: value / 1000, unit: "µs", samples: samples.map((ns) => ns / 1000) };
}

/** The dearest moment of a table that grows to 10^5 sessions. */
function sessionBytes(): Figure {
  const table = new NatTable(1);
  const inside = new Uint32Array(4), outside = Uint32Array.of(1, 0, 0, 0);
  let most = 0;
  for (let i = 0; i < Math.min(100_000, MAX_SESSIONS); i++) {
    inside[0] = i;
    outside[0] = i >> 15;
    table.create(NAT_UDP, i & 0xffff, inside, 0, outside, 0, 0);
    if (i > 1000) most = Math.max(most, table.byteLength / (i + 1));
  }
  return { name: "policy.nat.session", value: most, unit: "B" };
}

function sweep(): Figure {
  const table = new NatTable(1);
  const inside = new Uint32Array(4), outside = Uint32Array.of(1, 0, 0, 0);
  for (let i = 0; i < 100_000; i++) {
    inside[0] = i;
    outside[0] = i >> 15;
    table.create(NAT_UDP, i & 0xffff, inside, 0, outside, 0, 0);
  }
  const { samples = [], value } = measure("policy.nat.sweep.100000", () => table.sweep(1000));
  return {
    name: "policy.nat.sweep.100000",
    value: value / 1000,
    unit: "µs",
    samples: samples.map((ns) => ns / 1000),
  };
}

export function figures(): Figure[] {
  return [
    cidr("policy.outbound.cidr", 2100, false),
    cidr("policy.outbound.refused", 999, false),
    cidr("policy.inbound.cidr", 2100, true),
    nat("policy.nat.translate"),
    grant(),
    sessionBytes(),
    sweep(),
  ];
}
