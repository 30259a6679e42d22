import assert from "node:assert/strict";
import fc from "fast-check";
import { Backoff, INITIAL_INTERVAL, MAX_INTERVAL } from "../../mod/portal/backoff.ts";
import { MAX_RETRY_AFTER, parseRetryAfter } from "../../mod/portal/failure.ts";
import { seededRandom } from "./support.ts";

Deno.test("each pause is within half of its interval, which grows by half up to a minute", () => {
  fc.assert(fc.property(fc.integer(), fc.integer({ min: 1, max: 40 }), (seed, count) => {
    const backoff = new Backoff(seededRandom(seed));
    for (let i = 0, interval = INITIAL_INTERVAL; i < count; i++) {
      const pause = backoff.next();
      assert.ok(pause >= Math.floor(interval * 0.5) && pause <= Math.ceil(interval * 1.5), `${i}: ${pause}`);
      interval = Math.min(interval * 1.5, MAX_INTERVAL);
    }
    backoff.reset();
    assert.ok(backoff.next() <= INITIAL_INTERVAL * 1.5);
  }));
});

Deno.test("the extremes of chance give the extremes of the first pause", () => {
  assert.equal(new Backoff(() => new Uint8Array(4)).next(), 250);
  assert.equal(new Backoff(() => new Uint8Array(4).fill(255)).next(), 750);
});

Deno.test("Retry-After is seconds or an HTTP date, never negative, at most an hour", () => {
  const now = Date.parse("2026-11-23T12:00:00Z") / 1000;
  assert.equal(parseRetryAfter("7", now), 7000);
  assert.equal(parseRetryAfter(" 0 ", now), 0);
  assert.equal(parseRetryAfter("Mon, 23 Nov 2026 12:00:30 GMT", now), 30_000);
  assert.equal(parseRetryAfter("Mon, 23 Nov 2026 11:00:00 GMT", now), 0);
  assert.equal(parseRetryAfter("999999999", now), MAX_RETRY_AFTER);
  for (const text of [undefined, "", "soon", "-3", "1.5", "2026-11-23"]) {
    assert.equal(parseRetryAfter(text, now), undefined, String(text));
  }
});
