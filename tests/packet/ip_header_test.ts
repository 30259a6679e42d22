import assert from "node:assert/strict";
import fc from "fast-check";
import * as ip from "../../mod/packet/ip_header.ts";
import { ACK, bytesOf, hex, packet, type PacketFields, SYN } from "./build.ts";

const header = new ip.IpHeader();
const parse = (bytes: Uint8Array) => header.parse(bytes, 0, bytes.length);
const V6 = "2001:db8::9";

/** `bytes` with changes by offset; a shorter `length` cuts it. */
function edited(bytes: Uint8Array, changes: Record<number, number>, length = bytes.length): Uint8Array {
  const copy = bytes.slice(0, length);
  for (const [at, value] of Object.entries(changes)) copy[Number(at)] = value;
  return copy;
}

/** An IPv6 packet whose extension headers (raw bytes, next-header fields included) precede `l4`. */
function withExtensions(first: number, extensions: string, l4: Uint8Array): Uint8Array {
  const bytes = packet({ dst: V6, protocol: "udp" }).slice(0, 40);
  const chain = hex(extensions);
  bytes[6] = first;
  new DataView(bytes.buffer).setUint16(4, chain.length + l4.length);
  return Uint8Array.of(...bytes, ...chain, ...l4);
}
const UDP = hex("0035003500080000");
const TCP = packet({ dst: V6 }).slice(40);

Deno.test("an IPv4 TCP packet is read in full, at any place of the buffer", () => {
  const bytes = packet({
    flags: SYN | ACK,
    tos: 2,
    payload: bytesOf(7),
    src: "255.1.2.3",
    ipOptions: new Uint8Array(4),
  });
  const placed = new Uint8Array(bytes.length + 30);
  placed.set(bytes, 13);
  assert.equal(header.parse(placed, 13, bytes.length), ip.PARSE_OK);
  const { version, headerLength, protocol, l4Offset, l4Length, totalLength, ecn, kind } = header;
  assert.deepEqual(
    { version, headerLength, protocol, l4Offset, l4Length, totalLength, ecn, kind },
    {
      version: 4,
      headerLength: 24,
      protocol: 6,
      l4Offset: 37,
      l4Length: 27,
      totalLength: 51,
      ecn: 2,
      kind: 1,
    },
  );
  assert.deepEqual([header.src0, header.src1, header.dst0, header.dst3], [0xff010203, 0, 0x0a000002, 0]);
  assert.deepEqual([header.srcPort, header.dstPort, header.tcpFlags], [1000, 2000, 0x12]);
});

Deno.test("an IPv6 UDP packet is read in full, and leaves nothing behind in a following IPv4 one", () => {
  assert.equal(parse(packet({ dst: V6, src: "fe80::1:2", protocol: "udp", tos: 3, payload: bytesOf(9) })), 0);
  assert.deepEqual([header.src0, header.src1, header.src2, header.src3], [0xfe800000, 0, 0, 0x00010002]);
  assert.deepEqual([header.dst0, header.dst1, header.dst2, header.dst3], [0x20010db8, 0, 0, 9]);
  assert.deepEqual([header.version, header.ecn, header.kind, header.l4Length], [6, 3, ip.KIND_UDP, 17]);
  assert.equal(parse(packet()), 0);
  assert.deepEqual([...header.addresses], [0x0a000001, 0, 0, 0, 0x0a000002, 0, 0, 0]);
});

