import assert from "node:assert/strict";
import fc from "fast-check";
import { sumBytes } from "../../mod/packet/checksum.ts";
import { Kernels } from "../../mod/packet/kernels/kernels.ts";
import { Slab } from "../../mod/packet/slab.ts";

const slab = new Slab(4 * 65536);
const kernels = new Kernels(slab);
const source = slab.reserve(70000);
const destination = slab.reserve(70000);

Deno.test("the kernels agree with the reference for every length 0 to 1500 and every alignment", () => {
  for (let i = 0; i < 1600; i++) slab.bytes[source + i] = (i * 167 + (i >> 3)) & 255;
  for (let length = 0; length <= 1500; length++) {
    const from = source + (length & 15);
    const expected = sumBytes(slab.bytes, from, length, length * 77);
    assert.equal(kernels.checksum(from, length, length * 77), expected);
    slab.bytes.fill(0xee, destination, destination + length + 2);
    const to = destination + (length % 3);
    assert.equal(kernels.copyChecksum(to, from, length, length * 77), expected);
    assert.deepEqual(
      slab.bytes.subarray(to, to + length),
      slab.bytes.subarray(from, from + length),
      "bytes were copied",
    );
    if (length % 3 !== 2) assert.equal(slab.bytes[to + length], 0xee, "nothing was written behind");
  }
});

Deno.test("sums of extreme bytes and initial values do not overflow", () => {
  slab.bytes.fill(0xff, source, source + 65536);
  for (const length of [0, 1, 2, 15, 16, 64, 65535, 65536]) {
    for (const initial of [0, 1, 0xffff, 0x10000, 0xffffffff]) {
      assert.equal(kernels.checksum(source, length, initial), sumBytes(slab.bytes, source, length, initial));
    }
  }
});

Deno.test("zero bytes sum to zero, the RFC 1071 example to 0xddf2", () => {
  slab.bytes.fill(0, source, source + 100);
  assert.equal(kernels.checksum(source, 100, 0), 0);
  slab.bytes.set([0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7], source);
  assert.equal(kernels.checksum(source, 8, 0), 0xddf2);
});

Deno.test("property: kernels and reference agree on any bytes", () => {
  const input = fc.tuple(fc.uint8Array({ maxLength: 300 }), fc.nat(63), fc.nat({ max: 0xffffffff }));
  fc.assert(fc.property(input, ([bytes, shift, initial]) => {
    slab.bytes.set(bytes, source + shift);
    const expected = sumBytes(bytes, 0, bytes.length, initial);
    assert.equal(kernels.checksum(source + shift, bytes.length, initial), expected);
    assert.equal(kernels.copyChecksum(destination, source + shift, bytes.length, initial), expected);
    assert.deepEqual(slab.bytes.slice(destination, destination + bytes.length), bytes);
  }));
});
