/**
 * BLAKE2s (RFC 7693): plain, keyed, and HMAC over it (paper §5.4). Under a flood every packet costs one mac1, and a
 * handshake is some eighty compressions around four Diffie-Hellmans: a general library spends most of that on making
 * objects. Here one state serves all calls and only results are made.
 *
 * Not re-entrant, never asynchronous. Held against @noble/hashes by the tests. The state is overwritten by the next
 * call and never handed out, like the library's it is not wiped: secrets live as long in the caller's keys.
 */
const BLOCK = 64;
const HASH_LENGTH = 32;
const IPAD = 0x36, OPAD = 0x5c;
const IV = Uint32Array.of(
  ...[0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19],
);
const SIGMA = Uint8Array.of(
  ...[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
  ...[14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3],
  ...[11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4],
  ...[7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8],
  ...[9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13],
  ...[2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9],
  ...[12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11],
  ...[13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10],
  ...[6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5],
  ...[10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0],
);

const h = new Int32Array(8);
const buffer = new Uint8Array(BLOCK);
/** The block as words: every machine that this runs on is little-endian, as BLAKE2s is. */
const m = new Int32Array(buffer.buffer);
let filled = 0;
let hashed = 0;

/** Hash of a ‖ b, `length` bytes (1 to 32). With a key (1 to 32 bytes) it is a MAC. */
export function blake2s(
  length: number,
  a: Uint8Array,
  b?: Uint8Array,
  key?: Uint8Array,
): Uint8Array<ArrayBuffer> {
  start(length, key);
  absorb(a);
  if (b) absorb(b);
  return finish(length);
}

/** HMAC-BLAKE2s (RFC 2104) of one input; keys of 64 bytes at most. */
export function hmacBlake2s(key: Uint8Array, input: Uint8Array): Uint8Array<ArrayBuffer> {
  start(HASH_LENGTH);
  pad(key, IPAD);
  absorb(input);
  const inner = finish(HASH_LENGTH);
  start(HASH_LENGTH);
  pad(key, OPAD);
  absorb(inner);
  inner.fill(0);
  return finish(HASH_LENGTH);
}

function start(length: number, key?: Uint8Array): void {
  for (let i = 0; i < 8; i++) h[i] = IV[i]!;
  h[0] = h[0]! ^ 0x01010000 ^ (key ? key.length << 8 : 0) ^ length;
  filled = hashed = 0;
  if (!key) return;
  buffer.fill(0);
  buffer.set(key);
  filled = BLOCK;
}

function pad(key: Uint8Array, byte: number): void {
  buffer.fill(byte);
  for (let i = 0; i < key.length; i++) buffer[i] = key[i]! ^ byte;
  filled = BLOCK;
}

function absorb(bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length;) {
    if (filled === BLOCK) {
      compress(false);
      filled = 0;
    }
    const part = Math.min(BLOCK - filled, bytes.length - at);
    for (let i = 0; i < part; i++) buffer[filled + i] = bytes[at + i]!;
    filled += part;
    at += part;
  }
}

function finish(length: number): Uint8Array<ArrayBuffer> {
  buffer.fill(0, filled);
  compress(true);
  const digest = new Uint8Array(length);
  for (let i = 0; i < length; i++) digest[i] = h[i >> 2]! >>> (8 * (i & 3));
  return digest;
}

/**
 * Takes the block in `buffer`; `filled` bytes of it count. Messages stay below 2^32 bytes.
 *
 * The sixteen words are local variables, each mixing step (RFC 7693 §3.1) written out: much faster than an array.
 */