Deno.test("echo requests and replies carry their identifier as both ports, other ICMP none", () => {
  const kindOf = (fields: PacketFields) => {
    assert.equal(parse(packet({ protocol: "icmp", ...fields })), ip.PARSE_OK);
    return [header.kind, header.srcPort, header.dstPort, header.isIcmpError];
  };
  assert.deepEqual(kindOf({}), [ip.KIND_ECHO_REQUEST, 0x1234, 0x1234, false]);
  assert.deepEqual(kindOf({ icmpType: 0 }), [ip.KIND_ECHO_REPLY, 0x1234, 0x1234, false]);
  assert.deepEqual(kindOf({ icmpCode: 1 }), [ip.KIND_ICMP_OTHER, 0, 0, false]);
  assert.deepEqual(kindOf({ icmpType: 13 }), [ip.KIND_ICMP_OTHER, 0, 0, false]);
  assert.deepEqual(kindOf({ dst: V6 }), [ip.KIND_ECHO_REQUEST, 0x1234, 0x1234, false]);
  assert.deepEqual(kindOf({ dst: V6, icmpType: 129 }), [ip.KIND_ECHO_REPLY, 0x1234, 0x1234, false]);
  for (const icmpType of [3, 4, 5, 11, 12]) {
    assert.deepEqual(kindOf({ icmpType }), [ip.KIND_ICMP_OTHER, 0, 0, true]);
  }
  for (const icmpType of [0, 1, 2, 3, 4, 100, 127]) {
    assert.deepEqual(kindOf({ dst: V6, icmpType }), [ip.KIND_ICMP_OTHER, 0, 0, true]);
  }
  assert.deepEqual(kindOf({ dst: V6, icmpType: 135 }), [ip.KIND_ICMP_OTHER, 0, 0, false]);
});

Deno.test("other protocols are KIND_OTHER without ports", () => {
  assert.equal(parse(edited(packet(), { 9: 132 })), ip.PARSE_OK);
  assert.deepEqual([header.kind, header.srcPort, header.dstPort, header.protocol], [
    ip.KIND_OTHER,
    0,
    0,
    132,
  ]);
});

Deno.test("a super-packet of the TUN's size is read", () => {
  assert.equal(parse(packet({ payload: bytesOf(65535 - 40) })), ip.PARSE_OK);
  assert.equal(header.totalLength, 65535);
  assert.equal(parse(packet({ dst: V6, payload: bytesOf(65535 - 20) })), ip.PARSE_OK);
});

Deno.test("malformed IPv4 packets are refused by name", () => {
  const tcp = packet({ payload: bytesOf(4) });
  const udp = packet({ protocol: "udp", payload: bytesOf(4) });
  const cases: [number, Uint8Array][] = [
    [ip.PARSE_SHORT, new Uint8Array()],
    [ip.PARSE_SHORT, tcp.slice(0, 19)],
    [ip.PARSE_VERSION, edited(tcp, { 0: 0x55 })],
    [ip.PARSE_VERSION, edited(tcp, { 0: 0x05 })],
    [ip.PARSE_HEADER_LENGTH, edited(tcp, { 0: 0x44 })],
    [ip.PARSE_HEADER_LENGTH, edited(tcp, { 0: 0x4f })],
    [ip.PARSE_TOTAL_LENGTH, edited(tcp, { 3: tcp.length - 1 })],
    [ip.PARSE_TOTAL_LENGTH, edited(tcp, { 3: tcp.length + 1 })],
    [ip.PARSE_FRAGMENT, edited(tcp, { 6: 0x20 })],
    [ip.PARSE_FRAGMENT, edited(tcp, { 6: 0x10 })],
    [ip.PARSE_FRAGMENT, edited(tcp, { 7: 1 })],
    [ip.PARSE_TCP, edited(tcp, { 32: 0x40 })],
    [ip.PARSE_TCP, edited(tcp, { 32: 0x70 })],
    [ip.PARSE_TCP, edited(tcp, { 3: 39 }, 39)],
    [ip.PARSE_UDP, edited(udp, { 25: 11 })],
    [ip.PARSE_UDP, edited(udp, { 25: 13 })],
    [ip.PARSE_UDP, edited(udp, { 25: 0 })],
    [ip.PARSE_UDP, edited(udp, { 3: 27 }, 27)],
    [ip.PARSE_ICMP, edited(packet({ protocol: "icmp" }), { 3: 27 }, 27)],
    [ip.PARSE_ICMP_FAMILY, edited(udp, { 9: 58 })],
    [ip.PARSE_EXTENSION, edited(udp, { 9: 51, 21: 200 })],
  ];
  cases.forEach(([reason, bytes], i) =>
    assert.equal(ip.PARSE_REASONS[parse(bytes)], ip.PARSE_REASONS[reason], `case ${i}`)
  );
});

