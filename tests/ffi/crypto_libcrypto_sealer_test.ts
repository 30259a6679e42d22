/** Single messages by libcrypto are those of the RFC, of the library in JavaScript, and of WireGuard's cookies. */
import assert from "node:assert/strict";
import { chacha20poly1305, xchacha20poly1305 } from "@noble/ciphers/chacha.js";
import { Buffer } from "node:buffer";
import fc from "fast-check";
import { createLibcryptoSealer } from "../../ffi/crypto_libcrypto_sealer.ts";
import { selfTestSealer } from "../../mod/crypto/mod.ts";
import { NOBLE_SEALER } from "../../mod/wireguard/mod.ts";
import { xOpen, xSeal } from "../../mod/wireguard/xchacha.ts";

const sealer = createLibcryptoSealer()!;
const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const message = fc.uint8Array({ maxLength: 256 });

Deno.test("both sealers pass the test of every start", () => {
  assert.equal(sealer.name, "libcrypto");
  for (const one of [sealer, NOBLE_SEALER]) assert.equal(selfTestSealer(one), undefined);
});

Deno.test("the test of every start tells a sealer that forgets the additional data, or opens forgeries", () => {
  const none = new Uint8Array(0);
  const deaf = {
    ...NOBLE_SEALER,
    seal: (key: Uint8Array, nonce: Uint8Array, _: Uint8Array, text: Uint8Array) =>
      NOBLE_SEALER.seal(key, nonce, none, text),
  };
  assert.match(selfTestSealer(deaf)!, /ciphertext/);
  const credulous = {
    ...NOBLE_SEALER,
    open: (...[key, nonce, additional, sealed]: Parameters<typeof NOBLE_SEALER.open>) =>
      NOBLE_SEALER.open(key, nonce, additional, sealed) ?? sealed.subarray(16),
  };
  assert.match(selfTestSealer(credulous)!, /forgery/);
});

Deno.test("libcrypto seals and opens what the library in JavaScript does, additional data or not", () => {
  fc.assert(
    fc.property(bytes(32), bytes(12), message, message, fc.nat(271), (key, nonce, additional, text, at) => {
      const sealed = chacha20poly1305(key, nonce, additional).encrypt(text);
      assert.deepEqual(sealer.seal(key, nonce, additional, text), sealed);
      assert.deepEqual(sealer.open(key, nonce, additional, sealed), text);
      const place = at % sealed.length;
      assert.equal(
        sealer.open(key, nonce, additional, sealed.with(place, sealed[place]! ^ 4)),
        undefined,
      );
      assert.deepEqual(sealer.open(key, nonce, additional, sealed), text, "a forgery leaves no trace");
    }),
    { numRuns: 500 },
  );
});

Deno.test("XChaCha20-Poly1305 by either sealer is the library's", () => {
  fc.assert(
    fc.property(bytes(32), bytes(24), bytes(16), bytes(16), (key, nonce, additional, text) => {
      const sealed = xchacha20poly1305(key, nonce, additional).encrypt(text);
      for (const one of [sealer, NOBLE_SEALER]) {
        assert.deepEqual(xSeal(one, key, nonce, additional, text), sealed);
        assert.deepEqual(xOpen(one, key, nonce, additional, sealed), text);
        assert.equal(xOpen(one, key, nonce, additional, sealed.with(0, sealed[0]! ^ 1)), undefined);
      }
    }),
    { numRuns: 200 },
  );
});

Deno.test("XChaCha20-Poly1305 takes Node Buffers out of the middle of a pool, as sockets of node:dgram give them", () => {
  const pool = Buffer.from(crypto.getRandomValues(new Uint8Array(200)));
  const [key, nonce, additional, text] = [
    pool.subarray(3, 35),
    pool.subarray(41, 65),
    pool.subarray(70, 86),
    pool.subarray(99),
  ];
  const sealed = xchacha20poly1305(Uint8Array.from(key), Uint8Array.from(nonce), Uint8Array.from(additional))
    .encrypt(Uint8Array.from(text));
  for (const one of [sealer, NOBLE_SEALER]) {
    assert.deepEqual(xSeal(one, key, nonce, additional, text), sealed);
    assert.deepEqual(xOpen(one, key, nonce, additional, Buffer.from(sealed)), Uint8Array.from(text));
  }
});

Deno.test("what is too long, or has no key or nonce, is refused before libcrypto sees it", () => {
  const key = new Uint8Array(32), nonce = new Uint8Array(12), none = new Uint8Array(0);
  const long = new Uint8Array(257);
  assert.throws(() => sealer.seal(key, nonce, none, long), /Cannot seal or open a message of 257 bytes/);
  assert.throws(() => sealer.seal(key, nonce, long, none), RangeError);
  assert.throws(() => sealer.open(key, nonce, none, new Uint8Array(273)), RangeError);
  assert.throws(() => sealer.seal(key.subarray(1), nonce, none, none), /key has 31 bytes/);
  assert.throws(() => sealer.open(key, new Uint8Array(24), none, new Uint8Array(16)), /nonce 24/);
  for (let length = 0; length < 16; length++) {
    assert.equal(sealer.open(key, nonce, none, new Uint8Array(length)), undefined);
  }
});
