import assert from "node:assert/strict";
import {
  buildProhibited,
  buildUnreachable,
  checksumOf,
  Counters,
  IpHeader,
  KIND_OTHER,
  KIND_TCP,
  KIND_UDP,
  PARSE_OK,
  PARSE_REASONS,
  parseIp,
  pseudoHeaderSum,
} from "../../mod/packet/mod.ts";
import {
  decodeControl,
  type Filter,
  type Peer,
  Policy,
  type Resource,
  VERDICT_CONTROL,
  VERDICT_DROP,
  VERDICT_FORWARD,
  VERDICT_REPLY_PROHIBITED,
  VERDICT_REPLY_UNREACHABLE,
} from "../../mod/policy/mod.ts";
import corpus from "./corpus/policy.hex" with { type: "text" };
import type { Dice } from "./dice.ts";
import { Feed } from "./feed.ts";
import { assertPoisoned, GuardedSlab, poison } from "./guarded_slab.ts";
import { ADDRESSES, ipPacket, repair } from "./ip_packets.ts";
import { type FuzzTarget, join } from "./target.ts";

const ip = (text: string) => parseIp(text)!;
const EPOCH = 1_700_000_000_000;
const OWN = { ipv4: ip("100.64.0.1"), ipv6: ip("fd00:2021:1111::1") };
const CLIENTS = [5, 6].map((n) => ({
  id: `${n}0000000-0000-4000-8000-000000000000`,
  ipv4: ip(`100.64.0.${n}`),
  ipv6: ip(`fd00:2021:1111::${n}`),
}));
const NETWORKS = [
  "10.0.0.0/8",
  "10.0.0.10/32",
  "192.0.2.0/24",
  "fd50::/64",
  "2001:db8::/32",
  "100.96.0.0/11",
  "0.0.0.0/0",
  "::/0",
];
const REAL = ["10.0.0.10", "192.0.2.9", "198.51.100.4", "fd50::10", "2001:db8::9"].map(ip);
const PROXIES = ["100.96.0.1", "100.96.0.2", "fd00:2021:1111:8000::1", "fd00:2021:1111:8000::2"].map(ip);
const NAMES = ["db.corp.example", "x.corp.example"];
const MARGIN = 64;

// What the first byte of an input says.
const FROM_CLIENT = 120, FROM_TUN = 200, REPLY = 215, QUOTE = 228;
// What the second says about a packet.
const FIX_LENGTHS = 1, FIX_CHECKSUMS = 2, HONEST_SOURCE = 4, SECOND_CLIENT = 8, KNOWN_DESTINATION = 16;

function generate(dice: Dice): Uint8Array {
  const kind = dice.below(256);
  if (kind >= FROM_TUN) return join([kind], dice.bytes(8 + dice.below(8)));
  return join([kind, dice.below(32), dice.below(256)], ipPacket(dice));
}

function resourceOf(feed: Feed): Resource {
  const number = feed.below(6);
  const id = `0000000${number}-0000-4000-8000-000000000000`;
  const filters: Filter[] = feed.pick<Filter[]>([
    [],
    [{ protocol: "tcp", portStart: 80, portEnd: 443 }],
    [{ protocol: "udp", portStart: 53, portEnd: 53 }, { protocol: "icmp" }],
    [{ protocol: "tcp", portStart: 0, portEnd: 65535 }, { protocol: "icmp" }],
  ]);
  if (number === 0) return { type: "internet", id };
  if (number < 3) {
    return { type: "dns", id, address: number === 1 ? "**.corp.example" : "db.corp.*", filters };
  }
  const [address, prefix] = feed.pick(NETWORKS).split("/");
  return { type: "cidr", id, address: { ip: ip(address!), prefix: Number(prefix) }, filters };
}

