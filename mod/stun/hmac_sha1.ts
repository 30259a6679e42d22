/**
 * HMAC-SHA1 (RFC 2104, FIPS 180-4) for MESSAGE-INTEGRITY. Connectivity checks are most of what a gateway with many
 * idle clients does, and a general library spends most of the time on making objects: here the two key blocks are
 * compressed once per key, and a message costs one compression per 64 bytes and one for the outer hash.
 *
 * Not re-entrant (one schedule for all), never asynchronous. Held against @noble/hashes by the tests.
 */
const BLOCK = 64;
const DIGEST = 20;
const IPAD = 0x36, OPAD = 0x5c;
const INITIAL = [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0];

const schedule = new Int32Array(80);
const state = new Int32Array(5);
/** What a compression reads when it can't read the message itself: key blocks, last blocks, the inner digest. */
const buffer = new Uint8Array(BLOCK);

export class HmacSha1 {
  readonly #inner = new Int32Array(5);
  readonly #outer = new Int32Array(5);

  constructor(key: Uint8Array) {
    const short = key.length > BLOCK ? sha1(key) : key;
    keyState(short, IPAD, this.#inner);
    keyState(short, OPAD, this.#outer);
  }

  /**
   * The 20-byte code of `head` (64 bytes at most) followed by bytes[start, end): written to `target` at `at`, which
   * may lie in `bytes` behind `end`. Returns `target`.
   */
  sign(
    head: Uint8Array,
    bytes: Uint8Array,
    start: number,
    end: number,
    target: Uint8Array = new Uint8Array(DIGEST),
    at = 0,
  ): Uint8Array {
    state.set(this.#inner);
    const length = head.length + end - start;
    let next = start, filled = head.length;
    for (let i = 0; i < filled; i++) buffer[i] = head[i]!;
    while (filled + end - next >= BLOCK) {
      if (filled === 0) {
        compress(bytes, next);
        next += BLOCK;
        continue;
      }
      while (filled < BLOCK) buffer[filled++] = bytes[next++]!;
      compress(buffer, 0);
      filled = 0;
    }
    while (next < end) buffer[filled++] = bytes[next++]!;
    finish(filled, BLOCK + length);
    writeState(buffer, 0);
    state.set(this.#outer);
    finish(DIGEST, BLOCK + DIGEST);
    writeState(target, at);
    return target;
  }
}

/** Only for keys longer than a block. */
function sha1(bytes: Uint8Array): Uint8Array {
  state.set(INITIAL);
  let at = 0;
  for (; at + BLOCK <= bytes.length; at += BLOCK) compress(bytes, at);
  buffer.set(bytes.subarray(at));
  finish(bytes.length - at, bytes.length);
  const digest = new Uint8Array(DIGEST);
  writeState(digest, 0);
  return digest;
}

function keyState(key: Uint8Array, pad: number, target: Int32Array): void {
  buffer.fill(pad);
  for (let i = 0; i < key.length; i++) buffer[i] = key[i]! ^ pad;
  state.set(INITIAL);
  compress(buffer, 0);
  target.set(state);
  buffer.fill(0);
}

/** Pads and compresses the last `filled` bytes, which are in `buffer`; `length` counts all bytes hashed. */
function finish(filled: number, length: number): void {
  buffer.fill(0, filled);
  buffer[filled] = 0x80;
  if (filled >= BLOCK - 8) {
    compress(buffer, 0);
    buffer.fill(0);
  }
  for (let i = 0; i < 4; i++) buffer[BLOCK - 1 - i] = (length << 3) >>> (8 * i);
  compress(buffer, 0);
}

function writeState(target: Uint8Array, at: number): void {
  for (let i = 0; i < DIGEST; i++) target[at + i] = state[i >> 2]! >>> (24 - 8 * (i & 3));
}

function compress(bytes: Uint8Array, offset: number): void {
  const w = schedule;
  for (let i = 0, at = offset; i < 16; i++, at += 4) {
    w[i] = bytes[at]! << 24 | bytes[at + 1]! << 16 | bytes[at + 2]! << 8 | bytes[at + 3]!;
  }
  for (let i = 16; i < 80; i++) {
    const x = w[i - 3]! ^ w[i - 8]! ^ w[i - 14]! ^ w[i - 16]!;
    w[i] = x << 1 | x >>> 31;
  }
  let a = state[0]!, b = state[1]!, c = state[2]!, d = state[3]!, e = state[4]!;
  for (let i = 0; i < 80; i++) {
    const f = i < 20
      ? (d ^ b & (c ^ d)) + 0x5a827999 | 0
      : i < 40
      ? (b ^ c ^ d) + 0x6ed9eba1 | 0
      : i < 60
      ? (b & c | d & (b | c)) - 0x70e44324 | 0
      : (b ^ c ^ d) - 0x359d3e2a | 0;
    const t = ((a << 5 | a >>> 27) + f | 0) + (e + w[i]! | 0) | 0;
    e = d;
    d = c;
    c = b << 30 | b >>> 2;
    b = a;
    a = t;
  }
  state[0] = state[0]! + a | 0;
  state[1] = state[1]! + b | 0;
  state[2] = state[2]! + c | 0;
  state[3] = state[3]! + d | 0;
  state[4] = state[4]! + e | 0;
}
