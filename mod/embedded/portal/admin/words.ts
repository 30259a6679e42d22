/** What a policy says, in words for people. */
import type { Filter } from "../../../portal/types.ts";
import type { Condition, ResourcePolicy, TimeRange } from "../policy/policy.ts";
import { visible } from "./format.ts";
import { targetText } from "../policy/policy.ts";

const DAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
/** Weeks begin on Monday. */
const WEEK = [1, 2, 3, 4, 5, 6, 0];

export function filtersText(filters: readonly Filter[]): string {
  if (filters.length === 0) return "all traffic";
  return filters.map((filter) => {
    if (filter.protocol === "icmp") return "icmp";
    const { protocol, portStart, portEnd } = filter;
    if (portStart <= 1 && portEnd === 65_535) return protocol;
    return portStart === portEnd ? `${protocol}/${portStart}` : `${protocol}/${portStart}-${portEnd}`;
  }).join(", ");
}

export function addressText({ target }: ResourcePolicy): string {
  if (target.type === "internet") return "the Internet";
  const text = targetText(target);
  return text.replace(/(^[^:]*)\/32$|\/128$/, "$1");
}

/** What a condition demands, as the end of "only …". */
export function conditionText(condition: Condition): string {
  switch (condition.property) {
    case "client_verified":
      return "on a verified device";
    case "remote_ip":
      return `when connecting ${condition.negated ? "not from" : "from"} ${
        either(condition.cidrs.map((cidr) => cidr.text))
      }`;
    case "remote_ip_location_region":
      return `when ${condition.negated ? "not in" : "in"} ${either(condition.regions)}`;
    case "provider_id":
      return `when ${condition.negated ? "not signed in" : "signed in"} by ${either(condition.providers)}`;
    case "current_utc_datetime":
      return rangesText(condition.ranges);
  }
}

/** Why a condition isn't met. */
export const VIOLATIONS: Readonly<Record<Condition["property"], string>> = {
  client_verified: "the device is not verified",
  remote_ip: "its address is not allowed",
  remote_ip_location_region: "its country is not allowed",
  provider_id: "its way of signing in is not allowed",
  current_utc_datetime: "not at this time",
};

/** Why the portal refused a client a resource. */
export function refusalText(reason: string, violated: readonly string[]): string {
  const known = violated.map((property) =>
    (VIOLATIONS as Readonly<Record<string, string>>)[property] ?? property
  );
  switch (reason) {
    case "forbidden":
      return known.join("; ") || "its conditions don't hold";
    case "offline":
      return "no gateway answered";
    case "not_found":
      return "no policy gives it, or it is gone";
    case "version_mismatch":
      return "the gateways are too old for this client";
    default:
      return reason;
  }
}

function either(values: readonly string[]): string {
  const shown = values.map((value) => visible(value));
  return shown.length < 2 ? shown.join("") : `${shown.slice(0, -1).join(", ")} or ${shown.at(-1)}`;
}

/** `Mon–Fri 09:00–17:00 (Europe/Berlin)`: days with the same hours are told together. */
function rangesText(ranges: readonly TimeRange[]): string {
  if (ranges.length === 0) return "never";
  const byZone = Map.groupBy(ranges, (range) => range.zone);
  return [...byZone].map(([zone, mine]) => {
    const hours = WEEK.map((day) => ({ day, text: hoursOf(mine.filter((range) => range.day === day)) }))
      .filter(({ text }) => text !== "");
    const groups = Map.groupBy(hours, ({ text }) => text);
    const texts = [...groups].map(([text, days]) => `${daysText(days.map(({ day }) => day))} ${text}`);
    return `${texts.join("; ")} (${zone})`;
  }).join("; ");
}

function hoursOf(ranges: readonly TimeRange[]): string {
  return ranges.toSorted((a, b) => a.from - b.from)
    .map(({ from, to }) => from === 0 && to >= 86_399 ? "all day" : `${clock(from)}–${clock(to)}`).join(", ");
}

function clock(seconds: number): string {
  const two = (value: number) => String(Math.floor(value)).padStart(2, "0");
  const minutes = `${two(seconds / 3600)}:${two((seconds % 3600) / 60)}`;
  return seconds % 60 === 0 || seconds % 60 === 59 ? minutes : `${minutes}:${two(seconds % 60)}`;
}

function daysText(days: readonly number[]): string {
  if (days.length === 7) return "every day";
  const places = days.map((day) => WEEK.indexOf(day));
  const runs: number[][] = [];
  for (const place of places) {
    const last = runs.at(-1);
    if (last && last.at(-1) === place - 1) last.push(place);
    else runs.push([place]);
  }
  const name = (place: number) => DAYS[WEEK[place]!]!;
  return runs.map((run) =>
    run.length < 3 ? run.map(name).join(", ") : `${name(run[0]!)}–${name(run.at(-1)!)}`
  ).join(", ");
}
