// AssemblyScript (TypeScript syntax, compiled to WebAssembly by mod/packet/kernels/build.ts; not a Deno module).
//
// ChaCha20-Poly1305 (RFC 8439) in place over the slab, without additional data, nonce = 4 zero bytes ++ 64-bit counter.
//
// ChaCha20 works on four blocks at once: vector i holds word i of four consecutive blocks. The first group's block 0
// is the one-time Poly1305 key, its blocks 1 to 3 the key stream of the first 192 bytes; they wait in `scratch`.
// Poly1305 uses five 26-bit limbs in 64-bit integers and takes two blocks a step: h = (h + m1) * r^2 + m2 * r.
// Nothing branches on, or indexes by, secret data. The key travels in arguments and globals, never through the slab.

// @ts-ignore: decorator
@inline const MASK: u64 = 0x3ffffff;

let k0: i32 = 0, k1: i32 = 0, k2: i32 = 0, k3: i32 = 0, k4: i32 = 0, k5: i32 = 0, k6: i32 = 0, k7: i32 = 0;
let nonceLow: i32 = 0, nonceHigh: i32 = 0;

// @ts-ignore: decorator
@inline
function rotate16(x: v128): v128 {
  return i8x16.shuffle(x, x, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13);
}
// @ts-ignore: decorator
@inline
function rotate12(x: v128): v128 {
  return v128.or(i32x4.shl(x, 12), i32x4.shr_u(x, 20));
}
// @ts-ignore: decorator
@inline
function rotate8(x: v128): v128 {
  return i8x16.swizzle(x, i8x16(3, 0, 1, 2, 7, 4, 5, 6, 11, 8, 9, 10, 15, 12, 13, 14));
}
// @ts-ignore: decorator
@inline
function rotate7(x: v128): v128 {
  return v128.or(i32x4.shl(x, 7), i32x4.shr_u(x, 25));
}

// @ts-ignore: decorator
@inline
function lowWords(a: v128, b: v128): v128 {
  return i8x16.shuffle(a, b, 0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23);
}
// @ts-ignore: decorator
@inline
function highWords(a: v128, b: v128): v128 {
  return i8x16.shuffle(a, b, 8, 9, 10, 11, 24, 25, 26, 27, 12, 13, 14, 15, 28, 29, 30, 31);
}
// @ts-ignore: decorator
@inline
function lowHalves(a: v128, b: v128): v128 {
  return i8x16.shuffle(a, b, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23);
}
// @ts-ignore: decorator
@inline
function highHalves(a: v128, b: v128): v128 {
  return i8x16.shuffle(a, b, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31);
}

/** Turns words a..d of four blocks into 16 bytes of each block and adds them (xor) to memory, 64 bytes apart. */
// @ts-ignore: decorator
@inline
function mix(at: usize, a: v128, b: v128, c: v128, d: v128): void {
  const ab = lowWords(a, b), cd = lowWords(c, d), ab2 = highWords(a, b), cd2 = highWords(c, d);
  v128.store(at, v128.xor(v128.load(at), lowHalves(ab, cd)));
  v128.store(at, v128.xor(v128.load(at, 64), highHalves(ab, cd)), 64);
  v128.store(at, v128.xor(v128.load(at, 128), lowHalves(ab2, cd2)), 128);
  v128.store(at, v128.xor(v128.load(at, 192), highHalves(ab2, cd2)), 192);
}

