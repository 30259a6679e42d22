/**
 * Wall clocks of IANA time zones: what a clock on the wall shows at an instant, and when it is put forward or back.
 *
 * Offsets come from the runtime's own copy of the time zone database (`Intl`). All transitions since 1972 lie on
 * quarters of an hour of UTC, so that an offset is looked up once for each.
 */
const QUARTER = 900;
const DAY = 86_400;
/** Of the offsets that are remembered; at a quarter of an hour each that is about a month of a single zone. */
const MAX_REMEMBERED = 4096;

const formats = new Map<string, Intl.DateTimeFormat>();
const offsets = new Map<string, number>();

/** True for `Europe/Berlin` and its like, in any case; false for bare offsets, which know no summer. */
export function isZone(name: string): boolean {
  if (!/^[A-Za-z][A-Za-z0-9_+/-]*$/.test(name)) return false;
  try {
    formatOf(name);
    return true;
  } catch {
    return false;
  }
}

/** Seconds that the zone is ahead of UTC at an instant (Unix seconds). */
export function zoneOffset(zone: string, at: number): number {
  const quarter = Math.floor(at / QUARTER);
  const key = `${zone} ${quarter}`;
  let offset = offsets.get(key);
  if (offset === undefined) {
    offset = computeOffset(zone, quarter * QUARTER);
    if (offsets.size >= MAX_REMEMBERED) offsets.clear();
    offsets.set(key, offset);
  }
  return offset;
}

/** The first instant after `from` and up to `to` at which the clock is put forward or back; undefined: none. */
export function nextTransition(zone: string, from: number, to: number): number | undefined {
  const offset = zoneOffset(zone, from);
  for (let start = from; start < to; start += DAY) {
    let [before, after] = [start, Math.min(start + DAY, to)];
    if (zoneOffset(zone, after) === offset) continue;
    while (after - before > 1) {
      const middle = Math.floor((before + after) / 2);
      if (zoneOffset(zone, middle) === offset) before = middle;
      else after = middle;
    }
    return after;
  }
  return undefined;
}

function computeOffset(zone: string, at: number): number {
  const parts = new Map(formatOf(zone).formatToParts(at * 1000).map(({ type, value }) => [type, value]));
  const part = (type: Intl.DateTimeFormatPartTypes) => Number(parts.get(type));
  const wall = Date.UTC(
    part("year"),
    part("month") - 1,
    part("day"),
    part("hour"),
    part("minute"),
    part("second"),
  );
  return wall / 1000 - at;
}

/** @throws RangeError when there is no such zone */
function formatOf(zone: string): Intl.DateTimeFormat {
  let format = formats.get(zone);
  if (!format) {
    format = new Intl.DateTimeFormat("en-US", {
      timeZone: zone,
      hourCycle: "h23",
      year: "numeric",
      month: "numeric",
      day: "numeric",
      hour: "numeric",
      minute: "numeric",
      second: "numeric",
    });
    formats.set(zone, format);
  }
  return format;
}
