/**
 * Times of the week at which something is allowed, and until when (spec portal §4.8).
 *
 * A range is a stretch of one weekday on the wall clock of one time zone, both ends inclusive. "Until when" is the
 * first second at which no range holds any more: ranges that touch or overlap, also over midnight or from different
 * zones, count as one, and a clock that is put forward or back on the way is respected.
 */
import type { TimeRange } from "./policy.ts";
import { nextTransition, zoneOffset } from "./wall_clock.ts";

const DAY = 86_400;
/** Ranges repeat every week; the longest one may be stretched by a clock that is put back. */
const HORIZON = 8 * DAY;
/** 1970-01-01 was a Thursday. */
const EPOCH_WEEKDAY = 4;

/**
 * @param at Unix seconds
 * @returns Unix seconds of the first second at which no range holds; Infinity when there is none; undefined when
 *   none holds at `at`
 */
export function heldUntil(ranges: readonly TimeRange[], at: number): number | undefined {
  let end = at;
  for (let next; (next = endOfRanges(ranges, end)) !== undefined; end = next) {
    if (end - at >= HORIZON) return Infinity;
  }
  return end === at ? undefined : end;
}

/** The latest end among the ranges that hold at `at`, up to the next change of their clock. */
function endOfRanges(ranges: readonly TimeRange[], at: number): number | undefined {
  let latest: number | undefined;
  for (const { day, from, to, zone } of ranges) {
    const wall = at + zoneOffset(zone, at);
    const weekday = (Math.floor(wall / DAY) + EPOCH_WEEKDAY) % 7;
    const second = wall - Math.floor(wall / DAY) * DAY;
    if (weekday !== day || second < from || second > to) continue;
    const end = at + to - second + 1;
    latest = Math.max(latest ?? 0, nextTransition(zone, at, end - 1) ?? end);
  }
  return latest;
}
