/**
 * Expiry on the monotonic clock (spec policy §1.8 [H]): the portal's wall-clock second is converted once, when it
 * arrives, so that a later jump of the wall clock neither extends nor cuts access.
 */

/** Never expires. */
export const NEVER = Infinity;

/** What an unusably large time stamp gets instead of "for ever". */
const ABSURD_LIFETIME = 86_400_000;
/** The last second that the calendar of ECMAScript knows. */
const LAST_SECOND = 8.64e12;

/**
 * Monotonic milliseconds at which `expiresAt` is reached; at or before `now` when it has passed already.
 * @param expiresAt Unix seconds; null = never.
 * @param unixNow the wall clock at `now`, Unix milliseconds.
 */
export function deadlineOf(expiresAt: number | null, now: number, unixNow: number): number {
  if (expiresAt === null) return NEVER;
  if (Number.isNaN(expiresAt)) return now;
  if (expiresAt > LAST_SECOND) return now + ABSURD_LIFETIME;
  return now + Math.max(0, expiresAt * 1000 - unixNow);
}
