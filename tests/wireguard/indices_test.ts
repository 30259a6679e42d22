import assert from "node:assert/strict";
import { baseOf, IndexAllocator } from "../../mod/wireguard/mod.ts";
import { seededRandom } from "./fixture.ts";

Deno.test("bases are 24 bits and distinct", () => {
  const allocator = new IndexAllocator(seededRandom(3));
  const bases = Array.from({ length: 5000 }, () => allocator.allocate());
  assert.equal(new Set(bases).size, bases.length);
  assert.ok(bases.every((base) => base >= 0 && base < 2 ** 24));
});

Deno.test("a taken base is passed over, also at the end of the range", () => {
  const allocator = new IndexAllocator((length) => new Uint8Array(length).fill(0xff));
  assert.deepEqual([allocator.allocate(), allocator.allocate(), allocator.allocate()], [0xffffff, 0, 1]);
  allocator.release(0xffffff);
  assert.equal(allocator.allocate(), 0xffffff);
});

Deno.test("the upper 24 bits of a receiver index are the base", () => {
  assert.equal(baseOf(0xabcdef01), 0xabcdef);
});
