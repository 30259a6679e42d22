import assert from "node:assert/strict";
import {
  checksumOf,
  IpHeader,
  Kernels,
  KIND_TCP,
  KIND_UDP,
  PARSE_OK,
  pseudoHeaderSum,
  SPLIT_REASONS,
  Splitter,
  VNET_HEADER_SIZE,
} from "../../mod/packet/mod.ts";
import corpus from "./corpus/splitter.hex" with { type: "text" };
import type { Dice } from "./dice.ts";
import { assertPoisoned, GuardedSlab, poison } from "./guarded_slab.ts";
import { TCP4, UDP6 } from "./ip_header_fuzz.ts";
import { ipPacket, repair } from "./ip_packets.ts";
import { fromHex, type FuzzTarget, join } from "./target.ts";

const OUTPUT = 1 << 20;
const NEEDS_CSUM = 1;

/** A packet behind a virtio header that mostly tells the truth about it. */
function generate(dice: Dice): Uint8Array {
  const packet = ipPacket(dice, 0);
  const header = new IpHeader();
  const isValid = header.parse(packet, 0, packet.length) === PARSE_OK;
  const isTcp = isValid && header.kind === KIND_TCP;
  const honest = isTcp ? (header.version === 4 ? 1 : 4) : isValid && header.kind === KIND_UDP ? 5 : 0;
  const type = dice.once(10) ? dice.below(256) : dice.once(4) ? 0 : honest;
  const size = dice.pick([0, 1, 2, 7, 8, 100, 536, 1220, 65535]);
  const start = dice.once(10) ? dice.below(65536) : header.l4Offset;
  const offset = dice.once(10) ? dice.below(65536) : isTcp ? 16 : 6;
  const vnet = new Uint8Array(VNET_HEADER_SIZE);
  const view = new DataView(vnet.buffer);
  vnet[0] = dice.pick([0, NEEDS_CSUM, NEEDS_CSUM, 2, 255]);
  vnet[1] = type;
  [0, size, start, offset].forEach((value, i) => view.setUint16(2 + 2 * i, value, true));
  return join(vnet, packet);
}

export const target: FuzzTarget = {
  title:
    "whatever a virtio header claims, segments stay in their slots, and are the packet's payload in order",
  seeds: [
    join(fromHex("0101 0000 0400 1400 1000"), TCP4),
    join(fromHex("0105 0000 0300 2800 0600"), UDP6),
    join(fromHex("0100 0000 0000 1400 1000"), TCP4),
    join(fromHex("0000 0000 0000 0000 0000"), TCP4),
  ],
  corpus,
  maxLength: 8192,
  generate,
  start: () => {
    const guarded = new GuardedSlab(2 << 20);
    const { slab } = guarded;
    const splitter = new Splitter(slab, new Kernels(slab));
    const input = guarded.reserve(8192), output = guarded.reserve(OUTPUT);
    const { bytes } = slab;
    const part = new IpHeader();
    return (data) => {
      if (data.length > 0 && data.at(-1)! & 1) repair(data.subarray(VNET_HEADER_SIZE), false);
      bytes.set(data, input);
      const count = splitter.plan(input, data.length);
      if (count <= 0) {
        assert.ok(SPLIT_REASONS[-count] !== undefined, `unknown reason ${count}`);
        return count;
      }
      const { segmentLength, lastLength, header } = splitter;
      const { kind, version } = header;
      assert.ok(lastLength <= segmentLength && segmentLength <= data.length - VNET_HEADER_SIZE);
      assert.ok(count <= 256 && lastLength > 0);
      const gap = 4 * (data[2]! & 7);
      const stride = ((segmentLength + 15) & ~15) + gap;
      const room = count * stride;
      assert.ok(room <= OUTPUT);
      poison(bytes, output, output + room);
      splitter.write(output, stride);
      guarded.check();
      const isSplit = data[1]! !== 0 && (data[1]! & 0x7f) !== 0;
      const headers = isSplit
        ? header.headerLength + (kind === KIND_TCP ? (bytes[header.l4Offset + 12]! >> 4) << 2 : 8)
        : 0;
      let payload = VNET_HEADER_SIZE + headers;
      for (let i = 0; i < count; i++) {
        const at = output + i * stride, length = i === count - 1 ? lastLength : segmentLength;
        const padded = (length + 15) & ~15;
        for (let p = at + length; p < at + padded; p++) assert.equal(bytes[p], 0, "padding");
        assertPoisoned(bytes, at + padded, at + stride, "behind a segment");
        if (!isSplit) continue;
        assert.equal(part.parse(bytes, at, length), PARSE_OK);
        assert.deepEqual(part.addresses, header.addresses);
        assert.ok(part.srcPort === header.srcPort && part.dstPort === header.dstPort && part.kind === kind);
        const pseudo = pseudoHeaderSum(bytes, at, header.protocol, part.l4Length);
        assert.equal(checksumOf(bytes, part.l4Offset, part.l4Length, pseudo), 0, "L4 checksum");
        if (version === 4) assert.equal(checksumOf(bytes, at, (bytes[at]! & 15) << 2), 0, "header checksum");
        for (let p = headers; p < length; p++) assert.equal(bytes[at + p], data[payload++]);
      }
      if (isSplit) assert.equal(payload, data.length, "some payload was left out");
      return `${kind} ${version} ${isSplit} ${Math.min(count, 4)} ${data[0]! & 1}`;
    };
  },
};
