import assert from "node:assert/strict";
import fc from "fast-check";
import { Kernels } from "../../mod/packet/kernels/kernels.ts";
import { Slab } from "../../mod/packet/slab.ts";
import * as split from "../../mod/packet/splitter.ts";
import { PARSE_FRAGMENT, PARSE_SHORT } from "../../mod/packet/ip_header.ts";
import { ACK, bytesOf, CWR, FIN, hex, packet, type PacketFields, PSH, toHex } from "./build.ts";

const V6 = "2001:db8::9";
const slab = new Slab(32 * 65536);
const splitter = new split.Splitter(slab, new Kernels(slab));
const input = slab.reserve(70000) + 6; // as the I/O layer does: the IP packet is 16-aligned, the header before it
const output = slab.reserve(300 * 4096);

interface Vnet {
  flags?: number;
  gsoType?: number;
  hdrLen?: number;
  gsoSize?: number;
  csumStart?: number;
  csumOffset?: number;
}

/** Puts one TUN read into the slab and plans it. */
function plan(
  bytes: Uint8Array,
  { flags = 0, gsoType = 0, hdrLen = 0, gsoSize = 0, csumStart = 0, csumOffset = 0 }: Vnet,
) {
  slab.bytes.set([flags, gsoType], input);
  [hdrLen, gsoSize, csumStart, csumOffset].forEach((v, i) => slab.view.setUint16(input + 2 + 2 * i, v, true));
  slab.bytes.set(bytes, input + 10);
  return splitter.plan(input, 10 + bytes.length);
}

/** The planned packets as bytes; checks that each is padded with zeros to 16 and nothing is written behind. */
function written(stride = 1312): Uint8Array[] {
  slab.bytes.fill(0xee, output, output + splitter.count * stride + 64);
  splitter.write(output, stride);
  return Array.from({ length: splitter.count }, (_, i) => {
    const at = output + i * stride;
    const length = i === splitter.count - 1 ? splitter.lastLength : splitter.segmentLength;
    const padded = (length + 15) & ~15;
    assert.ok(slab.bytes.subarray(at + length, at + padded).every((b) => b === 0), "padding is zero");
    if (padded < stride) assert.equal(slab.bytes[at + padded], 0xee, "nothing behind the padding");
    return slab.bytes.slice(at, at + length);
  });
}

const assertPackets = (actual: Uint8Array[], expected: Uint8Array[]) =>
  assert.deepEqual(actual.map(toHex), expected.map(toHex));

/** What a NIC would send for `fields`: one packet for each `gsoSize` of payload. */
function segmentsOf(fields: PacketFields, gsoSize: number): Uint8Array[] {
  const { payload = new Uint8Array(), seq = 1, id = 0, flags = ACK } = fields;
  const count = Math.max(1, Math.ceil(payload.length / gsoSize));
  return Array.from({ length: count }, (_, i) =>
    packet({
      ...fields,
      payload: payload.slice(i * gsoSize, (i + 1) * gsoSize),
      seq: seq + i * gsoSize,
      id: (id + i) & 0xffff,
      flags: flags & (i < count - 1 ? ~(FIN | PSH) : ~0) & (i > 0 ? ~CWR : ~0),
    }));
}

Deno.test("a read without offloads is copied as it is, wrong checksum included", () => {
  const bytes = packet({ payload: bytesOf(101) });
  bytes[37]! ^= 0x55;
  assert.equal(plan(bytes, {}), 1);
  assertPackets(written(), [bytes]);
  assert.equal(splitter.header.dstPort, 2000);
  assert.equal(splitter.packetOffset, input + 10);
});

for (const dst of ["10.0.0.2", V6]) {
  const ip = dst === V6 ? 40 : 20;
  for (const protocol of ["tcp", "udp"] as const) {
    const csumOffset = protocol === "tcp" ? 16 : 6;
    Deno.test(`a partial ${protocol} checksum is completed, to ${dst}`, () => {
      const expected = packet({ dst, protocol, payload: bytesOf(1201) });
      const partial = expected.slice();
      partial.set([0x12, 0x34], ip + csumOffset); // even if somebody rewrote the packet in between
      assert.equal(plan(partial, { flags: 1, csumStart: ip, csumOffset }), 1);
      assertPackets(written(), [expected]);
    });
  }

  Deno.test(`a TCP super-packet becomes the packets that a NIC would send, to ${dst}`, () => {
    const fields: PacketFields = {
      dst,
      payload: bytesOf(10 * 1208 + 333),
      seq: 0xffffff00,
      id: 0xfffe,
      flags: ACK | PSH | FIN | CWR,
      tcpOptions: hex("0101080a0102030405060708"),
      tos: 2,
    };
    assert.equal(
      plan(packet(fields), { flags: 1, gsoType: dst === V6 ? 0x84 : 0x81, gsoSize: 1208, hdrLen: 9999 }),
      11,
    );
    const packets = written();
    assertPackets(packets, segmentsOf(fields, 1208));
    assert.equal(splitter.segmentLength, ip + 32 + 1208);
    assert.equal(packets[10]!.length, ip + 32 + 333);
  });

  Deno.test(`a UDP super-packet becomes datagrams of its segment size, to ${dst}`, () => {
    const fields: PacketFields = { dst, protocol: "udp", payload: bytesOf(3 * 1200 + 7), id: 77 };
    assert.equal(plan(packet(fields), { flags: 1, gsoType: 5, gsoSize: 1200 }), 4);
    assertPackets(written(), segmentsOf(fields, 1200));
  });
}

