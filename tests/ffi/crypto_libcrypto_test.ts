import assert from "node:assert/strict";
import { chacha20poly1305 } from "@noble/ciphers/chacha.js";
import { x25519 } from "@noble/curves/ed25519.js";
import { createLibcryptoAead } from "../../ffi/crypto_libcrypto.ts";
import { createLibcryptoDh } from "../../ffi/crypto_libcrypto_dh.ts";
import { Slab } from "../../mod/packet/slab.ts";

const slab = new Slab(262144);
const at = slab.reserve(4096);
const aead = createLibcryptoAead(slab)!;
const hex = (text: string) => Uint8Array.fromHex(text.replace(/\s/g, ""));

function nonce(low: number, high: number): Uint8Array {
  const bytes = new Uint8Array(12);
  const view = new DataView(bytes.buffer);
  view.setUint32(4, low, true);
  view.setUint32(8, high, true);
  return bytes;
}

function fillRandom(length: number): Uint8Array {
  const text = crypto.getRandomValues(new Uint8Array(length));
  slab.bytes.set(text, at);
  return text;
}

Deno.test("libcrypto loads here and names itself", () => {
  assert.ok(aead, "libcrypto.so.3 is on every supported system");
  assert.equal(aead.name, "libcrypto");
});

Deno.test("the ciphertext of RFC 8439 appendix A.5 comes out", () => {
  // Its nonce has WireGuard's form. Its additional data, which WireGuard has not, only concerns the tag: that comes
  // from the reference twin.
  const key = hex("1c9240a5eb55d38af333888604f6b5f0473917c1402b80099dca5cbc207075c0");
  const text = new TextEncoder().encode(
    "Internet-Drafts are draft documents valid for a maximum of six months",
  );
  slab.bytes.set(text, at);
  const sealing = aead.createKey(key);
  sealing.seal(at, text.length, 0x04030201, 0x08070605);
  sealing.free();
  assert.deepEqual(
    slab.bytes.slice(at, at + 64),
    hex(`64a0861575861af460f062c79be643bd5e805cfd345cf389f108670ac76c8cb2
      4c6cfc18755d43eea09ee94e382d26b0bdb7b73c321b0100d4f03b7f355894cf`),
  );
  const twin = chacha20poly1305(key, hex("000000000102030405060708")).encrypt(text);
  assert.deepEqual(slab.bytes.slice(at, at + text.length + 16), twin);
});

Deno.test("every length from 0 to 1500 seals and opens as the reference twin says, and no forgery opens", () => {
  const keyBytes = crypto.getRandomValues(new Uint8Array(32));
  const key = aead.createKey(keyBytes);
  for (let length = 0; length <= 1500; length++) {
    const low = (length * 0x9e3779b1) >>> 0, high = length & 1 ? 0xffffffff : length;
    const text = fillRandom(length);
    slab.bytes.fill(0xa5, at + length + 16, at + length + 32);
    key.seal(at, length, low, high);
    const sealed = slab.bytes.slice(at, at + length + 16);
    if (length % 7 === 0 || length < 130) {
      assert.deepEqual(
        sealed,
        chacha20poly1305(keyBytes, nonce(low, high)).encrypt(text),
        `length ${length}`,
      );
    }
    assert.ok(slab.bytes.subarray(at + length + 16, at + length + 32).every((byte) => byte === 0xa5));
    assert.equal(key.open(at, length + 16, low, high), true, `length ${length}`);
    assert.deepEqual(slab.bytes.slice(at, at + length), text);

    const flip = (length * 31) % (length + 16);
    slab.bytes.set(sealed, at);
    slab.bytes[at + flip]! ^= 1 << (length & 7);
    assert.equal(key.open(at, length + 16, low, high), false, `length ${length}, byte ${flip} changed`);
    slab.bytes.set(sealed, at);
    assert.equal(key.open(at, length + 16, low ^ 1, high), false, "other counter");
    slab.bytes.set(sealed, at);
    assert.equal(key.open(at, length + 16, low, high ^ 1), false, "other high half of the counter");
    slab.bytes.set(sealed, at);
    assert.equal(key.open(at, length + 15, low, high), false, "cut by one byte");
  }
  key.free();
});

