import assert from "node:assert/strict";
import fc from "fast-check";
import { NobleAead } from "../../mod/crypto/noble_aead.ts";
import { CHACHA20_POLY1305_WASM } from "../../mod/crypto/kernels/chacha20_poly1305_wasm.ts";
import { WasmAead } from "../../mod/crypto/wasm_aead.ts";
import { Slab } from "../../mod/packet/slab.ts";
import { seededRandom } from "./random.ts";

const slab = new Slab(4 * 65536);
const wasm = new WasmAead(slab), noble = new NobleAead(slab);
const message = slab.reserve(70000), guard = 64;
const random = seededRandom(99);

function sealed(
  aead: WasmAead | NobleAead,
  raw: Uint8Array,
  plaintext: Uint8Array,
  low: number,
  high: number,
) {
  const key = aead.createKey(raw);
  slab.bytes.fill(0xa5, message, message + plaintext.length + 2 * guard + 16);
  slab.bytes.set(plaintext, message + guard);
  key.seal(message + guard, plaintext.length, low, high);
  key.free();
  return slab.bytes.slice(message, message + plaintext.length + 2 * guard + 16);
}

Deno.test("every length from 0 to 1500 seals as the reference does, opens again, and no forgery opens", () => {
  for (let length = 0; length <= 1500; length++) {
    const raw = random(32),
      plaintext = random(length),
      low = length * 0x01010101 >>> 0,
      high = length << 20 >>> 0;
    const expected = sealed(noble, raw, plaintext, low, high);
    assert.deepEqual(sealed(wasm, raw, plaintext, low, high), expected, `length ${length}`);
    const key = wasm.createKey(raw);
    const flip = message + guard + (length * 7919) % (length + 16);
    slab.bytes[flip]! ^= 1 << (length & 7);
    assert.equal(key.open(message + guard, length + 16, low, high), false, `forgery of length ${length}`);
    slab.bytes.set(expected, message);
    assert.equal(key.open(message + guard, length + 16, low, high), true);
    assert.deepEqual(slab.bytes.slice(message + guard, message + guard + length), plaintext);
  }
});

Deno.test("a message of 65,535 bytes, whose block counter passes 1023, seals as the reference does", () => {
  const raw = random(32), plaintext = random(65535);
  assert.deepEqual(sealed(wasm, raw, plaintext, 1, 2), sealed(noble, raw, plaintext, 1, 2));
});

Deno.test("the key stream does not stay in the slab", () => {
  const small = new Slab(65536);
  const key = new WasmAead(small).createKey(random(32));
  const at = small.reserve(1024);
  for (const length of [0, 5, 192, 200, 448, 500]) {
    key.seal(at, length, 7, 0);
    small.bytes[at]! ^= 1;
    key.open(at, length + 16, 7, 0);
    small.bytes[at]! ^= 1;
    key.open(at, length + 16, 7, 0);
    small.bytes.fill(0, at, at + 1024);
    assert.ok(small.bytes.every((b) => b === 0), `length ${length}`);
  }
});

/** Poly1305 (RFC 8439 §2.5) in big integers over the padded text and its length, with the one-time key r, s. */
function poly1305(text: Uint8Array, r: bigint, s: bigint): bigint {
  const p = (1n << 130n) - 5n;
  const number = (bytes: Uint8Array) => bytes.reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
  let h = 0n;
  for (let i = 0; i < text.length; i += 16) h = (h + number(text.subarray(i, i + 16)) + (1n << 128n)) * r % p;
  h = (h + (BigInt(text.length) << 64n) + (1n << 128n)) * r % p;
  return (h + s) & ((1n << 128n) - 1n);
}

Deno.test("Poly1305 agrees with big integers at the modulus and at every carry", () => {
  const binary = Uint8Array.from(atob(CHACHA20_POLY1305_WASM), (c) => c.charCodeAt(0));
  const instance = new WebAssembly.Instance(new WebAssembly.Module(binary), { env: { memory: slab.memory } });
  const authenticate = instance.exports["authenticate"] as (at: number, length: number, key: number) => void;
  const oneTimeKey = slab.reserve(64);
  const write = (at: number, value: bigint, length: number) => {
    for (let i = 0; i < length; i++) slab.bytes[at + i] = Number((value >> BigInt(8 * i)) & 255n);
  };
  const check = (blocks: bigint[], r: bigint, s: bigint) => {
    blocks.forEach((block, i) => write(message + 16 * i, block, 16));
    write(oneTimeKey, r, 16);
    write(oneTimeKey + 16, s, 16);
    const text = slab.bytes.slice(message, message + 16 * blocks.length);
    authenticate(message, text.length, oneTimeKey);
    const expected = poly1305(text, r, s);
    write(oneTimeKey + 32, expected, 16);
    assert.deepEqual(
      slab.bytes.slice(oneTimeKey, oneTimeKey + 16),
      slab.bytes.slice(oneTimeKey + 32, oneTimeKey + 48),
      `${blocks} ${r} ${s}`,
    );
  };
  const top = (1n << 128n) - 1n, rMax = 0x0ffffffc0ffffffc0ffffffc0fffffffn;
  for (let k = -12n; k <= 12n; k++) {
    // r = 1 makes the result the plain sum, which is put just below, at, and above the modulus and twice it.
    for (const count of [1, 2, 3, 5, 6, 7]) {
      const length = BigInt(16 * count) << 64n, marks = BigInt(count + 1) << 128n;
      for (const multiple of [1n, 2n]) {
        let rest = multiple * ((1n << 130n) - 5n) + k - length - marks;
        if (rest < 0n || rest > top * BigInt(count)) continue;
        const blocks = Array.from({ length: count }, () => {
          const block = rest > top ? top : rest;
          rest -= block;
          return block;
        });
        for (const s of [0n, 1n, top]) check(blocks, 1n, s);
      }
    }
  }
  for (const r of [0n, 1n, 4n << 32n, rMax, 0x0ffffffc000000000000000000000000n]) {
    for (const block of [0n, 1n, top, 1n << 127n, (1n << 64n) - 1n, 0x3ffffffn]) {
      for (let count = 0; count < 9; count++) check(new Array<bigint>(count).fill(block), r, top);
    }
  }
  const anyBlock = fc.bigInt({ min: 0n, max: top });
  fc.assert(fc.property(fc.array(anyBlock, { maxLength: 9 }), anyBlock, anyBlock, (blocks, r, s) => {
    check(blocks, r & rMax, s);
  }));
});

Deno.test("freeing a key leaves others usable", () => {
  const first = wasm.createKey(random(32)), raw = random(32), second = wasm.createKey(raw);
  second.seal(message, 100, 1, 0);
  const once = slab.bytes.slice(message, message + 116);
  first.seal(message, 100, 1, 0);
  second.free();
  second.free();
  first.free();
  const again = wasm.createKey(raw);
  slab.bytes.set(once, message);
  assert.ok(again.open(message, 116, 1, 0));
});
