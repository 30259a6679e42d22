import assert from "node:assert/strict";
import fc from "fast-check";
import type { LogRecord } from "@logtape/logtape";
import { formatHuman, formatJson, type Level, parseLogFilter, passes } from "../../mod/cli/log/mod.ts";

function record(values: Partial<LogRecord>): LogRecord {
  return {
    category: ["postern", "portal"],
    level: "info",
    message: ["Connected to portal"],
    rawMessage: "Connected to portal",
    properties: {},
    timestamp: Date.UTC(2026, 0, 2, 3, 4, 5, 6),
    ...values,
  };
}

function shown(filter: string | undefined, target: string, level: Level): boolean {
  return passes(parseLogFilter(filter), target.split("::"), level);
}

Deno.test("without RUST_LOG info and above are shown", () => {
  for (const text of [undefined, "", " , "]) {
    assert.equal(shown(text, "portal", "info"), true);
    assert.equal(shown(text, "portal", "debug"), false);
  }
});

Deno.test("a bare level decides for everything, in any case and spelling", () => {
  assert.equal(shown("DEBUG", "portal", "debug"), true);
  assert.equal(shown("warning", "portal", "info"), false);
  assert.equal(shown("off", "portal", "error"), false);
});

Deno.test("the longest matching target decides", () => {
  const filter = "info,runtime=debug,runtime::loop=trace,portal=off";
  assert.equal(shown(filter, "runtime::loop", "trace"), true);
  assert.equal(shown(filter, "runtime::bridge", "trace"), false);
  assert.equal(shown(filter, "runtime::bridge", "debug"), true);
  assert.equal(shown(filter, "runtimes", "debug"), false);
  assert.equal(shown(filter, "portal", "error"), false);
  assert.equal(shown(filter, "dns", "info"), true);
});

Deno.test("a target without a level means trace; targets alone leave errors of the rest", () => {
  assert.equal(shown("portal", "portal", "trace"), true);
  assert.equal(shown("portal=debug", "dns", "warn"), false);
  assert.equal(shown("portal=debug", "dns", "error"), true);
});

Deno.test("span filters and nonsense are ignored and reported", () => {
  const filter = parseLogFilter("info,portal[session]=debug,=x,a=b=c");
  assert.equal(filter.fallback, "info");
  assert.deepEqual(filter.ignored, ["portal[session]=debug", "=x", "a=b=c"]);
});

Deno.test("any RUST_LOG gives a filter", () => {
  fc.assert(fc.property(fc.string(), (text) => {
    passes(parseLogFilter(text), ["a"], "info");
  }));
});

Deno.test("a human line has time, level, target, message and fields", () => {
  const line = formatHuman(record({ properties: { backoff: 3, reason: "a b" } }), false);
  assert.equal(line, "2026-01-02T03:04:05.006Z  INFO portal: Connected to portal backoff=3 reason=a b\n");
});

Deno.test("values that the message shows already are not repeated as fields", () => {
  const line = formatHuman(
    record({
      message: ["Allowing access to resource ", "r1", ""],
      rawMessage: "Allowing access to resource {id}",
      properties: { id: "r1", client: "c1" },
    }),
    false,
  );
  assert.match(line, /Allowing access to resource r1 client=c1\n$/);
});

Deno.test("text from outside cannot forge a line or colour the terminal", () => {
  const line = formatHuman(record({ message: ["a\n\x1b[31mb"], properties: { name: "x\ny" } }), false);
  assert.equal(line.trimEnd().split("\n").length, 1);
  // deno-lint-ignore no-control-regex -- exactly this must be absent
  assert.doesNotMatch(line, /\x1b/);
});

Deno.test("a JSON line is one flat object whose standard keys win", () => {
  const properties = { attempt: 2, level: "forged", error: new Error("boom") };
  const parsed = JSON.parse(formatJson(record({ level: "warning", properties })));
  assert.deepEqual(parsed, {
    attempt: 2,
    error: "boom",
    timestamp: "2026-01-02T03:04:05.006Z",
    level: "WARN",
    target: "portal",
    message: "Connected to portal",
  });
});