Deno.test("two keys don't influence each other", () => {
  const one = aead.createKey(new Uint8Array(32).fill(1)), two = aead.createKey(new Uint8Array(32).fill(2));
  const text = fillRandom(100);
  one.seal(at, 100, 5, 0);
  const sealed = slab.bytes.slice(at, at + 116);
  assert.equal(two.open(at, 116, 5, 0), false);
  slab.bytes.set(sealed, at);
  assert.equal(one.open(at, 116, 5, 0), true);
  assert.deepEqual(slab.bytes.slice(at, at + 100), text);
  one.free();
  two.free();
});

Deno.test("a message that is shorter than a tag is not authentic", () => {
  const key = aead.createKey(new Uint8Array(32));
  for (let length = 0; length < 16; length++) assert.equal(key.open(at, length, 0, 0), false);
  key.free();
});

Deno.test("nothing outside the slab is ever touched", () => {
  const key = aead.createKey(new Uint8Array(32)), end = slab.bytes.length;
  assert.throws(() => key.seal(end - 32, 20, 0, 0), RangeError);
  assert.throws(() => key.seal(end, 0, 0, 0), RangeError);
  assert.throws(() => key.seal(at, -1, 0, 0), RangeError);
  assert.throws(() => key.seal(at, Infinity, 0, 0), RangeError);
  assert.throws(() => key.seal(NaN, 16, 0, 0), RangeError);
  assert.throws(() => key.seal(-4, 16, 0, 0), RangeError);
  assert.throws(() => key.seal(at + 1, 16, 0, 0), RangeError);
  assert.throws(() => key.open(end - 32, 36, 0, 0), RangeError);
  key.seal(end - 32, 16, 0, 0);
  assert.equal(key.open(end - 32, 32, 0, 0), true);
  key.free();
});

Deno.test("a freed key refuses to work, and freeing twice is harmless", () => {
  const key = aead.createKey(new Uint8Array(32));
  key.free();
  key.free();
  assert.throws(() => key.seal(at, 16, 0, 0), /freed/);
  assert.throws(() => key.open(at, 32, 0, 0), /freed/);
  assert.throws(() => aead.createKey(new Uint8Array(31)), RangeError);
});

Deno.test("X25519 gives the key and secret of RFC 7748 section 6.1, and agrees with the reference twin", () => {
  const dh = createLibcryptoDh()!;
  const bob = hex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb");
  const alicePublic = hex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
  assert.deepEqual(
    dh.publicKey(bob),
    hex("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f"),
  );
  assert.deepEqual(
    dh.sharedSecret(bob, alicePublic),
    hex("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"),
  );
  const own = crypto.getRandomValues(new Uint8Array(32));
  assert.deepEqual(dh.publicKey(own), x25519.getPublicKey(own));
  assert.deepEqual(dh.sharedSecret(own, alicePublic), x25519.getSharedSecret(own, alicePublic));
  assert.throws(() => dh.publicKey(new Uint8Array(31)), RangeError);
});

Deno.test("X25519 notices a private key array that was overwritten, and takes many keys", () => {
  const dh = createLibcryptoDh()!;
  const peer = x25519.getPublicKey(new Uint8Array(32).fill(9));
  const key = new Uint8Array(32).fill(1);
  for (let i = 0; i < 300; i++) {
    key[5] = i;
    assert.deepEqual(dh.publicKey(key), dh.publicKey(key.slice()));
    if (i % 50 === 0) assert.deepEqual(dh.sharedSecret(key, peer), x25519.getSharedSecret(key, peer));
  }
});

Deno.test("X25519 with a low-order point gives no secret", () => {
  const dh = createLibcryptoDh()!;
  const key = crypto.getRandomValues(new Uint8Array(32));
  for (
    const point of [
      "00".repeat(32),
      "01" + "00".repeat(31),
      "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
      "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
      "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ]
  ) {
    assert.equal(dh.sharedSecret(key, hex(point)), undefined, point);
  }
});
