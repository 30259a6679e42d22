import assert from "node:assert/strict";
import fc from "fast-check";
import { encodeTai64n, isAfter, Tai64nClock } from "../../mod/wireguard/tai64n.ts";

Deno.test("a label is 2^62 + 10 + Unix seconds and the nanoseconds, big-endian", () => {
  assert.equal(encodeTai64n(0, 0).toHex(), "400000000000000a00000000");
  assert.equal(encodeTai64n(1_767_225_600, 123_456_789).toHex(), "400000006955b90a075bcd15");
  assert.equal(encodeTai64n(2 ** 32, 999_999_999).toHex(), "400000010000000a3b9ac9ff");
});

Deno.test("labels follow the clock", () => {
  const clock = new Tai64nClock(() => 1_767_225_600_250.5);
  assert.equal(clock.next().toHex(), encodeTai64n(1_767_225_600, 250_500_000).toHex());
});

Deno.test("labels grow strictly whatever the wall clock does", () => {
  fc.assert(
    fc.property(fc.array(fc.double({ min: -1e15, max: 1e15, noNaN: true }), { minLength: 2 }), (times) => {
      let at = 0;
      const clock = new Tai64nClock(() => times[at]!);
      let last = clock.next();
      for (at = 1; at < times.length; at++) {
        const next = clock.next();
        assert.ok(isAfter(next, last) && !isAfter(last, next));
        last = next;
      }
    }),
  );
});

Deno.test("a clock that stands still at the end of a second carries over", () => {
  const clock = new Tai64nClock(() => 1999.9999995);
  const first = clock.next();
  let last = first;
  for (let i = 0; i < 3000; i++) {
    const next = clock.next();
    assert.ok(isAfter(next, last));
    last = next;
  }
  assert.equal(
    last.toHex(),
    encodeTai64n(2, last.subarray(8).reduce((sum, byte) => sum * 256 + byte, 0)).toHex(),
  );
});

Deno.test("equal labels are not after each other", () => {
  assert.equal(isAfter(encodeTai64n(5, 5), encodeTai64n(5, 5)), false);
});
