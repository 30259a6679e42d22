/**
 * What the packet room costs per packet, in ns, single thread, JIT-warm. Names are stable: reports compare them.
 *
 *   deno run tests/bench/packet_bench.ts
 */
import { SocketAddress } from "../../mod/packet/address.ts";
import { IpHeader } from "../../mod/packet/ip_header.ts";
import { Kernels } from "../../mod/packet/kernels/kernels.ts";
import { PacketQueue } from "../../mod/packet/packet_queue.ts";
import { Path } from "../../mod/packet/path.ts";
import { Slab } from "../../mod/packet/slab.ts";
import { Splitter } from "../../mod/packet/splitter.ts";
import { TransmitQueue } from "../../mod/packet/transmit_queue.ts";
import { bytesOf, packet, type PacketFields } from "../packet/build.ts";

export interface Figure {
  readonly name: string;
  readonly unit: "ns";
  /** Measures once: 2 warm-ups, median of 7 samples. */
  run(): number;
}

const SEGMENT = 1280, STRIDE = 1312, SEGMENTS = 46, SLOTS = 64;
const slab = new Slab(4 << 20);
const kernels = new Kernels(slab);
const source = slab.reserve(SLOTS * STRIDE);
const target = slab.reserve(SLOTS * STRIDE);

/** Median time of one operation, when `batch(n)` does n of them. */
function median(operations: number, batch: () => void): number {
  const samples: number[] = [];
  for (let i = 0; i < 9; i++) {
    const start = performance.now();
    batch();
    samples.push((performance.now() - start) * 1e6 / operations);
  }
  return samples.slice(2).sort((a, b) => a - b)[3]!;
}

function kernel(name: string, call: (slot: number) => number): Figure {
  const run = () =>
    median(200_000, () => {
      for (let i = 0; i < 200_000; i++) call((i & (SLOTS - 1)) * STRIDE);
    });
  return { name, unit: "ns", run };
}

function parse(name: string, fields: PacketFields): Figure {
  const header = new IpHeader();
  const run = () => {
    const bytes = packet(fields);
    for (let i = 0; i < SLOTS; i++) slab.bytes.set(bytes, source + i * STRIDE);
    return median(500_000, () => {
      for (let i = 0; i < 500_000; i++) {
        header.parse(slab.bytes, source + (i & (SLOTS - 1)) * STRIDE, bytes.length);
      }
    });
  };
  return { name, unit: "ns", run };
}

const timestamps = bytesOf(12);
const payloadOf = (headers: number) => SEGMENT - headers;

/** Per segment of a read of 46: plan, copy, checksum, patch. */
function split(name: string, gsoType: number, headers: number, fields: PacketFields): Figure {
  const splitter = new Splitter(slab, kernels);
  const input = slab.reserve(65600) + 6;
  const run = () => {
    const payload = payloadOf(headers);
    const bytes = packet({ ...fields, payload: bytesOf(payload * SEGMENTS) });
    slab.bytes.set([1, gsoType], input);
    slab.view.setUint16(input + 4, payload, true);
    slab.bytes.set(bytes, input + 10);
    return median(2000 * SEGMENTS, () => {
      for (let i = 0; i < 2000; i++) {
        splitter.plan(input, 10 + bytes.length);
        splitter.write(target + 16, STRIDE);
      }
    });
  };
  return { name, unit: "ns", run };
}

/** Per packet of a run of 46: parse, verify, compare, lay out the iovec. The head is put back each time. */
function coalesce(name: string, headers: number, fields: PacketFields, isOneFlow: boolean): Figure {
  const queue = new PacketQueue(slab, kernels, { capacity: 64 });
  const run = () => {
    const payload = payloadOf(headers);
    let head = new Uint8Array();
    for (let i = 0; i < SEGMENTS; i++) {
      const sport = isOneFlow ? 1000 : 1000 + i;
      const bytes = packet({ ...fields, sport, payload: bytesOf(payload, i), seq: i * payload, id: i });
      if (i === 0) head = bytes.slice(0, headers);
      slab.bytes.set(bytes, source + i * STRIDE + 16);
    }
    return median(2000 * SEGMENTS, () => {
      for (let round = 0; round < 2000; round++) {
        slab.bytes.set(head, source + 16);
        for (let i = 0; i < SEGMENTS; i++) queue.push(source + i * STRIDE + 16, SEGMENT);
        if (queue.finish() !== (isOneFlow ? 1 : SEGMENTS)) throw new Error("Unexpected number of writes.");
        queue.clear();
      }
    });
  };
  return { name, unit: "ns", run };
}

function transmit(name: string, segments: number): Figure {
  const queue = new TransmitQueue(slab, { areaLength: 512 * 1024, capacity: 512 });
  const path = Path.of(SocketAddress.parse("192.0.2.1:52625")!, SocketAddress.parse("192.0.2.2:52625")!);
  const length = segments * STRIDE;
  const run = () =>
    median(200_000, () => {
      for (let i = 0; i < 200_000; i++) {
        let offset = queue.reserve(length);
        if (offset === 0) {
          queue.clear();
          offset = queue.reserve(length);
        }
        queue.push(offset, length, STRIDE, path, 0);
      }
    });
  return { name, unit: "ns", run };
}

const V6 = "2001:db8::9", UDP = "udp" as const;
export const figures: readonly Figure[] = [
  kernel("packet.checksum_1280", (slot) => kernels.checksum(source + slot, SEGMENT, 0)),
  kernel(
    "packet.copy_checksum_1280",
    (slot) => kernels.copyChecksum(target + slot, source + slot, SEGMENT, 0),
  ),
  parse("packet.parse_tcp4", { payload: bytesOf(1228) }),
  parse("packet.parse_udp6", { dst: V6, protocol: UDP, payload: bytesOf(1228) }),
  split("packet.split_tcp4_segment", 1, 52, { tcpOptions: timestamps }),
  split("packet.split_tcp6_segment", 4, 72, { dst: V6, tcpOptions: timestamps }),
  split("packet.split_udp4_segment", 5, 28, { protocol: UDP }),
  coalesce("packet.coalesce_tcp4_packet", 52, { tcpOptions: timestamps }, true),
  coalesce("packet.coalesce_udp6_packet", 48, { dst: V6, protocol: UDP }, true),
  coalesce("packet.queue_unmerged_packet", 52, { tcpOptions: timestamps }, false),
  transmit("packet.transmit_push_1", 1),
  transmit("packet.transmit_push_46", 46),
];

if (import.meta.main) {
  for (const figure of figures) {
    console.log(`${figure.name.padEnd(32)} ${figure.run().toFixed(1)} ${figure.unit}`);
  }
}
