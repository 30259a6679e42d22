import assert from "node:assert/strict";
import { SocketAddress } from "../../mod/packet/address.ts";
import { mergeEcn } from "../../mod/packet/ecn.ts";
import { IpHeader } from "../../mod/packet/ip_header.ts";
import { Kernels } from "../../mod/packet/kernels/kernels.ts";
import { PacketQueue } from "../../mod/packet/packet_queue.ts";
import { Path } from "../../mod/packet/path.ts";
import { Slab } from "../../mod/packet/slab.ts";
import { Splitter } from "../../mod/packet/splitter.ts";
import { TransmitQueue } from "../../mod/packet/transmit_queue.ts";
import { allocatedByMillion } from "../heap.ts";
import { bytesOf, packet, type PacketFields } from "./build.ts";

const SEGMENTS = 40, STRIDE = 1312;

/** One super-packet of each kind, and the whole way of its segments through the room. */
function pipeline() {
  const slab = new Slab(2 << 20);
  const kernels = new Kernels(slab);
  const splitter = new Splitter(slab, kernels);
  const header = new IpHeader();
  const outgoing = new TransmitQueue(slab, { areaLength: 4 * 65536, capacity: 256 });
  const incoming = new PacketQueue(slab, kernels, { capacity: 256 });
  const path = Path.of(SocketAddress.parse("192.0.2.1:52625")!);
  const kinds: [number, PacketFields][] = [
    [1, { tos: 2 }],
    [4, { dst: "2001:db8::9" }],
    [5, { protocol: "udp", src: "255.0.0.1" }],
    [5, { protocol: "udp", dst: "fd00::2" }],
  ];
  const reads = kinds.map(([gsoType, fields]) => {
    const bytes = packet({ ...fields, payload: bytesOf(SEGMENTS * 1200) });
    const offset = slab.reserve(65600) + 6;
    slab.bytes.set([1, gsoType], offset);
    slab.view.setUint16(offset + 4, 1200, true);
    slab.bytes.set(bytes, offset + 10);
    return { offset, length: 10 + bytes.length };
  });
  return (): number => {
    let packets = 0;
    for (const { offset, length } of reads) {
      const count = splitter.plan(offset, length);
      const out = outgoing.reserve(count * STRIDE);
      splitter.write(out + 16, STRIDE);
      outgoing.push(out, count * STRIDE, STRIDE, path, splitter.header.ecn);
      for (let i = 0; i < count; i++) {
        const at = out + 16 + i * STRIDE;
        const size = i === count - 1 ? splitter.lastLength : splitter.segmentLength;
        mergeEcn(slab, at, 3);
        if (header.parse(slab.bytes, at, size) === 0) packets++;
        incoming.push(at, size);
      }
    }
    incoming.finish();
    incoming.clear();
    outgoing.clear();
    return packets;
  };
}

Deno.test("a million packets through split, parse, coalesce and both queues allocate nothing", () => {
  const round = pipeline();
  for (let warm = 0; warm < 200_000;) warm += round();
  const allocated = allocatedByMillion(round, 100);
  assert.ok(allocated < 1_000_000, `${allocated} bytes for a million packets`);
});
