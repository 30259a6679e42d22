import assert from "node:assert/strict";
import fc from "fast-check";
import { decodeGatewayEvent } from "../../mod/portal/schema/gateway.ts";
import { decodeGatewayReport } from "../../mod/portal/schema/report.ts";
import type { GatewayReport } from "../../mod/portal/types.ts";
import { gatewayInit, gatewayReport } from "./payloads.ts";

function intervalOf(postern: unknown) {
  const { value, skipped } = decodeGatewayEvent("init", { ...gatewayInit(), postern });
  assert.ok(value?.type === "init");
  return {
    interval: value.init.reportIntervalSecs,
    skipped: skipped.map(({ path, reason }) => `${path}: ${reason}`),
  };
}

Deno.test("a portal of our kind asks for reports in its init, others say nothing of them", () => {
  assert.deepEqual(intervalOf({ report_interval_secs: 10, later: true }), { interval: 10, skipped: [] });
  assert.deepEqual(intervalOf({ report_interval_secs: 0.1 }), { interval: 1, skipped: [] });
  assert.deepEqual(intervalOf({ report_interval_secs: 1e12 }), { interval: 86_400, skipped: [] });
  for (const nothing of [undefined, null, { report_interval_secs: 0 }]) {
    assert.deepEqual(intervalOf(nothing), { interval: undefined, skipped: [] });
  }
});

Deno.test("a wish for reports that can't be read costs the reports, not the init", () => {
  assert.deepEqual(intervalOf({ report_interval_secs: "10" }), {
    interval: undefined,
    skipped: ["postern.report_interval_secs: number expected"],
  });
  for (const odd of [7, "x", [], {}, { report_interval_secs: -1 }]) {
    const { interval, skipped } = intervalOf(odd);
    assert.deepEqual([interval, skipped.length], [undefined, 1]);
  }
});

const REPORT = gatewayReport() as unknown as GatewayReport;

Deno.test("a report is read whole, unknown fields are left out, and each wrong field is named", () => {
  const odd = { ...REPORT, later: 1, clients: REPORT.clients.map((client) => ({ ...client, later: 1 })) };
  assert.deepEqual(decodeGatewayReport(odd).value, REPORT);
  const cases: [change: (report: Record<string, unknown>) => unknown, path: string][] = [
    [(r) => ({ ...r, uptime_secs: "5" }), "uptime_secs"],
    [(r) => ({ ...r, clients: undefined }), "clients"],
    [(r) => ({ ...r, clients: [{ ...REPORT.clients[0], path: "none" }] }), "clients.0.path"],
    [(r) => ({ ...r, clients: [{ ...REPORT.clients[0], bytes_in: -1 }] }), "clients.0.bytes_in"],
    [(r) => ({ ...r, clients: new Array(1001).fill(REPORT.clients[0]) }), "clients"],
    [(r) => ({ ...r, relays: [{ ...REPORT.relays[0], id: "x" }] }), "relays.0.id"],
    [(r) => ({ ...r, events: [{ ...REPORT.events[0], port: 65536 }] }), "events.0.port"],
    [
      (r) => ({ ...r, events: [{ ...REPORT.events[0], destination: "x".repeat(256) }] }),
      "events.0.destination",
    ],
    [(r) => ({ ...r, events: new Array(101).fill(REPORT.events[0]) }), "events"],
  ];
  for (const [change, path] of cases) {
    const { value, error } = decodeGatewayReport(change({ ...REPORT }));
    assert.equal(value, undefined);
    assert.equal(error?.path, path);
  }
});

Deno.test("property: any JSON is a report or a named error, never a throw", () => {
  fc.assert(fc.property(fc.jsonValue(), (payload) => {
    const { value, error } = decodeGatewayReport(payload);
    assert.equal(value === undefined, error !== undefined);
  }));
});