function compress(isLast: boolean): void {
  hashed += filled;
  let v0 = h[0]!, v1 = h[1]!, v2 = h[2]!, v3 = h[3]!, v4 = h[4]!, v5 = h[5]!, v6 = h[6]!, v7 = h[7]!;
  let v8 = IV[0]! | 0, v9 = IV[1]! | 0, v10 = IV[2]! | 0, v11 = IV[3]! | 0;
  let v12 = IV[4]! ^ hashed, v13 = IV[5]! | 0, v14 = IV[6]! ^ (isLast ? -1 : 0), v15 = IV[7]! | 0;
  // deno-fmt-ignore
  for (let s = 0; s < 160; s += 16) {
    v0 = (v0 + v4 | 0) + m[SIGMA[s]!]! | 0; v12 ^= v0; v12 = v12 >>> 16 | v12 << 16;
    v8 = v8 + v12 | 0; v4 ^= v8; v4 = v4 >>> 12 | v4 << 20;
    v0 = (v0 + v4 | 0) + m[SIGMA[s + 1]!]! | 0; v12 ^= v0; v12 = v12 >>> 8 | v12 << 24;
    v8 = v8 + v12 | 0; v4 ^= v8; v4 = v4 >>> 7 | v4 << 25;
    v1 = (v1 + v5 | 0) + m[SIGMA[s + 2]!]! | 0; v13 ^= v1; v13 = v13 >>> 16 | v13 << 16;
    v9 = v9 + v13 | 0; v5 ^= v9; v5 = v5 >>> 12 | v5 << 20;
    v1 = (v1 + v5 | 0) + m[SIGMA[s + 3]!]! | 0; v13 ^= v1; v13 = v13 >>> 8 | v13 << 24;
    v9 = v9 + v13 | 0; v5 ^= v9; v5 = v5 >>> 7 | v5 << 25;
    v2 = (v2 + v6 | 0) + m[SIGMA[s + 4]!]! | 0; v14 ^= v2; v14 = v14 >>> 16 | v14 << 16;
    v10 = v10 + v14 | 0; v6 ^= v10; v6 = v6 >>> 12 | v6 << 20;
    v2 = (v2 + v6 | 0) + m[SIGMA[s + 5]!]! | 0; v14 ^= v2; v14 = v14 >>> 8 | v14 << 24;
    v10 = v10 + v14 | 0; v6 ^= v10; v6 = v6 >>> 7 | v6 << 25;
    v3 = (v3 + v7 | 0) + m[SIGMA[s + 6]!]! | 0; v15 ^= v3; v15 = v15 >>> 16 | v15 << 16;
    v11 = v11 + v15 | 0; v7 ^= v11; v7 = v7 >>> 12 | v7 << 20;
    v3 = (v3 + v7 | 0) + m[SIGMA[s + 7]!]! | 0; v15 ^= v3; v15 = v15 >>> 8 | v15 << 24;
    v11 = v11 + v15 | 0; v7 ^= v11; v7 = v7 >>> 7 | v7 << 25;
    v0 = (v0 + v5 | 0) + m[SIGMA[s + 8]!]! | 0; v15 ^= v0; v15 = v15 >>> 16 | v15 << 16;
    v10 = v10 + v15 | 0; v5 ^= v10; v5 = v5 >>> 12 | v5 << 20;
    v0 = (v0 + v5 | 0) + m[SIGMA[s + 9]!]! | 0; v15 ^= v0; v15 = v15 >>> 8 | v15 << 24;
    v10 = v10 + v15 | 0; v5 ^= v10; v5 = v5 >>> 7 | v5 << 25;
    v1 = (v1 + v6 | 0) + m[SIGMA[s + 10]!]! | 0; v12 ^= v1; v12 = v12 >>> 16 | v12 << 16;
    v11 = v11 + v12 | 0; v6 ^= v11; v6 = v6 >>> 12 | v6 << 20;
    v1 = (v1 + v6 | 0) + m[SIGMA[s + 11]!]! | 0; v12 ^= v1; v12 = v12 >>> 8 | v12 << 24;
    v11 = v11 + v12 | 0; v6 ^= v11; v6 = v6 >>> 7 | v6 << 25;
    v2 = (v2 + v7 | 0) + m[SIGMA[s + 12]!]! | 0; v13 ^= v2; v13 = v13 >>> 16 | v13 << 16;
    v8 = v8 + v13 | 0; v7 ^= v8; v7 = v7 >>> 12 | v7 << 20;
    v2 = (v2 + v7 | 0) + m[SIGMA[s + 13]!]! | 0; v13 ^= v2; v13 = v13 >>> 8 | v13 << 24;
    v8 = v8 + v13 | 0; v7 ^= v8; v7 = v7 >>> 7 | v7 << 25;
    v3 = (v3 + v4 | 0) + m[SIGMA[s + 14]!]! | 0; v14 ^= v3; v14 = v14 >>> 16 | v14 << 16;
    v9 = v9 + v14 | 0; v4 ^= v9; v4 = v4 >>> 12 | v4 << 20;
    v3 = (v3 + v4 | 0) + m[SIGMA[s + 15]!]! | 0; v14 ^= v3; v14 = v14 >>> 8 | v14 << 24;
    v9 = v9 + v14 | 0; v4 ^= v9; v4 = v4 >>> 7 | v4 << 25;
  }
  h[0] = h[0]! ^ v0 ^ v8;
  h[1] = h[1]! ^ v1 ^ v9;
  h[2] = h[2]! ^ v2 ^ v10;
  h[3] = h[3]! ^ v3 ^ v11;
  h[4] = h[4]! ^ v4 ^ v12;
  h[5] = h[5]! ^ v5 ^ v13;
  h[6] = h[6]! ^ v6 ^ v14;
  h[7] = h[7]! ^ v7 ^ v15;
}