/** Adds (xor) the key stream of blocks counter .. counter+3 to the 256 bytes at `at`. */
function group(at: usize, counter: i32): void {
  let x0 = i32x4.splat(0x61707865), x1 = i32x4.splat(0x3320646e);
  let x2 = i32x4.splat(0x79622d32), x3 = i32x4.splat(0x6b206574);
  let x4 = i32x4.splat(k0), x5 = i32x4.splat(k1), x6 = i32x4.splat(k2), x7 = i32x4.splat(k3);
  let x8 = i32x4.splat(k4), x9 = i32x4.splat(k5), x10 = i32x4.splat(k6), x11 = i32x4.splat(k7);
  const counters = i32x4.add(i32x4.splat(counter), i32x4(0, 1, 2, 3));
  let x12 = counters, x13 = i32x4.splat(0), x14 = i32x4.splat(nonceLow), x15 = i32x4.splat(nonceHigh);
  for (let i = 0; i < 10; i++) {
    x0 = i32x4.add(x0, x4);
    x1 = i32x4.add(x1, x5);
    x2 = i32x4.add(x2, x6);
    x3 = i32x4.add(x3, x7);
    x12 = rotate16(v128.xor(x12, x0));
    x13 = rotate16(v128.xor(x13, x1));
    x14 = rotate16(v128.xor(x14, x2));
    x15 = rotate16(v128.xor(x15, x3));
    x8 = i32x4.add(x8, x12);
    x9 = i32x4.add(x9, x13);
    x10 = i32x4.add(x10, x14);
    x11 = i32x4.add(x11, x15);
    x4 = rotate12(v128.xor(x4, x8));
    x5 = rotate12(v128.xor(x5, x9));
    x6 = rotate12(v128.xor(x6, x10));
    x7 = rotate12(v128.xor(x7, x11));
    x0 = i32x4.add(x0, x4);
    x1 = i32x4.add(x1, x5);
    x2 = i32x4.add(x2, x6);
    x3 = i32x4.add(x3, x7);
    x12 = rotate8(v128.xor(x12, x0));
    x13 = rotate8(v128.xor(x13, x1));
    x14 = rotate8(v128.xor(x14, x2));
    x15 = rotate8(v128.xor(x15, x3));
    x8 = i32x4.add(x8, x12);
    x9 = i32x4.add(x9, x13);
    x10 = i32x4.add(x10, x14);
    x11 = i32x4.add(x11, x15);
    x4 = rotate7(v128.xor(x4, x8));
    x5 = rotate7(v128.xor(x5, x9));
    x6 = rotate7(v128.xor(x6, x10));
    x7 = rotate7(v128.xor(x7, x11));
    x0 = i32x4.add(x0, x5);
    x1 = i32x4.add(x1, x6);
    x2 = i32x4.add(x2, x7);
    x3 = i32x4.add(x3, x4);
    x15 = rotate16(v128.xor(x15, x0));
    x12 = rotate16(v128.xor(x12, x1));
    x13 = rotate16(v128.xor(x13, x2));
    x14 = rotate16(v128.xor(x14, x3));
    x10 = i32x4.add(x10, x15);
    x11 = i32x4.add(x11, x12);
    x8 = i32x4.add(x8, x13);
    x9 = i32x4.add(x9, x14);
    x5 = rotate12(v128.xor(x5, x10));
    x6 = rotate12(v128.xor(x6, x11));
    x7 = rotate12(v128.xor(x7, x8));
    x4 = rotate12(v128.xor(x4, x9));
    x0 = i32x4.add(x0, x5);
    x1 = i32x4.add(x1, x6);
    x2 = i32x4.add(x2, x7);
    x3 = i32x4.add(x3, x4);
    x15 = rotate8(v128.xor(x15, x0));
    x12 = rotate8(v128.xor(x12, x1));
    x13 = rotate8(v128.xor(x13, x2));
    x14 = rotate8(v128.xor(x14, x3));
    x10 = i32x4.add(x10, x15);
    x11 = i32x4.add(x11, x12);
    x8 = i32x4.add(x8, x13);
    x9 = i32x4.add(x9, x14);
    x5 = rotate7(v128.xor(x5, x10));
    x6 = rotate7(v128.xor(x6, x11));
    x7 = rotate7(v128.xor(x7, x8));
    x4 = rotate7(v128.xor(x4, x9));
  }
  mix(
    at,
    i32x4.add(x0, i32x4.splat(0x61707865)),
    i32x4.add(x1, i32x4.splat(0x3320646e)),
    i32x4.add(x2, i32x4.splat(0x79622d32)),
    i32x4.add(x3, i32x4.splat(0x6b206574)),
  );
  mix(
    at + 16,
    i32x4.add(x4, i32x4.splat(k0)),
    i32x4.add(x5, i32x4.splat(k1)),
    i32x4.add(x6, i32x4.splat(k2)),
    i32x4.add(x7, i32x4.splat(k3)),
  );
  mix(
    at + 32,
    i32x4.add(x8, i32x4.splat(k4)),
    i32x4.add(x9, i32x4.splat(k5)),
    i32x4.add(x10, i32x4.splat(k6)),
    i32x4.add(x11, i32x4.splat(k7)),
  );
  mix(
    at + 48,
    i32x4.add(x12, counters),
    x13,
    i32x4.add(x14, i32x4.splat(nonceLow)),
    i32x4.add(x15, i32x4.splat(nonceHigh)),
  );
}

