import assert from "node:assert/strict";
import fc from "fast-check";
import { TokenBuckets } from "../../../../mod/embedded/portal/server/token_buckets.ts";

Deno.test("a key may do its burst at once, then one each interval, and others are not affected", () => {
  const buckets = new TokenBuckets({ burst: 3, seconds: 10 });
  for (let i = 0; i < 3; i++) assert.equal(buckets.take("a", 100), 0);
  assert.equal(buckets.take("a", 100), 10);
  assert.equal(buckets.take("a", 106), 4);
  assert.equal(buckets.take("b", 106), 0);
  assert.equal(buckets.take("a", 110), 0);
  assert.equal(buckets.take("a", 110), 10);
  buckets.giveBack("a", 110);
  assert.equal(buckets.take("a", 110), 0);
});

Deno.test("after the seconds it names, there is a token (property)", () => {
  fc.assert(fc.property(
    fc.integer({ min: 1, max: 20 }),
    fc.integer({ min: 1, max: 300 }),
    fc.array(fc.integer({ min: 0, max: 30 }), { maxLength: 60 }),
    (burst, seconds, pauses) => {
      const buckets = new TokenBuckets({ burst, seconds });
      let now = 0, taken = 0;
      for (const pause of pauses) {
        now += pause;
        const wait = buckets.take("a", now);
        if (wait === 0) taken++;
        else {
          assert.equal(buckets.take("a", now += wait), 0);
          taken++;
        }
        assert.ok(taken <= burst + now / seconds + 1e-6);
      }
    },
  ));
});

Deno.test("the table never grows beyond its bound, however many keys come", () => {
  const buckets = new TokenBuckets({ burst: 1, seconds: 60 });
  for (let i = 0; i < 50_000; i++) buckets.take(String(i), 0);
  assert.equal(buckets.size, 20_000);
  assert.equal(buckets.take("49999", 0), 60);
});

Deno.test("a clock that is set back grants nothing and takes nothing", () => {
  const buckets = new TokenBuckets({ burst: 1, seconds: 60 });
  assert.equal(buckets.take("a", 1000), 0);
  assert.equal(buckets.take("a", 900), 60);
  assert.equal(buckets.take("a", 960), 0);
});