Deno.test("addresses may be rewritten between plan and write", () => {
  const fields: PacketFields = { payload: bytesOf(3000), ipOptions: hex("94040000") };
  assert.equal(plan(packet(fields), { flags: 1, gsoType: 1, gsoSize: 1000 }), 3);
  slab.bytes.set([100, 64, 0, 7], splitter.packetOffset + 16);
  assertPackets(written(), segmentsOf({ ...fields, dst: "100.64.0.7" }, 1000));
});

Deno.test("a UDP checksum that comes out as zero is written as 0xffff", () => {
  // Two payload bytes chosen so that the complement is zero: they take the value of the checksum over zeros.
  const zeros = packet({ protocol: "udp", payload: new Uint8Array(2) });
  const bytes = packet({ protocol: "udp", payload: zeros.slice(26, 28) });
  assert.equal(toHex(bytes.slice(26, 28)), "ffff");
  assert.equal(plan(bytes, { flags: 1, csumStart: 20, csumOffset: 6 }), 1);
  assertPackets(written(), [bytes]);
  assert.equal(plan(bytes, { flags: 1, gsoType: 5, gsoSize: 100 }), 1);
  assertPackets(written(), [bytes]);
});

Deno.test("a super-packet no longer than one segment, or without payload, stays one packet", () => {
  for (const length of [0, 1, 1000]) {
    const fields = { payload: bytesOf(length), flags: ACK | PSH };
    assert.equal(plan(packet(fields), { flags: 1, gsoType: 1, gsoSize: 1000 }), 1);
    assertPackets(written(), [packet(fields)]);
  }
});

Deno.test("reads that contradict themselves are refused by name", () => {
  const tcp = packet({ payload: bytesOf(3000) });
  const udp6 = packet({ dst: V6, protocol: "udp", payload: bytesOf(300) });
  const fragment = tcp.slice();
  fragment[6] = 0x20;
  const cases: [number, Uint8Array, Vnet][] = [
    [-PARSE_SHORT, new Uint8Array(), {}],
    [-PARSE_FRAGMENT, fragment, {}],
    [split.SPLIT_GSO_TYPE, tcp, { gsoType: 3, gsoSize: 1000 }],
    [split.SPLIT_GSO_TYPE, tcp, { gsoType: 4, gsoSize: 1000 }],
    [split.SPLIT_GSO_TYPE, tcp, { gsoType: 5, gsoSize: 1000 }],
    [split.SPLIT_GSO_TYPE, udp6, { gsoType: 4, gsoSize: 1000 }],
    [split.SPLIT_GSO_SIZE, tcp, { gsoType: 1 }],
    [split.SPLIT_SEGMENTS, tcp, { gsoType: 1, gsoSize: 11 }],
    [split.SPLIT_CHECKSUM, udp6, { flags: 1, csumStart: 342, csumOffset: 6 }],
    [split.SPLIT_CHECKSUM, udp6, { flags: 1, csumStart: 0, csumOffset: 6 }],
  ];
  for (const [reason, bytes, header] of cases) {
    const actual = plan(bytes, header);
    assert.equal(split.SPLIT_REASONS[-actual], split.SPLIT_REASONS[-reason]);
  }
  assert.equal(splitter.plan(input, 9), split.SPLIT_SHORT);
});

Deno.test("property: any bytes give a reason or packets inside the limits, never a throw", () => {
  const arbitrary = fc.record({
    vnet: fc.record({
      flags: fc.nat(1),
      gsoType: fc.constantFrom(0, 1, 3, 4, 5, 0x81),
      gsoSize: fc.nat(2000),
      csumStart: fc.nat(80),
      csumOffset: fc.nat(20),
    }),
    bytes: fc.oneof(
      fc.uint8Array({ maxLength: 100 }),
      fc.record({
        dst: fc.constantFrom("10.0.0.2", V6),
        protocol: fc.constantFrom("tcp" as const, "udp" as const, "icmp" as const),
        payload: fc.nat(3000).map((length) => bytesOf(length)),
      }).map(packet),
    ),
  });
  fc.assert(fc.property(arbitrary, ({ vnet, bytes }) => {
    const count = plan(bytes, vnet);
    if (count < 0) return assert.ok(split.SPLIT_REASONS[-count] !== undefined);
    assert.ok(
      count >= 1 && count <= split.MAX_SPLIT_SEGMENTS && splitter.lastLength <= splitter.segmentLength,
    );
    written(4096);
  }));
});
