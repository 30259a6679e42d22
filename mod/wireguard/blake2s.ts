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
const v = new Int32Array(16);
const m = new Int32Array(16);
const buffer = new Uint8Array(BLOCK);
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

/** Takes the block in `buffer`; `filled` bytes of it count. Messages stay below 2^32 bytes. */
function compress(isLast: boolean): void {
  hashed += filled;
  for (let i = 0, at = 0; i < 16; i++, at += 4) {
    m[i] = buffer[at]! | buffer[at + 1]! << 8 | buffer[at + 2]! << 16 | buffer[at + 3]! << 24;
  }
  for (let i = 0; i < 8; i++) {
    v[i] = h[i]!;
    v[i + 8] = IV[i]!;
  }
  v[12] = v[12]! ^ hashed;
  if (isLast) v[14] = ~v[14]!;
  for (let s = 0; s < 160; s += 16) {
    mix(0, 4, 8, 12, m[SIGMA[s]!]!, m[SIGMA[s + 1]!]!);
    mix(1, 5, 9, 13, m[SIGMA[s + 2]!]!, m[SIGMA[s + 3]!]!);
    mix(2, 6, 10, 14, m[SIGMA[s + 4]!]!, m[SIGMA[s + 5]!]!);
    mix(3, 7, 11, 15, m[SIGMA[s + 6]!]!, m[SIGMA[s + 7]!]!);
    mix(0, 5, 10, 15, m[SIGMA[s + 8]!]!, m[SIGMA[s + 9]!]!);
    mix(1, 6, 11, 12, m[SIGMA[s + 10]!]!, m[SIGMA[s + 11]!]!);
    mix(2, 7, 8, 13, m[SIGMA[s + 12]!]!, m[SIGMA[s + 13]!]!);
    mix(3, 4, 9, 14, m[SIGMA[s + 14]!]!, m[SIGMA[s + 15]!]!);
  }
  for (let i = 0; i < 8; i++) h[i] = h[i]! ^ v[i]! ^ v[i + 8]!;
}

function mix(a: number, b: number, c: number, d: number, x: number, y: number): void {
  let va = v[a]!, vb = v[b]!, vc = v[c]!, vd = v[d]!;
  va = (va + vb | 0) + x | 0;
  vd ^= va;
  vd = vd >>> 16 | vd << 16;
  vc = vc + vd | 0;
  vb ^= vc;
  vb = vb >>> 12 | vb << 20;
  va = (va + vb | 0) + y | 0;
  vd ^= va;
  vd = vd >>> 8 | vd << 24;
  vc = vc + vd | 0;
  vb ^= vc;
  v[a] = va;
  v[b] = vb >>> 7 | vb << 25;
  v[c] = vc;
  v[d] = vd;
}
