import assert from "node:assert/strict";
import fc from "fast-check";
import { pseudoHeaderSum, sumBytes } from "../../mod/packet/checksum.ts";
import { buildProhibited, buildUnreachable, isIcmpError } from "../../mod/packet/icmp_error.ts";
import { bytesOf, hex, packet, toHex } from "./build.ts";

// spec policy appendix A
const UDP4 = "45000020000040004011cc7f644000050a0000099c400035000c304c61626364";
const UDP6 = "60000000000c1140fd00202111110000000000000000000520010db8000000000000000000000009" +
  "9c400035000c42a061626364";

Deno.test("the IPv4 answers are the appendix's bytes", () => {
  assert.equal(
    toHex(buildProhibited(hex(UDP4))!),
    "45000038000040001401f8770a00000964400005" + "030d302500000000" +
      "45000020000040004011cc7f644000050a0000099c400035000c304c",
  );
  assert.equal(
    toHex(buildUnreachable(hex(UDP4))!),
    "45000038000040001401f8770a00000964400005" + "0300303200000000" +
      "45000020000040004011cc7f644000050a0000099c400035000c304c",
  );
});

Deno.test("the IPv6 answers are the appendix's bytes", () => {
  const ipHeader = "60000000003c3a1420010db8000000000000000000000009fd002021111100000000000000000005";
  assert.equal(toHex(buildProhibited(hex(UDP6))!), ipHeader + "0101315f00000000" + UDP6);
  const unreachable = buildUnreachable(hex(UDP6))!;
  assert.equal(toHex(unreachable.subarray(0, 42)), ipHeader + "0103");
  assert.equal(sumBytes(unreachable, 40, 60, pseudoHeaderSum(unreachable, 0, 58, 60)), 0xffff);
});

Deno.test("the IPv4 quote holds the options and 8 bytes, or the whole packet when it is shorter", () => {
  const optioned = packet({ ipOptions: hex("94040000"), payload: bytesOf(100) });
  assert.deepEqual(buildProhibited(optioned)!.slice(28), optioned.slice(0, 32));
  const tiny = hex("45000016000000004084000001020304 05060708 abcd".replace(/ /g, ""));
  assert.deepEqual(buildProhibited(tiny)!.slice(28), tiny);
});

Deno.test("the IPv6 answer is cut at 1280 bytes", () => {
  const large = packet({ dst: "2001:db8::9", payload: bytesOf(1220) });
  assert.equal(large.length, 1280);
  const answer = buildProhibited(large)!;
  assert.equal(answer.length, 1280);
  assert.deepEqual(answer.slice(48), large.slice(0, 1232));
});

Deno.test("an ICMP error is never answered, an echo request is", () => {
  for (const build of [buildProhibited, buildUnreachable]) {
    assert.equal(build(packet({ protocol: "icmp", icmpType: 3 })), undefined);
    assert.equal(build(packet({ protocol: "icmp", icmpType: 1, dst: "2001:db8::9" })), undefined);
    assert.equal(build(buildProhibited(hex(UDP4))!), undefined);
    assert.ok(build(packet({ protocol: "icmp" })));
    assert.ok(build(packet({ protocol: "icmp", dst: "2001:db8::9" })));
  }
  assert.ok(isIcmpError(buildProhibited(hex(UDP6))!));
  assert.ok(!isIcmpError(hex(UDP6)));
  assert.ok(!isIcmpError(new Uint8Array(3)));
});

Deno.test("property: any bytes give a valid answer or none, never a throw", () => {
  const anyBytes = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc.record({ payload: fc.uint8Array({ maxLength: 100 }), tos: fc.nat(255), sport: fc.nat(65535) }).map(
      packet,
    ),
  );
  fc.assert(fc.property(anyBytes, (bytes) => {
    const answer = buildProhibited(bytes);
    if (answer) assert.ok(isIcmpError(answer) && answer.length <= 1280);
  }));
});
