import { strict as assert } from "node:assert";
import fc from "fast-check";
import { VerdictCache } from "../../mod/policy/verdict_cache.ts";

const word = fc.oneof(
  fc.constantFrom(0, 1, 2, 0x80000000, 0xffffffff),
  fc.integer({ min: 0, max: 0xffffffff }),
);
const key = fc.tuple(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 0, max: 9 }), word, word, word, word);

Deno.test("the cache tells only what was stored under exactly that key, however small it is", () => {
  fc.assert(fc.property(fc.array(key, { maxLength: 200 }), fc.integer(), (keys, seed) => {
    const cache = new VerdictCache(16, seed);
    const truth = new Map<string, number>();
    keys.forEach(([version, flow, a, b, c, d], i) => {
      const address = Uint32Array.of(a, b, c, d);
      const known = cache.find(version, flow, address, 0);
      const name = [version, flow, a, b, c, d].join();
      if (known !== 0) assert.equal(known, truth.get(name));
      else {
        cache.store(version, flow, address, 0, i + 1);
        truth.set(name, i + 1);
      }
      assert.equal(cache.find(version, flow, address, 0), truth.get(name));
    });
  }));
});

Deno.test("a working set of a quarter of the cache stays in it", () => {
  const cache = new VerdictCache(4096, 99);
  const visit = () => {
    let misses = 0;
    for (let i = 0; i < 1024; i++) {
      const address = Uint32Array.of(0, 0x0a000000 + i, 0, 0, 0);
      if (cache.find(1, 443, address, 1) !== 0) continue;
      cache.store(1, 443, address, 1, 1);
      misses++;
    }
    return misses;
  };
  assert.equal(visit(), 1024);
  assert.ok(visit() <= 16);
});

Deno.test("a cleared cache knows nothing", () => {
  const cache = new VerdictCache(16, 1);
  const address = Uint32Array.of(3, 4, 5, 6);
  cache.find(1, 2, address, 0);
  cache.store(1, 2, address, 0, 7);
  cache.clear();
  assert.equal(cache.find(1, 2, address, 0), 0);
});
