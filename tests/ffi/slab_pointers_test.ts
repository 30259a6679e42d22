import assert from "node:assert/strict";
import { MAX_KEPT, SlabPointers } from "../../ffi/slab_pointers.ts";
import { Slab } from "../../mod/packet/slab.ts";

const address = (pointer: Deno.PointerObject) => Deno.UnsafePointer.value(pointer);

Deno.test("a pointer names the slab's bytes at its offset", () => {
  const slab = new Slab(65536), pointers = SlabPointers.of(slab);
  slab.bytes.set([1, 2, 3, 4], 4096);
  assert.deepEqual(
    new Uint8Array(Deno.UnsafePointerView.getArrayBuffer(pointers.at(4096), 4)),
    Uint8Array.of(1, 2, 3, 4),
  );
  const base = BigInt(slab.baseHigh) << 32n | BigInt(slab.baseLow);
  assert.equal(address(pointers.at(4096)), base + 4096n);
});

Deno.test("pointers are made once, and a slab has one set of them", () => {
  const slab = new Slab(65536);
  assert.equal(SlabPointers.of(slab), SlabPointers.of(slab));
  assert.equal(SlabPointers.of(slab).at(400), SlabPointers.of(slab).at(400));
});

Deno.test("an offset that is unaligned or outside the slab gets no pointer", () => {
  const slab = new Slab(65536), pointers = SlabPointers.of(slab);
  for (const offset of [1, 2, 3, 4097, -4, 65536, 65540, 0.5, NaN, Infinity]) {
    assert.throws(() => pointers.at(offset), RangeError, String(offset));
  }
  assert.ok(pointers.at(65532));
});

Deno.test("a C pointer field is written as a 64-bit address, with its carry", () => {
  const slab = new Slab(65536), pointers = SlabPointers.of(slab);
  pointers.write(128, 4096);
  assert.equal(slab.view.getBigUint64(128, true), address(pointers.at(4096)));
  slab.baseLow = 0xfffff000;
  slab.baseHigh = 7;
  pointers.write(128, 0x2000);
  assert.equal(slab.view.getBigUint64(128, true), 0x800001000n);
});

Deno.test("the number of kept pointers is bounded, and forgotten ones come back right", () => {
  const slab = new Slab(4 * (MAX_KEPT + 100)), pointers = SlabPointers.of(slab);
  const first = address(pointers.at(0));
  for (let i = 0; i < MAX_KEPT + 50; i++) pointers.at(4 * i);
  assert.equal(address(pointers.at(0)), first);
  assert.equal(address(pointers.at(4 * MAX_KEPT)), first + BigInt(4 * MAX_KEPT));
});
