import assert from "node:assert/strict";
import {
  IpHeader,
  KIND_ICMP_OTHER,
  KIND_TCP,
  KIND_UDP,
  PARSE_OK,
  PARSE_REASONS,
} from "../../mod/packet/mod.ts";
import corpus from "./corpus/ip_header.hex" with { type: "text" };
import { ipPacket, repair } from "./ip_packets.ts";
import { fromHex, type FuzzTarget } from "./target.ts";

export const TCP4 = fromHex(
  "45000034 00010000 4006 0000 64400005 0a00000a 3039 0050 00000001 00000002 5010 1000 0000 0000" +
    "0102030405060708090a0b0c",
);
export const UDP6 = fromHex(
  "60000000 0010 11 40 fd002021111100000000000000000005 fd500000000000000000000000000010" +
    "3039 0035 0010 0000 0102030405060708",
);

export const target: FuzzTarget = {
  title: "any bytes are an IP packet whose parts lie inside it, or refused with a reason",
  seeds: [TCP4, UDP6],
  corpus,
  maxLength: 2048,
  generate: ipPacket,
  start: () => {
    const header = new IpHeader(), other = new IpHeader();
    // Surrounded by bytes that must not matter.
    const room = new Uint8Array(4096);
    return (input) => {
      if (input.length > 0 && input.at(-1)! & 1) repair(input, false);
      room.fill(0xff);
      room.set(input, 1024);
      const reason = header.parse(room, 1024, input.length);
      assert.ok(PARSE_REASONS[reason] !== undefined);
      assert.equal(other.parse(input, 0, input.length), reason, "bytes outside of the packet matter");
      if (reason !== PARSE_OK) return reason;
      assert.equal(header.totalLength, input.length);
      assert.ok(header.headerLength >= (header.version === 4 ? 20 : 40));
      assert.equal(header.headerLength + header.l4Length, input.length);
      assert.equal(header.l4Offset, 1024 + header.headerLength);
      assert.deepEqual(header.addresses, other.addresses);
      for (const name of ["version", "protocol", "kind", "srcPort", "dstPort", "tcpFlags", "ecn"] as const) {
        assert.equal(header[name], other[name]);
      }
      const smallest = header.kind === KIND_TCP ? 20 : header.kind === KIND_UDP ? 8 : 0;
      assert.ok(header.l4Length >= smallest);
      assert.ok(!header.isIcmpError || header.kind === KIND_ICMP_OTHER);
      const extras = header.headerLength - (header.version === 4 ? 20 : 40);
      return `${header.version} ${header.kind} ${header.isIcmpError} ${extras >> 3}`;
    };
  },
};
