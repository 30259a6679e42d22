import assert from "node:assert/strict";
import fc from "fast-check";
import { type Circumstances, evaluate } from "../../../../mod/embedded/portal/policy/conditions.ts";
import type { Condition, TimeRange } from "../../../../mod/embedded/portal/policy/policy.ts";
import { isZone, nextTransition, zoneOffset } from "../../../../mod/embedded/portal/policy/wall_clock.ts";
import { heldUntil } from "../../../../mod/embedded/portal/policy/time_ranges.ts";
import { toCidr } from "../../../../mod/portal/cidr.ts";

const NOWHERE: Circumstances = {
  remoteIp: "",
  region: undefined,
  providerId: undefined,
  verified: false,
  unixNow: 0,
};

const unix = (text: string) => Date.parse(text) / 1000;
const HOUR = 3600;

/** `range(1, "09:00", "17:00")`: Mondays. */
function range(day: number, from: string, to: string, zone = "Europe/Berlin"): TimeRange {
  const seconds = (text: string) => {
    const [h = 0, m = 0, s = 0] = text.split(":").map(Number);
    return h * HOUR + m * 60 + s;
  };
  return { day, from: seconds(from), to: seconds(to), zone };
}

const until = (ranges: readonly TimeRange[], at: string) => {
  const end = heldUntil(ranges, unix(at));
  return end === undefined || end === Infinity ? end : new Date(end * 1000).toISOString().slice(0, 19);
};

const remoteIp = (negated: boolean, ...cidrs: string[]): Condition => ({
  property: "remote_ip",
  negated,
  cidrs: cidrs.map((text) => toCidr(text)!),
});

Deno.test("remote_ip: inside or outside of networks of both families", () => {
  const at = (ip: string, condition: Condition) => evaluate(condition, { ...NOWHERE, remoteIp: ip });
  const office = remoteIp(false, "203.0.113.0/24", "2001:db8::/32");
  assert.equal(at("203.0.113.7", office), Infinity);
  assert.equal(at("203.0.114.7", office), undefined);
  assert.equal(at("2001:db8::1", office), Infinity);
  assert.equal(at("2001:db9::1", office), undefined);
  const abroad = remoteIp(true, "203.0.113.0/24");
  assert.equal(at("203.0.113.7", abroad), undefined);
  assert.equal(at("2001:db8::1", abroad), Infinity);
});

Deno.test("remote_ip: an IPv4 address that came through an IPv6 socket is an IPv4 address", () => {
  const at = (ip: string, condition: Condition) => evaluate(condition, { ...NOWHERE, remoteIp: ip });
  assert.equal(at("::ffff:203.0.113.7", remoteIp(false, "203.0.113.0/24")), Infinity);
  assert.equal(at("::ffff:cb00:7107", remoteIp(true, "203.0.113.0/24")), undefined);
  assert.equal(at("::ffff:203.0.113.7", remoteIp(false, "::/0")), undefined);
});

Deno.test("what is not known meets no condition, a negated one neither", () => {
  for (const negated of [false, true]) {
    for (const ip of ["", "unknown", "203.0.113.7:443"]) {
      assert.equal(evaluate(remoteIp(negated, "0.0.0.0/0", "::/0"), { ...NOWHERE, remoteIp: ip }), undefined);
    }
    assert.equal(
      evaluate({ property: "remote_ip_location_region", negated, regions: ["DE"] }, NOWHERE),
      undefined,
    );
    assert.equal(evaluate({ property: "provider_id", negated, providers: ["local"] }, NOWHERE), undefined);
  }
});

Deno.test("region, provider and verification", () => {
  const region = (negated: boolean): Condition => ({
    property: "remote_ip_location_region",
    negated,
    regions: ["DE", "AT"],
  });
  assert.equal(evaluate(region(false), { ...NOWHERE, region: "de" }), Infinity);
  assert.equal(evaluate(region(true), { ...NOWHERE, region: "AT" }), undefined);
  assert.equal(evaluate(region(true), { ...NOWHERE, region: "CH" }), Infinity);
  const provider: Condition = { property: "provider_id", negated: false, providers: ["local"] };
  assert.equal(evaluate(provider, { ...NOWHERE, providerId: "local" }), Infinity);
  assert.equal(evaluate(provider, { ...NOWHERE, providerId: "oidc" }), undefined);
  assert.equal(evaluate({ property: "client_verified" }, NOWHERE), undefined);
  assert.equal(evaluate({ property: "client_verified" }, { ...NOWHERE, verified: true }), Infinity);
});

