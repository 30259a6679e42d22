// AssemblyScript (TypeScript syntax, compiled to WebAssembly by build.ts; not a Deno module).
//
// The Internet checksum (RFC 1071) over the slab, 64 bytes a round with SIMD128. Words are summed as the machine
// loads them (little-endian) and the folded sum is byte-swapped once at the end: RFC 1071 section 2 (B). Each of the
// four 32-bit lanes grows by at most 2 * 65535 per 16 bytes, so nothing overflows below 512 KiB.

/** Folds a little-endian sum, swaps it to network order, adds `initial` (any u32) and folds again. */
// @ts-ignore: decorator
@inline
function finish(sum: u64, initial: u32): u32 {
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  let total: u32 = (((sum as u32) & 0xff) << 8) | ((sum as u32) >> 8);
  total += (initial & 0xffff) + (initial >> 16);
  total = (total & 0xffff) + (total >> 16);
  return (total & 0xffff) + (total >> 16);
}

// @ts-ignore: decorator
@inline
function lanes(sum: v128): u64 {
  return (i32x4.extract_lane(sum, 0) as u32 as u64) + (i32x4.extract_lane(sum, 1) as u32 as u64) +
    (i32x4.extract_lane(sum, 2) as u32 as u64) + (i32x4.extract_lane(sum, 3) as u32 as u64);
}

/** One's-complement sum of `length` bytes at `at` plus `initial`: 16 bits, network order, not complemented. */
export function checksum(at: usize, length: i32, initial: u32): u32 {
  let a = i32x4.splat(0), b = i32x4.splat(0);
  while (length >= 64) {
    a = i32x4.add(a, i32x4.extadd_pairwise_i16x8_u(v128.load(at)));
    b = i32x4.add(b, i32x4.extadd_pairwise_i16x8_u(v128.load(at, 16)));
    a = i32x4.add(a, i32x4.extadd_pairwise_i16x8_u(v128.load(at, 32)));
    b = i32x4.add(b, i32x4.extadd_pairwise_i16x8_u(v128.load(at, 48)));
    at += 64;
    length -= 64;
  }
  while (length >= 16) {
    a = i32x4.add(a, i32x4.extadd_pairwise_i16x8_u(v128.load(at)));
    at += 16;
    length -= 16;
  }
  let sum: u64 = lanes(i32x4.add(a, b));
  if (length & 8) {
    const word = load<u64>(at);
    sum += (word & 0xffffffff) + (word >> 32);
    at += 8;
  }
  if (length & 4) {
    sum += load<u32>(at);
    at += 4;
  }
  if (length & 2) {
    sum += load<u16>(at);
    at += 2;
  }
  if (length & 1) sum += load<u8>(at);
  return finish(sum, initial);
}

/** Copies `length` bytes from `from` to `to` (not overlapping) and returns their sum as `checksum` does. */
export function copyChecksum(to: usize, from: usize, length: i32, initial: u32): u32 {
  let a = i32x4.splat(0), b = i32x4.splat(0);
  while (length >= 64) {
    const v0 = v128.load(from), v1 = v128.load(from, 16), v2 = v128.load(from, 32), v3 = v128.load(from, 48);
    v128.store(to, v0);
    v128.store(to, v1, 16);
    v128.store(to, v2, 32);
    v128.store(to, v3, 48);
    a = i32x4.add(a, i32x4.extadd_pairwise_i16x8_u(v0));
    b = i32x4.add(b, i32x4.extadd_pairwise_i16x8_u(v1));
    a = i32x4.add(a, i32x4.extadd_pairwise_i16x8_u(v2));
    b = i32x4.add(b, i32x4.extadd_pairwise_i16x8_u(v3));
    from += 64;
    to += 64;
    length -= 64;
  }
  while (length >= 16) {
    const v = v128.load(from);
    v128.store(to, v);
    a = i32x4.add(a, i32x4.extadd_pairwise_i16x8_u(v));
    from += 16;
    to += 16;
    length -= 16;
  }
  let sum: u64 = lanes(i32x4.add(a, b));
  if (length & 8) {
    const word = load<u64>(from);
    store<u64>(to, word);
    sum += (word & 0xffffffff) + (word >> 32);
    from += 8;
    to += 8;
  }
  if (length & 4) {
    const word = load<u32>(from);
    store<u32>(to, word);
    sum += word;
    from += 4;
    to += 4;
  }
  if (length & 2) {
    const word = load<u16>(from);
    store<u16>(to, word);
    sum += word;
    from += 2;
    to += 2;
  }
  if (length & 1) {
    const word = load<u8>(from);
    store<u8>(to, word);
    sum += word;
  }
  return finish(sum, initial);
}
