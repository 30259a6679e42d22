import assert from "node:assert/strict";
import fc from "fast-check";
import { blake2s as reference } from "@noble/hashes/blake2.js";
import { hmac } from "@noble/hashes/hmac.js";
import { blake2s, hmacBlake2s } from "../../mod/wireguard/blake2s.ts";

const bytes = (maxLength: number) => fc.uint8Array({ maxLength });
const joined = (a: Uint8Array, b: Uint8Array) => new Uint8Array([...a, ...b]);

Deno.test("BLAKE2s gives the digest of RFC 7693, appendix B", () => {
  assert.equal(
    blake2s(32, new TextEncoder().encode("abc")).toHex(),
    "508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982",
  );
});

Deno.test("BLAKE2s equals the library's for any input in two parts and any output length", () => {
  fc.assert(fc.property(bytes(200), bytes(200), fc.integer({ min: 1, max: 32 }), (a, b, dkLen) => {
    assert.deepEqual(blake2s(dkLen, a, b), reference(joined(a, b), { dkLen }));
  }));
});

Deno.test("keyed BLAKE2s and HMAC-BLAKE2s equal the library's", () => {
  const key = fc.uint8Array({ minLength: 1, maxLength: 32 });
  fc.assert(fc.property(key, bytes(200), (key, input) => {
    assert.deepEqual(blake2s(16, input, undefined, key), reference(input, { key, dkLen: 16 }));
    assert.deepEqual(hmacBlake2s(key, input), hmac(reference, key, input));
  }));
});

Deno.test("BLAKE2s is right around the block boundaries, with and without a key", () => {
  const key = new Uint8Array(32).fill(7);
  for (let length = 0; length <= 200; length++) {
    const input = new Uint8Array(length).fill(length);
    assert.deepEqual(blake2s(32, input), reference(input), `${length} bytes`);
    assert.deepEqual(blake2s(32, input, undefined, key), reference(input, { key }), `${length} bytes, keyed`);
  }
});
