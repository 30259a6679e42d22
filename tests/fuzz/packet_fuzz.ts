import assert from "node:assert/strict";
import {
  buildProhibited,
  buildUnreachable,
  IpHeader,
  isIcmpError,
  Kernels,
  PARSE_OK,
  Slab,
  Splitter,
  VNET_HEADER_SIZE,
} from "../../mod/packet/mod.ts";
import { fromHex, type FuzzTarget } from "./target.ts";

const slab = new Slab(1 << 20);
const splitter = new Splitter(slab, new Kernels(slab));
const input = slab.reserve(8192), output = slab.reserve(512 * 1024);
const header = new IpHeader();

const TCP4 = "45000034 00010000 4006 0000 64400001 0a320002 3039 0050 00000001 00000002 5010 1000 0000 0000" +
  "0102030405060708090a0b0c";
const UDP6 = "60000000 0010 11 40 fd0020211111000000000000000000 01 fd500000000000000000000000000002" +
  "3039 0035 0010 0000 0102030405060708";

export const target: FuzzTarget = {
  title: "any bytes from TUN or tunnel are parsed or refused, split inside their room, and answered or not",
  seeds: [
    fromHex(`01 01 0000 0400 1400 1000 ${TCP4}`),
    fromHex(`01 05 0000 0400 2800 0600 ${UDP6}`),
    fromHex(`00 00 0000 0000 0000 0000 ${TCP4}`),
  ],
  run(bytes) {
    slab.bytes.set(bytes, input);
    const length = Math.max(0, bytes.length - VNET_HEADER_SIZE);
    if (header.parse(slab.bytes, input + VNET_HEADER_SIZE, length) === PARSE_OK) {
      assert.equal(header.totalLength, length);
      assert.ok(header.headerLength <= length && header.l4Length <= length);
    }
    const count = splitter.plan(input, bytes.length);
    if (count > 0) {
      const stride = (splitter.segmentLength + 15) & ~15;
      assert.ok(splitter.lastLength <= splitter.segmentLength && splitter.segmentLength <= length);
      if (count * stride <= 512 * 1024) splitter.write(output, stride);
    }
    const packet = bytes.subarray(VNET_HEADER_SIZE);
    for (const answer of [buildProhibited(packet), buildUnreachable(packet)]) {
      if (answer) assert.ok(answer.length <= 1280 && isIcmpError(answer));
    }
  },
};
