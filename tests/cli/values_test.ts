import assert from "node:assert/strict";
import { parseDuration, parseListenAddress } from "../../mod/cli/values.ts";
import { causeChain } from "../../mod/cli/errors.ts";

Deno.test("durations are read as people write them", () => {
  const cases: [string, number][] = [
    ["30s", 30_000],
    ["5m", 300_000],
    ["1h", 3_600_000],
    [
      "30d",
      2_592_000_000,
    ],
    [
      "1h 30m",
      5_400_000,
    ],
    ["250ms", 250],
    ["2 hours", 7_200_000],
    ["1day 12hr", 129_600_000],
    ["1w", 604_800_000],
  ];
  for (const [text, ms] of cases) assert.equal(parseDuration(text, "x"), ms);
});

Deno.test("what is no duration is a usage error", () => {
  for (const text of ["", "5", "m", "5 parsecs", "-5m", "0s", "5m!", "5m x", "5constructor"]) {
    assert.throws(() => parseDuration(text, "--max-partition-time"), /--max-partition-time is/);
  }
});

Deno.test("a listen address needs an IP address and a port", () => {
  assert.equal(parseListenAddress("0.0.0.0:8080", "x").key, "0.0.0.0:8080");
  assert.equal(parseListenAddress("[::]:1", "x").key, "[::]:1");
  for (const text of ["8080", "localhost:80", "1.2.3.4", ":80", "1.2.3.4:99999"]) {
    assert.throws(() => parseListenAddress(text, "HEALTH_CHECK_ADDR"), /HEALTH_CHECK_ADDR is/);
  }
});

Deno.test("an error is told with everything that caused it, on one line", () => {
  const error = new Error("Cannot start", { cause: new Error("Cannot log in", { cause: "401" }) });
  assert.equal(causeChain(error), "Cannot start: Cannot log in: 401");
});