/** One gateway with two clients, and a note of what they were ever given. */
class Machine {
  readonly #guarded = new GuardedSlab(1 << 18);
  readonly #slab = this.#guarded.slab;
  readonly #counters = new Counters(new ArrayBuffer(Counters.CAPACITY * 8));
  readonly #room = this.#guarded.reserve(16384);
  readonly #header = new IpHeader();
  readonly #after = new IpHeader();
  readonly #policy = new Policy({
    slab: this.#slab,
    counters: this.#counters,
    unixNow: () => EPOCH + this.#now,
    seed: 0x1234567,
  });
  /** Grants by client and resource id, with the time at which they end. */
  readonly #grants = CLIENTS.map(() => new Map<string, { resource: Resource; deadline: number }>());
  #now = 1000;
  #lastForwarded: Uint8Array | undefined;

  constructor() {
    this.#policy.setInterface(OWN);
    const seconds = (EPOCH + this.#now) / 1000 + 3600;
    for (const which of [0, 1]) {
      for (const program of [[3, 0, 0], [1, 0], [4, 1, 3]]) {
        this.#grant(which, resourceOf(new Feed(Uint8Array.from(program))), seconds);
      }
      this.#policy.setupNat(
        this.#peer(which)!,
        `00000001-0000-4000-8000-000000000000`,
        NAMES[0]!,
        REAL,
        PROXIES,
      );
    }
  }

  run(input: Uint8Array): string {
    const feed = new Feed(input);
    const kind = feed.u8();
    if (kind < FROM_CLIENT) return this.#outbound(feed);
    if (kind < FROM_TUN) return this.#inbound(this.#packet(feed, feed.u8(), undefined));
    if (kind < REPLY) return this.#inbound(this.#reply(feed));
    if (kind < QUOTE) return this.#inbound(this.#quote(feed));
    return this.#control(feed);
  }

  #peer(which: number): Peer | undefined {
    return this.#policy.peerById(CLIENTS[which]!.id);
  }

  /** The rest of the input as a packet, made as plausible as the flags say. */
  #packet(feed: Feed, flags: number, source: typeof OWN | undefined): Uint8Array {
    const choice = feed.u8(), packet = feed.rest();
    const isV4 = packet.length > 0 && packet[0]! >> 4 === 4;
    if (packet.length < (isV4 ? 20 : 40)) return packet;
    const size = isV4 ? 4 : 16, at = isV4 ? 12 : 8;
    if (source && flags & HONEST_SOURCE) packet.set(isV4 ? source.ipv4 : source.ipv6, at);
    const known = ADDRESSES[isV4 ? 4 : 6];
    if (flags & KNOWN_DESTINATION) packet.set(known[choice % known.length]!, at + size);
    if (flags & FIX_LENGTHS) repair(packet, (flags & FIX_CHECKSUMS) !== 0);
    return packet;
  }

  #load(packet: Uint8Array): number {
    const { bytes } = this.#slab, at = this.#room + MARGIN;
    poison(bytes, this.#room, at + packet.length + MARGIN);
    bytes.set(packet, at);
    return this.#header.parse(bytes, at, packet.length);
  }

  /** The packet as it is now, after a check that nothing around it was touched. */
  #unload(length: number): Uint8Array {
    const { bytes } = this.#slab, at = this.#room + MARGIN;
    assertPoisoned(bytes, this.#room, at, "before the packet");
    assertPoisoned(bytes, at + length, at + length + MARGIN, "behind the packet");
    this.#guarded.check();
    return bytes.slice(at, at + length);
  }

  #outbound(feed: Feed): string {
    const flags = feed.u8();
    const which = flags & SECOND_CLIENT ? 1 : 0;
    const packet = this.#packet(feed, flags, CLIENTS[which]);
    const reason = this.#load(packet);
    if (reason !== PARSE_OK) return PARSE_REASONS[reason]!;
    const peer = this.#peer(which);
    if (!peer) return "no peer";
    const at = this.#room + MARGIN;
    const verdict = this.#policy.outbound(peer, this.#header, at, packet.length, this.#now);
    const after = this.#unload(packet.length);
    switch (verdict) {
      case VERDICT_FORWARD:
        this.#checkForwarded(which, packet, after);
        this.#lastForwarded = after;
        return `forward ${this.#header.kind} ${packet[0]! >> 4} ${
          after.every((byte, i) => byte === packet[i])
        }`;
      case VERDICT_REPLY_PROHIBITED:
        assert.ok(buildProhibited(after));
        break;
      case VERDICT_REPLY_UNREACHABLE:
        assert.ok(buildUnreachable(after));
        break;
      case VERDICT_CONTROL:
        decodeControl(after);
        break;
      default:
        assert.equal(verdict, VERDICT_DROP);
    }
    assert.deepEqual(after, packet, "a packet that stays was changed");
    return `${verdict} ${this.#header.kind} ${packet[0]! >> 4}`;
  }

  #checkForwarded(which: number, before: Uint8Array, after: Uint8Array): void {
    const { bytes } = this.#slab, at = this.#room + MARGIN;
    assert.equal(this.#after.parse(bytes, at, after.length), PARSE_OK, "the packet got unreadable");
    assert.deepEqual(this.#after.addresses, this.#header.addresses, "the header is not in step");
    assert.equal(this.#after.srcPort, this.#header.srcPort);
    const isV4 = after[0]! >> 4 === 4;
    const [from, size] = isV4 ? [12, 4] : [8, 16];
    const source = after.subarray(from, from + size),
      destination = after.subarray(from + size, from + 2 * size);
    const client = CLIENTS[which]!;
    assert.deepEqual(source, isV4 ? client.ipv4 : client.ipv6, "a spoofed source was forwarded");
    assert.deepEqual(before.subarray(from, from + size), source);
    assert.ok(!isTunnel(destination) || equal(destination, isV4 ? OWN.ipv4 : OWN.ipv6), "to another client");
    assert.ok(!isProxy(destination), "to a proxy address");
    assert.ok(!this.#after.isIcmpError, "an ICMP error from a client");
    if (!equal(destination, isV4 ? OWN.ipv4 : OWN.ipv6)) {
      const asked = before.subarray(from + size, from + 2 * size);
      assert.ok(this.#isGranted(which, asked, destination), `to ${destination} without a grant`);
    }
    if (isIntact(before)) assert.ok(isIntact(after), "a right checksum became wrong");
  }

  /** Whether any living grant of the client could cover the address; filters are the reference model's business. */
  #isGranted(which: number, asked: Uint8Array, destination: Uint8Array): boolean {
    const isTranslated = isProxy(asked);
    return [...this.#grants[which]!.values()].some(({ resource, deadline }) => {
      if (this.#now >= deadline) return false;
      if (resource.type === "internet") return !isTranslated;
      if (resource.type === "cidr") return covers(resource.address, asked);
      return isTranslated && REAL.some((real) => equal(real, destination));
    });
  }

  /** What the other side would answer to the last packet that went there. */
  #reply(feed: Feed): Uint8Array {
    const sent = this.#lastForwarded;
    if (!sent) return new Uint8Array(0);
    const packet = sent.slice();
    const isV4 = sent[0]! >> 4 === 4, at = isV4 ? 12 : 8, size = isV4 ? 4 : 16;
    packet.set(sent.subarray(at + size, at + 2 * size), at);
    packet.set(sent.subarray(at, at + size), at + size);
    this.#header.parse(sent, 0, sent.length);
    const { kind, headerLength: l4 } = this.#header;
    if (kind === KIND_TCP || kind === KIND_UDP) {
      packet.set(sent.subarray(l4, l4 + 2), l4 + 2);
      packet.set(sent.subarray(l4 + 2, l4 + 4), l4);
      if (kind === KIND_TCP) packet[l4 + 13] = feed.pick([0x10, 0x12, 0x11, 0x04]);
    } else if (kind !== KIND_OTHER) packet[l4] = isV4 ? 0 : 129;
    for (let changes = feed.below(3); changes > 0; changes--) packet[feed.u16() % packet.length] = feed.u8();
    repair(packet, feed.u8() < 200);
    return packet;
  }

  /** An ICMP error about the last packet that went there. */
  #quote(feed: Feed): Uint8Array {
    const sent = this.#lastForwarded;
    if (!sent) return new Uint8Array(0);
    const isV4 = sent[0]! >> 4 === 4;
    const quoted = sent.subarray(0, feed.pick([sent.length, 28, 48, 60, 20, 1232]));
    const router = feed.pick(
      isV4 ? [...REAL, OWN.ipv4].filter((one) => one.length === 4) : [REAL[3]!, OWN.ipv6],
    );
    const type = feed.pick(isV4 ? [3, 11, 5, 12] : [1, 2, 3, 4]);
    const l4 = join(
      [type, feed.below(6), 0, 0, 0, 0, feed.u8(), feed.u8()],
      quoted,
      new Uint8Array(feed.below(40)),
    );
    const client = CLIENTS[feed.below(2)]!;
    const options = isV4 && feed.below(4) === 0 ? 4 : 0;
    const header = isV4
      ? join(
        [0x45 + options / 4, 0, 0, 0, 0, 0, 0, 0, 64, 1, 0, 0],
        router,
        client.ipv4,
        new Uint8Array(options),
      )
      : join([0x60, 0, 0, 0, 0, 0, 58, 64], router, client.ipv6);
    const packet = join(header, l4);
    for (let changes = feed.below(3); changes > 0; changes--) packet[feed.u16() % packet.length] = feed.u8();
    repair(packet, true);
    return packet;
  }

  #inbound(packet: Uint8Array): string {
    const reason = this.#load(packet);
    if (reason !== PARSE_OK) return `in ${PARSE_REASONS[reason]}`;
    const { isIcmpError, kind } = this.#header;
    const at = this.#room + MARGIN;
    const peer = this.#policy.inbound(this.#header, at, packet.length, this.#now);
    const after = this.#unload(packet.length);
    if (!peer) {
      assert.deepEqual(after, packet, "a packet that stays was changed");
      return `in refused ${kind} ${isIcmpError}`;
    }
    const length = this.#policy.deliveredLength;
    assert.ok(length > 0 && length <= packet.length);
    const delivered = after.subarray(0, length);
    assert.equal(this.#after.parse(delivered, 0, length), PARSE_OK, "the packet got unreadable");
    const isV4 = delivered[0]! >> 4 === 4, from = isV4 ? 12 : 8, size = isV4 ? 4 : 16;
    const source = delivered.subarray(from, from + size),
      destination = delivered.subarray(from + size, from + 2 * size);
    assert.deepEqual(destination, isV4 ? peer.ipv4 : peer.ipv6, "delivered to somebody else");
    assert.ok(
      !isTunnel(source) || equal(source, isV4 ? OWN.ipv4 : OWN.ipv6),
      "in the name of another client",
    );
    const isTranslated = !equal(source, packet.subarray(from, from + size));
    assert.ok(!isProxy(source) || isTranslated, "in the name of a proxy address");
    if (isIntact(packet)) assert.ok(isIntact(delivered), "a right checksum became wrong");
    return `in ${kind} ${isIcmpError} ${isTranslated} ${length < packet.length}`;
  }

  #grant(which: number, resource: Resource, expiresAt: number | null): void {
    this.#policy.grant({ client: CLIENTS[which]!, resource, expiresAt }, this.#now);
    this.#drain(); // What had expired before may be told only now.
    const deadline = expiresAt === null ? Infinity : expiresAt * 1000 - EPOCH;
    this.#grants[which]!.set(resource.id, { resource, deadline });
  }

  #control(feed: Feed): string {
    const action = feed.below(8), which = feed.below(2);
    const peer = this.#peer(which);
    switch (action) {
      case 0:
      case 1: {
        const expiresAt = feed.pick([null, (EPOCH + this.#now) / 1000 + feed.below(256)]);
        this.#grant(which, resourceOf(feed), expiresAt);
        break;
      }
      case 2: {
        const { id } = resourceOf(feed);
        this.#policy.revoke(CLIENTS[which]!.id, id);
        this.#grants[which]!.delete(id);
        break;
      }
      case 3:
        if (!peer) break;
        this.#policy.handleAssignedIps(peer, {
          type: "assigned-ips",
          resource: resourceOf(feed).id,
          domain: feed.pick([...NAMES, "other.example", ""]),
          proxyIps: ["100.96.0.1", "100.96.0.2", "fd00:2021:1111:8000::1", "10.0.0.1", "?"].slice(
            feed.below(5),
          ),
        });
        break;
      case 4:
        this.#policy.handleResolution(
          feed.pick(NAMES),
          feed.below(4) === 0 ? undefined : REAL.slice(feed.below(6)),
        );
        break;
      case 5:
        if (feed.below(16) !== 0) break;
        this.#policy.removePeer(CLIENTS[which]!.id);
        this.#grants[which]!.clear();
        break;
      case 6: {
        const resource = resourceOf(feed);
        this.#policy.updateResource(resource);
        break;
      }
      default:
        this.#now += feed.pick([1, 20, 1000, 5000, 61_000, 121_000]);
        this.#policy.handleTimeout(this.#now);
        assert.ok((this.#policy.pollTimeout() ?? Infinity) > this.#now, "asks to be woken in the past");
    }
    return `control ${action}${this.#drain().slice(0, 60)}`;
  }

  #drain(): string {
    let events = "";
    for (let event = this.#policy.pollEvent(); event; event = this.#policy.pollEvent()) {
      events += ` ${event.type}`;
      if (event.type !== "peer-removed") continue;
      this.#grants[CLIENTS.findIndex(({ id }) => id === event.clientId)]!.clear();
    }
    return events;
  }
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