Deno.test("time: both ends are inclusive, and the end is the first second at which it no longer holds", () => {
  const monday = [range(1, "09:00", "17:00")]; // 2026-03-02 is a Monday, Berlin is at UTC+1.
  assert.equal(until(monday, "2026-03-02T07:59:59Z"), undefined);
  assert.equal(until(monday, "2026-03-02T08:00:00Z"), "2026-03-02T16:00:01");
  assert.equal(until(monday, "2026-03-02T16:00:00Z"), "2026-03-02T16:00:01");
  assert.equal(until(monday, "2026-03-02T16:00:01Z"), undefined);
  assert.equal(until(monday, "2026-03-03T10:00:00Z"), undefined);
});

Deno.test("time: the weekday is that of the zone, not of UTC", () => {
  const monday = [range(1, "00:00", "23:59:59", "Pacific/Auckland")]; // UTC+13 in March.
  assert.equal(until(monday, "2026-03-01T11:00:00Z"), "2026-03-02T11:00:00");
  assert.equal(until(monday, "2026-03-02T12:00:00Z"), undefined);
});

Deno.test("time: ranges that touch or overlap are one, also over midnight and between zones", () => {
  const noon = [range(1, "09:00", "12:00"), range(1, "12:00:01", "13:00"), range(1, "12:30", "17:00")];
  assert.equal(until(noon, "2026-03-02T09:00:00Z"), "2026-03-02T16:00:01");
  const lunch = [range(1, "09:00", "12:00"), range(1, "12:00:02", "17:00")];
  assert.equal(until(lunch, "2026-03-02T09:00:00Z"), "2026-03-02T11:00:01");
  const night = [range(1, "22:00", "23:59:59"), range(2, "00:00", "06:00")];
  assert.equal(until(night, "2026-03-02T22:00:00Z"), "2026-03-03T05:00:01");
  const weekend = [range(6, "12:00", "23:59:59"), range(0, "00:00", "12:00")];
  assert.equal(until(weekend, "2026-03-07T12:00:00Z"), "2026-03-08T11:00:01");
  const sun = [range(1, "09:00", "17:00"), range(1, "10:00", "17:00", "America/New_York")];
  assert.equal(until(sun, "2026-03-02T09:00:00Z"), "2026-03-02T22:00:01");
});

Deno.test("time: a week without a gap never ends", () => {
  const always = [0, 1, 2, 3, 4, 5, 6].map((day) => range(day, "00:00", "23:59:59"));
  assert.equal(until(always, "2026-03-02T09:00:00Z"), Infinity);
  assert.equal(until(always.slice(1), "2026-03-02T09:00:00Z"), "2026-03-07T23:00:00");
});

Deno.test("time: a clock that is put forward skips an hour of the range, one that is put back repeats it", () => {
  // Berlin: 2026-03-29 02:00 → 03:00, 2026-10-25 03:00 → 02:00; both Sundays, at 01:00 UTC.
  const morning = [range(0, "01:30", "04:00")];
  assert.equal(until(morning, "2026-03-29T00:30:00Z"), "2026-03-29T02:00:01");
  assert.equal(until(morning, "2026-10-24T23:30:00Z"), "2026-10-25T03:00:01");
  const skipped = [range(0, "01:00", "02:30")];
  assert.equal(until(skipped, "2026-03-29T00:30:00Z"), "2026-03-29T01:00:00");
  const repeated = [range(0, "02:15", "02:45")];
  assert.equal(until(repeated, "2026-10-25T00:20:00Z"), "2026-10-25T00:45:01");
  assert.equal(until(repeated, "2026-10-25T01:10:00Z"), undefined);
  assert.equal(until(repeated, "2026-10-25T01:20:00Z"), "2026-10-25T01:45:01");
  const jumpingOut = [range(0, "02:30", "05:00")];
  assert.equal(until(jumpingOut, "2026-10-25T00:45:00Z"), "2026-10-25T01:00:00");
});

