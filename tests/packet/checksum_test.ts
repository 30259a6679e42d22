import assert from "node:assert/strict";
import fc from "fast-check";
import * as checksum from "../../mod/packet/checksum.ts";
import { Slab } from "../../mod/packet/slab.ts";

const hex = (text: string) => Uint8Array.from(text.match(/../g)!, (b) => parseInt(b, 16));
const u16 = (bytes: Uint8Array, at: number) => (bytes[at]! << 8) | bytes[at + 1]!;

// spec policy appendix A: NAT of the proxy address, then the router's answer on its way back.
const BEFORE = hex("4500002000004000401172276440000564600001" + "9c400035000cd5f361626364");
const AFTER = hex("450000200000400040112a1064400005ac140064" + "9c400035000c8ddc61626364");

Deno.test("full checksums of the appendix vectors verify", () => {
  for (const packet of [BEFORE, AFTER]) {
    assert.equal(checksum.sumBytes(packet, 0, 20), 0xffff);
    const pseudo = checksum.pseudoHeaderSum(packet, 0, 17, 12);
    assert.equal(checksum.sumBytes(packet, 20, 12, pseudo), 0xffff);
  }
  const copy = BEFORE.slice();
  checksum.writeIpv4Checksum(copy, 0, 20);
  assert.deepEqual(copy, BEFORE);
});

Deno.test("the IPv6 appendix vector verifies with its pseudo header", () => {
  const packet = hex(
    "60000000000c1140fd00202111110000000000000000000520010db8000000000000000000000009" +
      "9c400035000c42a061626364",
  );
  assert.equal(checksum.sumBytes(packet, 40, 12, checksum.pseudoHeaderSum(packet, 0, 17, 12)), 0xffff);
});

Deno.test("an incremental update of the destination gives the appendix's checksums", () => {
  const slab = new Slab(65536);
  slab.bytes.set(BEFORE, 64);
  const delta = checksum.doubleWordDelta(0x64600001, 0xac140064);
  slab.bytes.set(AFTER.subarray(16, 20), 64 + 16);
  checksum.updateChecksum(slab, 64 + 10, delta);
  checksum.updateUdpChecksum(slab, 64 + 26, delta);
  assert.deepEqual(slab.bytes.slice(64, 64 + 32), AFTER);
});

Deno.test("RFC 1624's example: 0xdd2f with 0x5555 becoming 0x3285 gives 0x0000", () => {
  assert.equal(checksum.updatedChecksum(0xdd2f, checksum.wordDelta(0x5555, 0x3285)), 0x0000);
});

Deno.test("a UDP checksum of zero stays zero and never becomes zero", () => {
  const slab = new Slab(65536);
  checksum.updateUdpChecksum(slab, 64, checksum.wordDelta(1, 2));
  assert.equal(u16(slab.bytes, 64), 0);
  slab.bytes.set([0xdd, 0x2f], 64);
  checksum.updateUdpChecksum(slab, 64, checksum.wordDelta(0x5555, 0x3285));
  assert.equal(u16(slab.bytes, 64), 0xffff);
});

Deno.test("property: an incremental update equals a full computation, and keeps a wrong checksum wrong", () => {
  const words = fc.uint8Array({ minLength: 20, maxLength: 20 });
  fc.assert(
    fc.property(words, fc.nat(3), fc.nat({ max: 0xffffffff }), fc.boolean(), (bytes, at, value, wrong) => {
      const slab = new Slab(65536);
      bytes[0] = 0x45; // a sum of zero (all bytes zero) is the one case where +0 and -0 differ
      slab.bytes.set(bytes, 64);
      const place = 64 + 4 + 4 * at;
      const original = checksum.checksumOf(slab.bytes, 64, 20);
      slab.view.setUint16(1000, wrong ? original ^ 0x0100 : original);
      const before = slab.view.getUint32(place);
      slab.view.setUint32(place, value);
      checksum.updateChecksum(slab, 1000, checksum.doubleWordDelta(before, value));
      const isRight = slab.view.getUint16(1000) === checksum.checksumOf(slab.bytes, 64, 20);
      assert.equal(isRight, !wrong);
    }),
  );
});

Deno.test("property: fold keeps the value modulo 65535", () => {
  fc.assert(fc.property(fc.nat({ max: 2 ** 47 }), (sum) => {
    const folded = checksum.fold(sum);
    assert.ok(folded >= 0 && folded <= 0xffff);
    assert.equal(folded % 65535, sum % 65535);
    assert.equal(folded === 0, sum === 0);
  }));
});
