/**
 * Times of the week as people write them, `mon-fri 09:00-12:00,13:00-17:00 Europe/Berlin`, and as the hosted portal
 * does, `M/09:00-12:00,13:00-17:00/Europe/Berlin` (spec portal §4.8). Both ends of a range are inclusive.
 */
import type { TimeRange } from "./policy.ts";
import { isZone } from "./wall_clock.ts";

const LAST_SECOND = 86_399;
const DAYS = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];
/** Days in the hosted portal's alphabet; Sunday first, as in {@link TimeRange}. */
const LETTERS = "UMTWRFS";
const EVERY_DAY = DAYS.map((_, day) => day);

/** The ranges, or a sentence that says what is wrong. */
export function parseTimes(text: string): readonly TimeRange[] | string {
  const parts = text.includes("/") && /^\s*[A-Za-z]\s*\//.test(text)
    ? splitSlashes(text)
    : text.trim().split(/\s+/);
  const [days, ranges, zone, ...rest] = parts.length === 2 ? [parts[0], "true", parts[1]] : parts;
  if (days === undefined || ranges === undefined || zone === undefined || rest.length > 0) {
    return "write days, times and a time zone, such as mon-fri 09:00-17:00 Europe/Berlin";
  }
  const numbers = parseDays(days);
  if (numbers === undefined) return `"${days}" is no day: write mon, mon-fri, sat,sun or daily`;
  if (!isZone(zone)) return `"${zone}" is no time zone: write one such as Europe/Berlin or UTC`;
  const result: TimeRange[] = [];
  for (const range of ranges === "true" ? ["00:00-24:00"] : ranges.split(",")) {
    const bounds = parseRange(range);
    if (typeof bounds === "string") return bounds;
    for (const day of numbers) result.push({ day, ...bounds, zone });
  }
  return result;
}

/** `M/09:00-17:00/Europe/Berlin`: the zone has slashes of its own. */
function splitSlashes(text: string): string[] {
  const [days = "", ranges = "", ...zone] = text.split("/").map((part) => part.trim());
  return [days, ranges.replace(/\s/g, ""), zone.join("/")];
}

/** 0 = Sunday. A range may go over the weekend: `sat-mon`. */
function parseDays(text: string): readonly number[] | undefined {
  if (/^(daily|every-?day)$/i.test(text)) return EVERY_DAY;
  const days: number[] = [];
  for (const part of text.split(",")) {
    const [first, last = first, ...rest] = part.split("-").map(parseDay);
    if (first === undefined || last === undefined || rest.length > 0) return undefined;
    for (let day = first;; day = (day + 1) % 7) {
      days.push(day);
      if (day === last) break;
    }
  }
  return [...new Set(days)];
}

function parseDay(text: string): number | undefined {
  const day = text.length === 1
    ? LETTERS.indexOf(text)
    : DAYS.findIndex((name) => text.length >= 3 && name.startsWith(text.toLowerCase()));
  return day < 0 ? undefined : day;
}

function parseRange(text: string): { from: number; to: number } | string {
  const [from, to, ...rest] = text.split("-").map(parseTime);
  if (from === undefined || to === undefined || rest.length > 0) {
    return `"${text}" is no range of times: write 09:00-17:00`;
  }
  if (from > to) {
    return `"${text}" ends before it begins: write 22:00-24:00, and 00:00-06:00 for the next day`;
  }
  return { from: Math.min(from, LAST_SECOND), to: Math.min(to, LAST_SECOND) };
}

/** Seconds of the day; `24:00` is its end. */
function parseTime(text: string): number | undefined {
  const match = /^(\d{1,2}):(\d{2})(?::(\d{2}))?$/.exec(text);
  const [hour, minute, second] = [Number(match?.[1]), Number(match?.[2]), Number(match?.[3] ?? 0)];
  if (!match || minute > 59 || second > 59) return undefined;
  const seconds = hour * 3600 + minute * 60 + second;
  return seconds <= LAST_SECOND + 1 ? seconds : undefined;
}