Deno.test("time: half-hour zones, and zones that change their clock by half an hour", () => {
  assert.equal(
    until([range(1, "09:00", "17:00", "Asia/Kolkata")], "2026-03-02T03:30:00Z"),
    "2026-03-02T11:30:01",
  );
  const [before, after] = [unix("2026-04-04T12:00:00Z"), unix("2026-04-05T12:00:00Z")];
  const at = nextTransition("Australia/Lord_Howe", before, after);
  assert.equal(new Date(at! * 1000).toISOString(), "2026-04-04T15:00:00.000Z");
  assert.equal(zoneOffset("Australia/Lord_Howe", at! - 1) - zoneOffset("Australia/Lord_Howe", at!), HOUR / 2);
});

Deno.test("time zones are IANA names", () => {
  for (const good of ["Europe/Berlin", "UTC", "Etc/GMT+5", "America/Argentina/Buenos_Aires"]) {
    assert.ok(isZone(good), good);
  }
  for (const bad of ["", "Berlin", "+02:00", "Europe/Atlantis", "Europe/Berlin\n", "../etc/localtime"]) {
    assert.ok(!isZone(bad), bad);
  }
});

const ZONES = [
  "Europe/Berlin",
  "America/New_York",
  "Australia/Lord_Howe",
  "Asia/Kolkata",
  "UTC",
  "America/Nuuk",
];
const ranges = fc.array(
  fc.record({
    day: fc.integer({ min: 0, max: 6 }),
    bounds: fc.tuple(fc.integer({ min: 0, max: 47 }), fc.integer({ min: 1, max: 48 })).filter(([a, b]) =>
      a < b
    ),
    zone: fc.constantFrom(...ZONES),
  }).map(({ day, bounds: [from, to], zone }): TimeRange => ({
    day,
    from: from * 1800,
    to: to * 1800 - 1,
    zone,
  })),
  { maxLength: 8 },
);

/** What a clock on the wall would show, by the runtime's own formatter. */
function shownBy(zone: string, at: number): { day: number; second: number } {
  const format = new Intl.DateTimeFormat("en-GB", {
    timeZone: zone,
    weekday: "short",
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
    hourCycle: "h23",
  });
  const parts = new Map(format.formatToParts(at * 1000).map(({ type, value }) => [type, value]));
  const day = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"].indexOf(parts.get("weekday")!);
  const [h, m, s] = (["hour", "minute", "second"] as const).map((type) => Number(parts.get(type)));
  return { day, second: h! * HOUR + m! * 60 + s! };
}

Deno.test("property: it holds up to its end and not at its end, as a clock on the wall sees it", () => {
  const holdsAt = (list: readonly TimeRange[], at: number) =>
    list.some(({ day, from, to, zone }) => {
      const shown = shownBy(zone, at);
      return shown.day === day && shown.second >= from && shown.second <= to;
    });
  // Half-hour steps: all ranges here begin and end on them, and so do all transitions of these zones.
  const start = fc.constantFrom("2026-03-27", "2026-04-03", "2026-10-23", "2026-10-30", "2026-06-10")
    .chain((day) => fc.integer({ min: 0, max: 144 }).map((step) => unix(`${day}T00:00:00Z`) + step * 1800));
  fc.assert(
    fc.property(ranges, start, (list, at) => {
      const end = heldUntil(list, at);
      assert.equal(end !== undefined, holdsAt(list, at));
      if (end === undefined || end === Infinity) return;
      assert.ok(end > at && end <= at + 8 * 24 * HOUR);
      for (let step = at; step < end; step += 1800) assert.ok(holdsAt(list, step), `${step}`);
      assert.ok(holdsAt(list, end - 1) && !holdsAt(list, end));
    }),
    { numRuns: 150 },
  );
});

Deno.test("property: membership of an address in networks is that of its bits", () => {
  const octet = fc.integer({ min: 0, max: 255 });
  fc.assert(
    fc.property(
      fc.tuple(octet, octet, octet, octet),
      fc.tuple(octet, octet, octet, octet),
      fc.integer({ min: 0, max: 32 }),
      fc.boolean(),
      fc.boolean(),
      (ip, network, prefix, negated, mapped) => {
        const number = (quad: readonly number[]) => quad.reduce((sum, part) => sum * 256 + part, 0);
        const size = 2 ** (32 - prefix);
        const inside = Math.floor(number(ip) / size) === Math.floor(number(network) / size);
        const condition = remoteIp(negated, `${network.join(".")}/${prefix}`);
        const text = (mapped ? "::ffff:" : "") + ip.join(".");
        const met = evaluate(condition, { ...NOWHERE, remoteIp: text }) !== undefined;
        assert.equal(met, inside !== negated);
      },
    ),
  );
});
