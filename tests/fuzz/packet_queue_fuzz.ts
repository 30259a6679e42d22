import assert from "node:assert/strict";
import {
  IpHeader,
  Kernels,
  KIND_TCP,
  KIND_UDP,
  PacketQueue,
  PARSE_OK,
  Splitter,
  VNET_HEADER_SIZE,
} from "../../mod/packet/mod.ts";
import corpus from "./corpus/packet_queue.hex" with { type: "text" };
import type { Dice } from "./dice.ts";
import { Feed } from "./feed.ts";
import { assertPoisoned, GuardedSlab, poison } from "./guarded_slab.ts";
import { TCP4, UDP6 } from "./ip_header_fuzz.ts";
import { ipPacket, repair } from "./ip_packets.ts";
import { type FuzzTarget, join } from "./target.ts";

const CAPACITY = 64;
/** Between packets: room for the virtio header and bytes that must stay as they are. */
const GAP = 48;
const FIX_LENGTHS = 1, FIX_CHECKSUMS = 2;

/** One batch: per packet a byte of flags, its length and its bytes. */
function pack(flags: number, packet: Uint8Array): Uint8Array {
  return join([flags, packet.length >> 8, packet.length & 255], packet);
}

/** Trains of one or two flows, with what breaks trains in between. */
function generate(dice: Dice): Uint8Array {
  const packets: Uint8Array[] = [];
  const header = new IpHeader();
  for (let flows = 1 + dice.below(3); flows > 0; flows--) {
    const head = dice.once(3) ? ipPacket(dice, 0) : (dice.once(2) ? TCP4 : UDP6).slice();
    repair(head, true);
    packets.push(head);
    if (header.parse(head, 0, head.length) !== PARSE_OK) continue;
    let last = head;
    for (let count = dice.below(12); count > 0; count--) {
      const next = last.slice(0, dice.once(6) ? Math.max(60, last.length - dice.below(9)) : last.length);
      const view = new DataView(next.buffer);
      if (header.version === 4 && !dice.once(8)) view.setUint16(4, view.getUint16(4) + dice.below(2));
      if (header.kind === KIND_TCP && header.headerLength + 20 <= next.length) {
        const data = last.length - header.headerLength - ((last[header.headerLength + 12]! >> 4) << 2);
        const at = header.headerLength + 4;
        view.setUint32(at, view.getUint32(at) + data);
        if (dice.once(10)) next[header.headerLength + 13]! ^= dice.pick([1, 2, 4, 8, 8, 8, 0x40, 0x80]);
      }
      repair(next, true);
      if (dice.once(12)) next[dice.below(next.length)]! ^= 1 << dice.below(8);
      packets.splice(dice.once(4) ? dice.below(packets.length + 1) : packets.length, 0, next);
      last = next;
    }
  }
  return join(...packets.map((packet) => pack(0, packet)));
}

/** Same flow, same key: these must not overtake one another. */
function flowOf(packet: Uint8Array, index: number): string {
  const header = new IpHeader();
  const isFlow = header.parse(packet, 0, packet.length) === PARSE_OK &&
    (header.kind === KIND_TCP || header.kind === KIND_UDP);
  return isFlow ? `${header.kind} ${header.addresses} ${header.srcPort} ${header.dstPort}` : `#${index}`;
}

/** The identification of a packet that may not be fragmented means nothing (RFC 6864). */
function comparable(packet: Uint8Array): string {
  const copy = packet.slice();
  if (copy[0]! >> 4 === 4 && copy[6]! & 0x40) copy.fill(0, 4, 6), copy.fill(0, 10, 12);
  return copy.toHex();
}

export const target: FuzzTarget = {
  title:
    "what was merged comes apart into the same packets in the same order per flow, and nothing else is written",
  seeds: [join(pack(0, TCP4), pack(0, TCP4)), join(pack(3, UDP6), pack(3, UDP6), pack(3, UDP6))],
  corpus,
  maxLength: 16384,
  generate,
  smoke: 1000,
  start: () => {
    const guarded = new GuardedSlab(1 << 20);
    const { slab } = guarded;
    const { bytes, view } = slab;
    const kernels = new Kernels(slab);
    const input = guarded.reserve(65536 + 2 * CAPACITY * GAP), gathered = guarded.reserve(70000);
    const output = guarded.reserve(1 << 18);
    const queue = new PacketQueue(slab, kernels, { capacity: CAPACITY });
    const splitter = new Splitter(slab, kernels);
    const header = new IpHeader();

    /** The packets that the kernel would make of write `i`. */
    const takeApart = (i: number): Uint8Array[] => {
      let length = 0;
      for (let v = 0; v < queue.iovCount(i); v++) {
        const at = queue.iovOffset(i) + 16 * v;
        const from = view.getUint32(at, true), size = view.getUint32(at + 8, true);
        bytes.copyWithin(gathered + length, from, from + size);
        length += size;
      }
      assert.equal(length, queue.lengthOf(i));
      const count = splitter.plan(gathered, length);
      assert.ok(count > 0, `write ${i} is refused: ${count}`);
      const stride = (splitter.segmentLength + 15) & ~15;
      splitter.write(output, stride);
      return Array.from({ length: count }, (_, s) => {
        const at = output + s * stride;
        return bytes.slice(at, at + (s === count - 1 ? splitter.lastLength : splitter.segmentLength));
      });
    };

    return (data) => {
      const feed = new Feed(data);
      const dissolvesAt = data.at(-1) ?? 0;
      poison(bytes, input, input + 65536);
      queue.clear();
      const packets: Uint8Array[] = [], places: number[] = [];
      for (let at = input + GAP; packets.length < CAPACITY && !feed.isEmpty;) {
        const flags = feed.u8(), packet = feed.take(Math.min(feed.u16(), 4000));
        if (flags & FIX_LENGTHS) repair(packet, (flags & FIX_CHECKSUMS) !== 0);
        if (header.parse(packet, 0, packet.length) !== PARSE_OK) continue;
        if (at + packet.length + GAP > input + 65536) break;
        bytes.set(packet, at);
        assert.ok(queue.push(at, packet.length));
        packets.push(packet);
        places.push(at);
        at += packet.length + GAP + (flags >> 6);
      }
      let writes = queue.finish();
      guarded.check();
      places.forEach((at, i) => {
        const end = at + packets[i]!.length, next = (places[i + 1] ?? end + GAP) - VNET_HEADER_SIZE;
        assertPoisoned(bytes, end, next, `behind packet ${i}`);
      });
      const merged = packets.length - writes;
      if (dissolvesAt % 4 === 0) {
        writes = queue.dissolve(dissolvesAt % (writes + 1));
        assert.ok(writes <= packets.length);
      }
      const apart: Uint8Array[] = [];
      for (let i = 0; i < writes; i++) apart.push(...takeApart(i));
      const byFlow = (list: readonly Uint8Array[]) => {
        const flows = new Map<string, string[]>();
        list.forEach((packet) => {
          // Packets that belong to no flow are alone with their bytes.
          const flow = flowOf(packet, 0) === "#0" ? comparable(packet) : flowOf(packet, 0);
          flows.set(flow, [...(flows.get(flow) ?? []), comparable(packet)]);
        });
        return [...flows].sort(([a], [b]) => a < b ? -1 : 1);
      };
      assert.deepEqual(byFlow(apart), byFlow(packets));
      return `${Math.min(packets.length, 8)} ${Math.min(merged, 12)} ${dissolvesAt % 4 === 0}`;
    };
  },
};