/** Sets 256 bytes to zero. */
function clear(at: usize): void {
  for (let i: usize = 0; i < 256; i += 16) v128.store(at + i, i32x4.splat(0));
}

/** Adds (xor) `length` bytes, at most 256, of `from` to those at `to`. */
function add(to: usize, from: usize, length: i32): void {
  while (length >= 16) {
    v128.store(to, v128.xor(v128.load(to), v128.load(from)));
    to += 16;
    from += 16;
    length -= 16;
  }
  for (let i: i32 = 0; i < length; i++) {
    store<u8>(to + i, load<u8>(to + i) ^ load<u8>(from + i));
  }
}

/** Encrypts or decrypts; the key stream of the first 192 bytes is at `scratch` + 64. Leaves `scratch` zero. */
function crypt(at: usize, length: i32, scratch: usize): void {
  add(at, scratch + 64, length < 192 ? length : 192);
  at += 192;
  length -= 192;
  let counter = 4;
  while (length >= 256) {
    group(at, counter);
    at += 256;
    length -= 256;
    counter += 4;
  }
  clear(scratch);
  if (length > 0) {
    group(scratch, counter);
    add(at, scratch, length);
    clear(scratch);
  }
}

/** Poly1305 over the padded message and its length; the tag takes the place of the first half of the one-time `key`. */
export function authenticate(at: usize, length: i32, key: usize): void {
  const rLow = load<u64>(key) & 0x0ffffffc0fffffff, rHigh = load<u64>(key, 8) & 0x0ffffffc0ffffffc;
  const r0 = rLow & MASK, r1 = (rLow >> 26) & MASK, r2 = ((rLow >> 52) | (rHigh << 12)) & MASK;
  const r3 = (rHigh >> 14) & MASK, r4 = rHigh >> 40;
  const s1 = r1 * 5, s2 = r2 * 5, s3 = r3 * 5, s4 = r4 * 5;

  // q = r^2, carried
  let q0 = r0 * r0 + 2 * (r1 * s4 + r2 * s3), q1 = 2 * (r0 * r1 + r2 * s4) + r3 * s3;
  let q2 = 2 * (r0 * r2 + r3 * s4) + r1 * r1, q3 = 2 * (r0 * r3 + r1 * r2) + r4 * s4;
  let q4 = 2 * (r0 * r4 + r1 * r3) + r2 * r2;
  q1 += q0 >> 26;
  q0 &= MASK;
  q2 += q1 >> 26;
  q1 &= MASK;
  q3 += q2 >> 26;
  q2 &= MASK;
  q4 += q3 >> 26;
  q3 &= MASK;
  q0 += (q4 >> 26) * 5;
  q4 &= MASK;
  q1 += q0 >> 26;
  q0 &= MASK;
  const u1 = q1 * 5, u2 = q2 * 5, u3 = q3 * 5, u4 = q4 * 5;

  let h0: u64 = 0, h1: u64 = 0, h2: u64 = 0, h3: u64 = 0, h4: u64 = 0;
  const total = length;
  while (length >= 32) {
    const a = load<u64>(at), b = load<u64>(at, 8), c = load<u64>(at, 16), d = load<u64>(at, 24);
    h0 += a & MASK;
    h1 += (a >> 26) & MASK;
    h2 += ((a >> 52) | (b << 12)) & MASK;
    h3 += (b >> 14) & MASK;
    h4 += (b >> 40) | 0x1000000;
    const m0 = c & MASK, m1 = (c >> 26) & MASK, m2 = ((c >> 52) | (d << 12)) & MASK;
    const m3 = (d >> 14) & MASK, m4 = (d >> 40) | 0x1000000;
    let d0 = h0 * q0 + h1 * u4 + h2 * u3 + h3 * u2 + h4 * u1 + m0 * r0 + m1 * s4 + m2 * s3 + m3 * s2 + m4 * s1;
    let d1 = h0 * q1 + h1 * q0 + h2 * u4 + h3 * u3 + h4 * u2 + m0 * r1 + m1 * r0 + m2 * s4 + m3 * s3 + m4 * s2;
    let d2 = h0 * q2 + h1 * q1 + h2 * q0 + h3 * u4 + h4 * u3 + m0 * r2 + m1 * r1 + m2 * r0 + m3 * s4 + m4 * s3;
    let d3 = h0 * q3 + h1 * q2 + h2 * q1 + h3 * q0 + h4 * u4 + m0 * r3 + m1 * r2 + m2 * r1 + m3 * r0 + m4 * s4;
    let d4 = h0 * q4 + h1 * q3 + h2 * q2 + h3 * q1 + h4 * q0 + m0 * r4 + m1 * r3 + m2 * r2 + m3 * r1 + m4 * r0;
    d1 += d0 >> 26;
    h0 = d0 & MASK;
    d2 += d1 >> 26;
    h1 = d1 & MASK;
    d3 += d2 >> 26;
    h2 = d2 & MASK;
    d4 += d3 >> 26;
    h3 = d3 & MASK;
    h0 += (d4 >> 26) * 5;
    h4 = d4 & MASK;
    h1 += h0 >> 26;
    h0 &= MASK;
    at += 32;
    length -= 32;
  }
  // What is left: a whole block, a part of one (padded with zeros), and the block of lengths.
  for (let last = false; !last;) {
    let a: u64 = 0, b: u64 = total as u64;
    if (length >= 16) {
      a = load<u64>(at);
      b = load<u64>(at, 8);
    } else if (length > 0) {
      b = 0;
      for (let i: i32 = 0; i < length; i++) {
        const byte = load<u8>(at + i) as u64;
        if (i < 8) a |= byte << (8 * i);
        else b |= byte << (8 * (i - 8));
      }
    } else {
      last = true;
    }
    at += 16;
    length -= 16;
    h0 += a & MASK;
    h1 += (a >> 26) & MASK;
    h2 += ((a >> 52) | (b << 12)) & MASK;
    h3 += (b >> 14) & MASK;
    h4 += (b >> 40) | 0x1000000;
    let d0 = h0 * r0 + h1 * s4 + h2 * s3 + h3 * s2 + h4 * s1;
    let d1 = h0 * r1 + h1 * r0 + h2 * s4 + h3 * s3 + h4 * s2;
    let d2 = h0 * r2 + h1 * r1 + h2 * r0 + h3 * s4 + h4 * s3;
    let d3 = h0 * r3 + h1 * r2 + h2 * r1 + h3 * r0 + h4 * s4;
    let d4 = h0 * r4 + h1 * r3 + h2 * r2 + h3 * r1 + h4 * r0;
    d1 += d0 >> 26;
    h0 = d0 & MASK;
    d2 += d1 >> 26;
    h1 = d1 & MASK;
    d3 += d2 >> 26;
    h2 = d2 & MASK;
    d4 += d3 >> 26;
    h3 = d3 & MASK;
    h0 += (d4 >> 26) * 5;
    h4 = d4 & MASK;
    h1 += h0 >> 26;
    h0 &= MASK;
  }

  // Carry in full (the second round is for a carry that wrapped), then take h - p when it is not negative.
  for (let i = 0; i < 2; i++) {
    h1 += h0 >> 26;
    h0 &= MASK;
    h2 += h1 >> 26;
    h1 &= MASK;
    h3 += h2 >> 26;
    h2 &= MASK;
    h4 += h3 >> 26;
    h3 &= MASK;
    h0 += (h4 >> 26) * 5;
    h4 &= MASK;
  }
  let g0 = h0 + 5;
  let g1 = h1 + (g0 >> 26);
  g0 &= MASK;
  let g2 = h2 + (g1 >> 26);
  g1 &= MASK;
  let g3 = h3 + (g2 >> 26);
  g2 &= MASK;
  const g4 = h4 + (g3 >> 26) - (1 << 26);
  g3 &= MASK;
  const keep: u64 = 0 - (g4 >> 63); // all ones when h < p
  h0 = (h0 & keep) | (g0 & ~keep);
  h1 = (h1 & keep) | (g1 & ~keep);
  h2 = (h2 & keep) | (g2 & ~keep);
  h3 = (h3 & keep) | (g3 & ~keep);
  h4 = (h4 & keep) | (g4 & ~keep);

  const low = h0 | (h1 << 26) | (h2 << 52), high = (h2 >> 12) | (h3 << 14) | (h4 << 40);
  const tagLow = low + load<u64>(key, 16);
  store<u64>(key, tagLow);
  store<u64>(key, high + load<u64>(key, 24) + (tagLow < low ? 1 : 0), 8);
}

