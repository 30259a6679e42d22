import assert from "node:assert/strict";
import fc from "fast-check";
import { REPLAY_WINDOW, ReplayWindow } from "../../mod/wireguard/replay.ts";

const accept = (window: ReplayWindow, counter: bigint) =>
  window.accept(Number(counter & 0xffffffffn), Number(counter >> 32n));
const check = (window: ReplayWindow, counter: bigint) =>
  window.check(Number(counter & 0xffffffffn), Number(counter >> 32n));

/** What the window means, in the simplest words. */
class Model {
  readonly seen = new Set<bigint>();
  greatest = -1n;

  accept(counter: bigint): boolean {
    if (this.seen.has(counter) || counter <= this.greatest - BigInt(REPLAY_WINDOW)) return false;
    this.seen.add(counter);
    if (counter > this.greatest) this.greatest = counter;
    return true;
  }
}

Deno.test("duplicates, far-behind and far-ahead counters", () => {
  const window = new ReplayWindow();
  assert.ok(accept(window, 0n));
  assert.ok(!accept(window, 0n));
  assert.ok(accept(window, 2n) && accept(window, 1n) && !accept(window, 1n));
  assert.ok(accept(window, 8191n) && !accept(window, 0n));
  assert.ok(accept(window, 8193n), "the window moves by two");
  assert.ok(!accept(window, 1n), "now too old");
  assert.ok(accept(window, 100n) && !accept(window, 100n));
  assert.ok(accept(window, 1_000_000n));
  assert.ok(!accept(window, 1_000_000n - 8192n) && accept(window, 1_000_000n - 8191n));
});

Deno.test("a gap does not bring old bits back", () => {
  const window = new ReplayWindow();
  for (let i = 0n; i < 8192n; i++) assert.ok(accept(window, i));
  assert.ok(accept(window, 12_000n));
  for (let i = 8192n; i < 12_000n; i++) assert.ok(check(window, i), `${i}`);
  for (let i = 3809n; i < 8192n; i++) assert.ok(!check(window, i), `${i}`);
});

Deno.test("the window crosses 2^32 without a seam", () => {
  const window = new ReplayWindow();
  const start = 2n ** 32n - 5n;
  for (let i = 0n; i < 10n; i++) assert.ok(accept(window, start + i));
  for (let i = 0n; i < 10n; i++) assert.ok(!accept(window, start + i));
  assert.ok(accept(window, start - 100n));
});

Deno.test("the window agrees with a plain set, in any order and near every boundary", () => {
  const bases = [0n, 2n ** 32n - 4096n, 2n ** 53n - 100n, 2n ** 63n, 2n ** 64n - 40_000n];
  const step = fc.tuple(
    fc.constantFrom("near", "window", "jump"),
    fc.integer({ min: -9000, max: 9000 }),
  );
  fc.assert(
    fc.property(fc.constantFrom(...bases), fc.array(step, { maxLength: 200 }), (base, steps) => {
      const window = new ReplayWindow(), model = new Model();
      let at = base;
      for (const [kind, distance] of steps) {
        const delta = kind === "near"
          ? BigInt(distance % 40)
          : kind === "window"
          ? BigInt(distance)
          : BigInt(Math.abs(distance));
        at = at + delta < 0n ? 0n : at + delta;
        if (at >= 2n ** 64n) at = 2n ** 64n - 1n;
        const expected = model.accept(at);
        assert.equal(check(window, at), expected, `check ${at}`);
        assert.equal(accept(window, at), expected, `accept ${at}`);
        assert.equal(check(window, at), false, `${at} is used up`);
      }
    }),
  );
});
