/** What the packet room costs per packet, single thread, JIT-warm. */
import { SocketAddress } from "../../mod/packet/address.ts";
import { IpHeader } from "../../mod/packet/ip_header.ts";
import { Kernels } from "../../mod/packet/kernels/kernels.ts";
import { PacketQueue } from "../../mod/packet/packet_queue.ts";
import { Path } from "../../mod/packet/path.ts";
import { Slab } from "../../mod/packet/slab.ts";
import { Splitter } from "../../mod/packet/splitter.ts";
import { TransmitQueue } from "../../mod/packet/transmit_queue.ts";
import { bytesOf, packet, type PacketFields } from "../packet/build.ts";
import { type Figure, measure } from "./figure.ts";

const SEGMENT = 1280, STRIDE = 1312, SEGMENTS = 46;
const V6 = "2001:db8::9", UDP = "udp" as const;
const timestamps = bytesOf(12);

const slab = new Slab(2 << 20);
const kernels = new Kernels(slab);
const source = slab.reserve(SEGMENTS * STRIDE);
const target = slab.reserve(SEGMENTS * STRIDE);
const read = slab.reserve(65600) + 6;

function kernel(name: string, call: (slot: number) => number): Figure {
  return measure(name, () => {
    for (let i = 0; i < SEGMENTS; i++) call(i * STRIDE);
  }, SEGMENTS);
}

function parse(name: string, fields: PacketFields): Figure {
  const header = new IpHeader();
  const bytes = packet(fields);
  for (let i = 0; i < SEGMENTS; i++) slab.bytes.set(bytes, source + i * STRIDE);
  return measure(name, () => {
    for (let i = 0; i < SEGMENTS; i++) header.parse(slab.bytes, source + i * STRIDE, bytes.length);
  }, SEGMENTS);
}

/** Per segment of a read of 46: plan, copy, checksum, patch. */
function split(name: string, gsoType: number, headers: number, fields: PacketFields): Figure {
  const splitter = new Splitter(slab, kernels);
  const payload = SEGMENT - headers;
  const bytes = packet({ ...fields, payload: bytesOf(payload * SEGMENTS) });
  slab.bytes.set([1, gsoType], read);
  slab.view.setUint16(read + 4, payload, true);
  slab.bytes.set(bytes, read + 10);
  return measure(name, () => {
    splitter.plan(read, 10 + bytes.length);
    splitter.write(target, STRIDE);
  }, SEGMENTS);
}

/** Per packet of a train of 46: parse, verify, compare, lay out the iovec. The head is put back each time. */
function queue(name: string, headers: number, fields: PacketFields, isOneFlow = true): Figure {
  const queue = new PacketQueue(slab, kernels, { capacity: SEGMENTS });
  const payload = SEGMENT - headers;
  const train = Array.from({ length: SEGMENTS }, (_, i) => {
    const sport = isOneFlow ? 1000 : 1000 + i;
    return packet({ ...fields, sport, payload: bytesOf(payload, i), seq: i * payload, id: i });
  });
  train.forEach((bytes, i) => slab.bytes.set(bytes, source + i * STRIDE + 16));
  const head = train[0]!.slice(0, headers);
  return measure(name, () => {
    slab.bytes.set(head, source + 16);
    for (let i = 0; i < SEGMENTS; i++) queue.push(source + i * STRIDE + 16, SEGMENT);
    if (queue.finish() !== (isOneFlow ? 1 : SEGMENTS)) throw new Error("Unexpected number of writes.");
    queue.clear();
  }, SEGMENTS);
}

function transmit(name: string, segments: number): Figure {
  const queue = new TransmitQueue(slab, { areaLength: 256 * 1024, capacity: 128 });
  const path = Path.of(SocketAddress.parse("192.0.2.1:52625")!, SocketAddress.parse("192.0.2.2:52625")!);
  const length = segments * STRIDE;
  return measure(name, () => {
    let offset = queue.reserve(length);
    if (offset === 0) {
      queue.clear();
      offset = queue.reserve(length);
    }
    queue.push(offset, length, STRIDE, path, 0);
  });
}

export function figures(): Figure[] {
  return [
    kernel("packet.checksum.1280", (slot) => kernels.checksum(source + slot, SEGMENT, 0)),
    kernel(
      "packet.copy_checksum.1280",
      (slot) => kernels.copyChecksum(target + slot, source + slot, SEGMENT, 0),
    ),
    parse("packet.parse.tcp4", { payload: bytesOf(1228) }),
    parse("packet.parse.udp6", { dst: V6, protocol: UDP, payload: bytesOf(1228) }),
    split("packet.split.tcp4.segment", 1, 52, { tcpOptions: timestamps }),
    split("packet.split.tcp6.segment", 4, 72, { dst: V6, tcpOptions: timestamps }),
    split("packet.split.udp4.segment", 5, 28, { protocol: UDP }),
    queue("packet.coalesce.tcp4.packet", 52, { tcpOptions: timestamps }),
    queue("packet.coalesce.udp6.packet", 48, { dst: V6, protocol: UDP }),
    queue("packet.queue.unmerged.packet", 52, { tcpOptions: timestamps }, false),
    transmit("packet.transmit.push.1", 1),
    transmit("packet.transmit.push.46", 46),
  ];
}
