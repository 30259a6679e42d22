/** Numbers, times and conditions as people read them. */
import assert from "node:assert/strict";
import {
  bytes,
  duration,
  rate,
  relative,
  utc,
  visible,
} from "../../../../mod/embedded/portal/admin/format.ts";
import { addressText, conditionText, filtersText } from "../../../../mod/embedded/portal/admin/words.ts";
import type { TimeRange } from "../../../../mod/embedded/portal/policy/policy.ts";
import { resource } from "./admin_world.ts";

Deno.test("bytes and rates have three digits and a unit", () => {
  assert.deepEqual([0, 999, 1_000, 12_345, 999_499, 999_500, 1.5e9, 2e15, 5e18].map(bytes), [
    "0 B",
    "999 B",
    "1.00 kB",
    "12.3 kB",
    "999 kB",
    "1.00 MB",
    "1.50 GB",
    "2.00 PB",
    "5000 PB",
  ]);
  assert.equal(rate(125_000), "1.00 Mbit/s");
});

Deno.test("lengths of time are told in their two largest units, without seconds beyond a minute", () => {
  assert.deepEqual([0, 59, 60, 119, 3_600, 3_725, 86_399, 86_400, 90_060, 864_000].map(duration), [
    "0 s",
    "59 s",
    "1 min",
    "1 min",
    "1 h",
    "1 h 2 min",
    "23 h 59 min",
    "1 d",
    "1 d 1 h",
    "10 d",
  ]);
  assert.deepEqual([relative(100, 101), relative(0, 100), relative(200, 100)], [
    "just now",
    "1 min ago",
    "in 1 min",
  ]);
  assert.equal(utc(1_753_347_605), "2025-07-24 09:00:05 UTC");
});

Deno.test("characters that hide or turn text become visible, and long text is cut between characters", () => {
  assert.equal(visible("a\u202Eb\u0000c\u200Bd\ne"), "a\uFFFDb\uFFFDc\uFFFDd\uFFFDe");
  assert.equal(visible("plain ünï 日本 🦊"), "plain ünï 日本 🦊");
  assert.equal([...visible("🦊".repeat(500))].length, 120);
  assert.ok(visible("🦊".repeat(500)).endsWith("🦊…"));
  assert.equal(visible("\uD83E"), "\uFFFD");
});

Deno.test("filters and addresses are told as they are written in the policy", () => {
  assert.equal(filtersText([]), "all traffic");
  assert.equal(
    filtersText([
      { protocol: "icmp" },
      { protocol: "tcp", portStart: 443, portEnd: 443 },
      { protocol: "tcp", portStart: 8000, portEnd: 8100 },
      { protocol: "udp", portStart: 0, portEnd: 65_535 },
    ]),
    "icmp, tcp/443, tcp/8000-8100, udp",
  );
  const texts = ["10.0.0.7", "10.0.0.0/24", "2001:db8::1", "2001:db8::/32", "*.corp.example", "internet"];
  assert.deepEqual(texts.map((text) => addressText(resource("x", text))), [
    ...texts.slice(0, 5),
    "the Internet",
  ]);
});

Deno.test("times of the week are told by days with the same hours, per zone", () => {
  const range = (day: number, from: number, to: number, zone = "UTC"): TimeRange => ({
    day,
    from: from * 3600,
    to: to === 24 ? 86_399 : to * 3600,
    zone,
  });
  const text = (ranges: TimeRange[]) => conditionText({ property: "current_utc_datetime", ranges });
  assert.equal(text([1, 2, 3, 4, 5].map((day) => range(day, 9, 17))), "Mon–Fri 09:00–17:00 (UTC)");
  assert.equal(
    text([range(1, 13, 17), range(1, 9, 12), range(6, 0, 24), range(0, 0, 24)]),
    "Mon 09:00–12:00, 13:00–17:00; Sat, Sun all day (UTC)",
  );
  assert.equal(text([0, 1, 2, 3, 4, 5, 6].map((day) => range(day, 0, 24))), "every day all day (UTC)");
  assert.equal(
    text([range(1, 9, 17), range(3, 9, 17), range(2, 8, 9, "Asia/Tokyo")]),
    "Mon, Wed 09:00–17:00 (UTC); Tue 08:00–09:00 (Asia/Tokyo)",
  );
  assert.equal(text([]), "never");
});

Deno.test("other conditions are sentences, too", () => {
  assert.equal(
    conditionText({ property: "provider_id", negated: true, providers: ["a", "b", "c"] }),
    "when not signed in by a, b or c",
  );
  assert.equal(
    conditionText({ property: "remote_ip_location_region", negated: false, regions: ["DE"] }),
    "when in DE",
  );
});
