import assert from "node:assert/strict";
import { configureSync, type LogRecord, resetSync } from "@logtape/logtape";
import { logPortalDown, logProxy } from "../../mod/runtime/portal_log.ts";
import { proxyFor } from "../../mod/portal/proxy.ts";

function recordsOf(run: () => void): LogRecord[] {
  const records: LogRecord[] = [];
  configureSync({
    sinks: { list: (record) => void records.push(record) },
    loggers: [{ category: "postern", sinks: ["list"], lowestLevel: "trace" }, {
      category: ["logtape", "meta"],
      sinks: [],
    }],
  });
  try {
    run();
  } finally {
    resetSync();
  }
  return records;
}

const down = (status: number | undefined, retryAfter?: string) =>
  recordsOf(() =>
    logPortalDown({
      reason: "because",
      retryIn: 1234.5,
      ...(status !== undefined && { refusal: { status, body: "", ...(retryAfter && { retryAfter }) } }),
    })
  ).map(({ level, properties }) => [level, properties.advice] as const)[0]!;

Deno.test("a refusal that is about our settings is an error with advice, any other trouble a warning", () => {
  for (const status of [400, 402, 403, 404, 422]) {
    const [level, advice] = down(status);
    assert.equal(level, "error", `${status}`);
    assert.match(String(advice), /^(Check|See) /);
  }
  for (const status of [undefined, 408, 429, 500, 503]) {
    assert.deepEqual(down(status), ["warning", undefined]);
  }
  assert.deepEqual(down(403, "5")[0], "warning", "it asks for patience");
  const [level, advice] = down(409);
  assert.deepEqual([level, /same id \(FIREZONE_ID\)/.test(String(advice))], ["warning", true]);
});

Deno.test("the proxy in use is named, its credentials are not", () => {
  const target = { host: "api.firezone.dev", port: 443, secure: true };
  const proxy = proxyFor(
    target,
    (name) => name === "HTTPS_PROXY" ? "http://me:secret@proxy:3128" : undefined,
  );
  const [record] = recordsOf(() => logProxy(proxy));
  assert.deepEqual(record!.properties, { proxy: "http://proxy:3128", variable: "HTTPS_PROXY" });
  assert.deepEqual(recordsOf(() => logProxy(undefined)), []);
});
