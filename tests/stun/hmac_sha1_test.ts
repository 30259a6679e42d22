import assert from "node:assert/strict";
import fc from "fast-check";
import { hmac } from "@noble/hashes/hmac.js";
import { sha1 } from "@noble/hashes/legacy.js";
import { HmacSha1 } from "../../mod/stun/hmac_sha1.ts";

/** Into the middle of a buffer, whose other bytes stay. */
function sign(hmac: HmacSha1, head: Uint8Array, message: Uint8Array, start: number): Uint8Array {
  const target = new Uint8Array(24).fill(0xee);
  hmac.sign(head, message, start, message.length, target, 2);
  assert.deepEqual([...target.subarray(0, 2), ...target.subarray(22)], [0xee, 0xee, 0xee, 0xee]);
  return target.subarray(2, 22);
}

const bytes = (maxLength: number) => fc.uint8Array({ maxLength });

Deno.test("HMAC-SHA1 equals the library's for any key, head and message", () => {
  fc.assert(fc.property(bytes(150), bytes(64), bytes(300), fc.nat(40), (key, head, message, skipped) => {
    const start = Math.min(skipped, message.length);
    const expected = hmac(sha1, key, new Uint8Array([...head, ...message.subarray(start)]));
    const prepared = new HmacSha1(key);
    for (let again = 0; again < 2; again++) {
      assert.deepEqual(sign(prepared, head, message, start), expected);
    }
  }));
});

Deno.test("HMAC-SHA1 is right around the block boundaries", () => {
  const key = new TextEncoder().encode("a password of somebody");
  for (let length = 0; length <= 200; length++) {
    const message = new Uint8Array(length).fill(length);
    const expected = hmac(sha1, key, message);
    assert.deepEqual(sign(new HmacSha1(key), new Uint8Array(0), message, 0), expected, `${length} bytes`);
  }
});