/** Takes the key and nonce, and puts the key stream of blocks 0 to 3 into `scratch`. */
// @ts-ignore: decorator
@inline
function start(
  scratch: usize,
  a: i32,
  b: i32,
  c: i32,
  d: i32,
  e: i32,
  f: i32,
  g: i32,
  h: i32,
  counterLow: i32,
  counterHigh: i32,
): void {
  k0 = a;
  k1 = b;
  k2 = c;
  k3 = d;
  k4 = e;
  k5 = f;
  k6 = g;
  k7 = h;
  nonceLow = counterLow;
  nonceHigh = counterHigh;
  clear(scratch);
  group(scratch, 0);
}

/** Seals `length` bytes at `at`; the tag goes behind them. `scratch`: 256 bytes, zero again on return. */
export function seal(
  at: usize,
  length: i32,
  scratch: usize,
  a: i32,
  b: i32,
  c: i32,
  d: i32,
  e: i32,
  f: i32,
  g: i32,
  h: i32,
  counterLow: i32,
  counterHigh: i32,
): void {
  start(scratch, a, b, c, d, e, f, g, h, counterLow, counterHigh);
  const keyLow = v128.load(scratch), keyHigh = v128.load(scratch, 16);
  crypt(at, length, scratch);
  v128.store(scratch, keyLow);
  v128.store(scratch, keyHigh, 16);
  authenticate(at, length, scratch);
  v128.store(at + length, v128.load(scratch));
  v128.store(scratch, i32x4.splat(0));
  v128.store(scratch, i32x4.splat(0), 16);
}

/** Opens `length` ciphertext bytes at `at` whose tag follows: 1 and the plaintext, or 0 and nothing changed. */
export function open(
  at: usize,
  length: i32,
  scratch: usize,
  a: i32,
  b: i32,
  c: i32,
  d: i32,
  e: i32,
  f: i32,
  g: i32,
  h: i32,
  counterLow: i32,
  counterHigh: i32,
): i32 {
  start(scratch, a, b, c, d, e, f, g, h, counterLow, counterHigh);
  authenticate(at, length, scratch);
  if (v128.any_true(v128.xor(v128.load(scratch), v128.load(at + length)))) {
    clear(scratch);
    return 0;
  }
  crypt(at, length, scratch);
  return 1;
}

/** Forgets the key of the last call. */
export function wipe(): void {
  k0 = k1 = k2 = k3 = k4 = k5 = k6 = k7 = 0;
  nonceLow = nonceHigh = 0;
}
