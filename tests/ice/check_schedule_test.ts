import assert from "node:assert/strict";
import {
  CLIENT_ACTIVE,
  CLIENT_IDLE,
  GATEWAY_ACTIVE,
  GATEWAY_IDLE,
  type IceTiming,
} from "../../mod/ice/mod.ts";
import { CheckSchedule } from "../../mod/ice/check_schedule.ts";

interface Life {
  /** Times of the checks. */
  readonly checks: number[];
  /** When the pair is given up. */
  readonly end: number;
}

/** Runs a schedule from `start` until it is exhausted; checks are answered at once while `answered` says so. */
function live(timing: IceTiming, answered: (at: number) => boolean, limit = Infinity): Life {
  const schedule = new CheckSchedule();
  const checks: number[] = [];
  for (let now = 0; now <= limit; now = schedule.due!) {
    if (schedule.isExhausted(timing, now)) return { checks, end: now };
    const attempt = { key: `${now}`, sentAt: now, controlling: true, nominating: false, answered: false };
    schedule.record(attempt, timing);
    checks.push(now);
    if (answered(now)) schedule.answer(attempt, timing, now);
  }
  return { checks, end: Infinity };
}

/** Seconds from the first unanswered check of an established pair. */
function silence(timing: IceTiming): Life {
  const settled = live(timing, () => true, 4_000_000).checks.at(-1)!;
  const { checks, end } = live(timing, (at) => at < settled);
  return { checks: checks.filter((at) => at >= settled).map((at) => at - settled), end: end - settled };
}

Deno.test("a fresh pair that never answers gets 12 checks and is given up after 15.25 s", () => {
  const { checks, end } = live(CLIENT_ACTIVE, () => false);
  assert.deepEqual(checks, [0, 250, 750, 1750, 3250, 4750, 6250, 7750, 9250, 10750, 12250, 13750]);
  assert.equal(end, 15_250);
});

Deno.test("an answering pair settles at one check every 1.5 s", () => {
  const { checks } = live(CLIENT_ACTIVE, () => true, 10_000);
  assert.deepEqual(checks, [0, 250, 750, 1750, 3250, 4750, 6250, 7750, 9250]);
});

Deno.test("an established pair that falls silent is tried quickly and given up after 16.5 s", () => {
  const { checks, end } = silence(CLIENT_ACTIVE);
  assert.deepEqual(checks, [0, 1500, 2000, 3000, 4500, 6000, 7500, 9000, 10500, 12000, 13500, 15000]);
  assert.equal(end, 16_500);
});

Deno.test("an idle pair is checked every 25 s and given up after 100 s", () => {
  const { checks, end } = silence(CLIENT_IDLE);
  assert.deepEqual(checks, [0, 25_000, 50_000, 75_000]);
  assert.equal(end, 100_000);
});

Deno.test("a gateway's pair is given up after 600.75 s when it never answers, 615.5 s when established", () => {
  const fresh = live(GATEWAY_ACTIVE, () => false);
  assert.deepEqual(fresh.checks.slice(0, 9), [0, 250, 750, 1750, 3750, 7750, 15_750, 30_750, 45_750]);
  assert.equal(fresh.checks.length, 45);
  assert.equal(fresh.end, 600_750);
  assert.equal(silence(GATEWAY_ACTIVE).end, 615_500);
});

Deno.test("a gateway's idle pair is given up after 1000 s", () => {
  assert.equal(silence(GATEWAY_IDLE).end, 1_000_000);
});

Deno.test("a late answer to a forgotten check is not recognised", () => {
  const schedule = new CheckSchedule();
  for (let i = 0; i < 13; i++) {
    schedule.record(
      { key: `${i}`, sentAt: i, controlling: true, nominating: false, answered: false },
      CLIENT_ACTIVE,
    );
  }
  assert.equal(schedule.find("0"), undefined);
  assert.equal(schedule.find("1")?.sentAt, 1);
});

Deno.test("a check that is due at once stays so until it is sent", () => {
  const schedule = new CheckSchedule();
  const attempt = { key: "a", sentAt: 0, controlling: true, nominating: false, answered: false };
  schedule.record(attempt, CLIENT_ACTIVE);
  schedule.expedite();
  schedule.answer(attempt, CLIENT_ACTIVE, 5);
  schedule.retime(CLIENT_IDLE, 6);
  assert.equal(schedule.due, undefined);
  schedule.record({ ...attempt, key: "b", sentAt: 7 }, CLIENT_IDLE);
  assert.equal(schedule.due, 25_007);
});