function covers({ ip: network, prefix }: { ip: Uint8Array; prefix: number }, address: Uint8Array): boolean {
  if (network.length !== address.length) return false;
  for (let bit = 0; bit < prefix; bit++) {
    if ((network[bit >> 3]! ^ address[bit >> 3]!) & (0x80 >> (bit & 7))) return false;
  }
  return true;
}

const isTunnel = (address: Uint8Array) =>
  covers({ ip: ip("100.64.0.0"), prefix: 11 }, address) ||
  covers({ ip: ip("fd00:2021:1111::"), prefix: 107 }, address);
const isProxy = (address: Uint8Array) =>
  covers({ ip: ip("100.96.0.0"), prefix: 11 }, address) ||
  covers({ ip: ip("fd00:2021:1111:8000::"), prefix: 107 }, address);

/**
 * Whether all checksums that the packet has are right. 0 and 0xffff count as the same: an incremental update can't
 * tell them apart, which only matters for an echo reply of nothing but zeros.
 */
function isIntact(packet: Uint8Array): boolean {
  const header = new IpHeader();
  if (header.parse(packet, 0, packet.length) !== PARSE_OK) return false;
  if (header.version === 4 && checksumOf(packet, 0, (packet[0]! & 15) << 2) !== 0) return false;
  const { kind, protocol, l4Offset, l4Length } = header;
  if (kind === KIND_OTHER) return true;
  if (kind === KIND_UDP && (packet[l4Offset + 6]! | packet[l4Offset + 7]!) === 0) return true;
  const pseudo = protocol === 1 ? 0 : pseudoHeaderSum(packet, 0, protocol, l4Length);
  const checksum = checksumOf(packet, l4Offset, l4Length, pseudo);
  return checksum === 0 || checksum === 0xffff;
}

export const target: FuzzTarget = {
  title:
    "only granted packets with an honest source pass, to the right peer, intact, without a byte outside of them",
  seeds: [
    Uint8Array.of(255, 7, 0, 3),
    Uint8Array.of(230, 0, 0, 1, 3, 0, 0),
    Uint8Array.of(205, 0, 0, 0),
    Uint8Array.of(220, 0, 0, 0, 0, 0),
  ],
  corpus,
  maxLength: 4096,
  generate,
  lifetime: 400,
  start: () => {
    const machine = new Machine();
    return (input) => machine.run(input);
  },
};