Deno.test("malformed IPv6 packets are refused by name", () => {
  const udp = packet({ dst: V6, protocol: "udp", payload: bytesOf(4) });
  const cases: [number, Uint8Array][] = [
    [ip.PARSE_SHORT, udp.slice(0, 39)],
    [ip.PARSE_TOTAL_LENGTH, edited(udp, { 5: 0 })],
    [ip.PARSE_TOTAL_LENGTH, edited(udp, { 5: 13 })],
    [ip.PARSE_UDP, edited(udp, { 45: 13 })],
    [ip.PARSE_ICMP_FAMILY, edited(udp, { 6: 1 })],
    [ip.PARSE_EXTENSION, withExtensions(60, "1102000000000000", UDP)],
    [ip.PARSE_EXTENSION, withExtensions(60, "11010000", new Uint8Array())],
    [ip.PARSE_EXTENSION, withExtensions(60, "0000000000000000 1100000000000000", UDP)],
    [ip.PARSE_FRAGMENT, withExtensions(44, "1100000100000001", UDP)],
    [ip.PARSE_FRAGMENT, withExtensions(44, "1100000800000001", UDP)],
    [ip.PARSE_FRAGMENT, withExtensions(44, "1100010000000001", UDP)],
  ];
  cases.forEach(([reason, bytes], i) =>
    assert.equal(ip.PARSE_REASONS[parse(bytes)], ip.PARSE_REASONS[reason], `case ${i}`)
  );
});

Deno.test("L4 is found behind every extension header, the atomic fragment and AH", () => {
  const cases: [number, string, Uint8Array, number, number][] = [
    [0, "1100000000000000", UDP, 48, ip.KIND_UDP],
    [0, "3c00000000000000 2b01000000000000 0000000000000000 0600000000000000", TCP, 72, ip.KIND_TCP],
    [44, "1100000000000007", UDP, 48, ip.KIND_UDP],
    [51, "1104000000000000 0000000000000000 0000000000000000", UDP, 64, ip.KIND_UDP],
    [60, "3b00000000000000", new Uint8Array(), 48, ip.KIND_OTHER],
  ];
  for (const [first, chain, l4, headerLength, kind] of cases) {
    assert.equal(parse(withExtensions(first, chain, l4)), ip.PARSE_OK, chain);
    assert.deepEqual([header.headerLength, header.l4Length, header.kind], [headerLength, l4.length, kind]);
  }
  const inIpv4 = packet({ protocol: "udp", payload: hex("0035003600080000") });
  inIpv4.set(hex("1100000000000000"), 20); // AH whose shortest form is 8 bytes, then UDP 53 to 54
  assert.equal(parse(edited(inIpv4, { 9: 51 })), ip.PARSE_OK);
  assert.deepEqual([header.headerLength, header.srcPort, header.dstPort], [28, 53, 54]);
});

Deno.test("property: any bytes give a known reason, never a throw, and an accepted packet's view lies inside it", () => {
  const anyBytes = fc.uint8Array({ maxLength: 120 }).map((bytes) => {
    if (bytes.length >= 20 && (bytes[0]! & 0x80)) { // steer half of them past the length checks
      bytes[0] = bytes[0]! & 1 ? 0x60 : 0x45;
      const length = bytes[0] === 0x45 ? bytes.length : bytes.length - 40;
      if (length >= 0) bytes.set([0, length], bytes[0] === 0x45 ? 2 : 4);
      if (bytes[0] === 0x45) bytes.set([0, 0], 6);
    }
    return bytes;
  });
  fc.assert(
    fc.property(anyBytes, (bytes) => {
      const reason = parse(bytes);
      assert.ok(ip.PARSE_REASONS[reason] !== undefined);
      if (reason !== ip.PARSE_OK) return;
      assert.equal(header.totalLength, bytes.length);
      assert.equal(header.l4Offset + header.l4Length, bytes.length);
      assert.equal(header.headerLength, header.l4Offset);
      assert.ok(header.headerLength >= 20);
    }),
    { numRuns: 2000 },
  );
});
