/** Rates between reports, and lists that can't grow. */
import assert from "node:assert/strict";
import { LiveState } from "../../../../mod/embedded/portal/admin/mod.ts";
import { type GatewayReport, MAX_REPORTED_CLIENTS } from "../../../../mod/portal/types.ts";
import { device, report, reported } from "./admin_world.ts";

const GATEWAY = "0d4c6b2a-7e8f-4a1b-b2c3-d4e5f6a7b855";
const LAPTOP = device("client", "anna", "laptop"), PHONE = device("client", "anna", "phone");

function observe(live: LiveState, at: number, of: GatewayReport): void {
  live.observe([{ gatewayId: GATEWAY, at: Math.floor(at), receivedAt: at * 1000, report: of }]);
}

function counts(bytes_in: number, bytes_out: number, uptime_secs: number): GatewayReport {
  return report([reported(LAPTOP, { bytes_in, bytes_out })], [], { uptime_secs });
}

Deno.test("rates are what moved between two reports, over the seconds between them", () => {
  const live = new LiveState();
  observe(live, 100, counts(1_000, 5_000, 50));
  assert.deepEqual([live.gateway(GATEWAY)!.rates.size, live.gateway(GATEWAY)!.total], [0, undefined]);
  observe(live, 110, counts(3_000, 5_000, 60));
  assert.deepEqual(live.gateway(GATEWAY)!.rates.get(LAPTOP.id), { in: 200, out: 0 });
  assert.deepEqual(live.gateway(GATEWAY)!.total, { in: 200, out: 0 });
  // Reports don't come on the second.
  observe(live, 119.5, counts(3_000, 5_950, 69));
  assert.deepEqual(live.gateway(GATEWAY)!.total, { in: 0, out: 100 });
  // One report was missed.
  observe(live, 139.5, counts(3_000, 9_950, 89));
  assert.deepEqual(live.gateway(GATEWAY)!.total, { in: 0, out: 200 });
  assert.deepEqual(live.gateway(GATEWAY)!.history, [{ in: 200, out: 0 }, { in: 0, out: 100 }, {
    in: 0,
    out: 200,
  }]);
});

Deno.test("a report that was seen already changes nothing", () => {
  const live = new LiveState();
  const same = counts(1_000, 5_000, 50);
  observe(live, 100, same);
  observe(live, 110, counts(3_000, 5_000, 60));
  const before = live.gateway(GATEWAY);
  observe(live, 110, before!.report);
  assert.equal(live.gateway(GATEWAY), before);
});

Deno.test("a new connection's counters begin at zero; a gateway that restarted has no rates yet", () => {
  const live = new LiveState();
  observe(live, 100, counts(90_000, 90_000, 50));
  observe(live, 110, counts(1_000, 2_000, 60));
  assert.deepEqual(live.gateway(GATEWAY)!.total, { in: 100, out: 200 });
  observe(live, 120, counts(5_000, 5_000, 3));
  assert.deepEqual([live.gateway(GATEWAY)!.total, live.gateway(GATEWAY)!.history], [undefined, []]);
});

Deno.test("a client that comes counts from zero, unless it may have been cut from a full report", () => {
  const live = new LiveState();
  observe(live, 100, report([], [], { uptime_secs: 50 }));
  observe(live, 110, report([reported(PHONE, { bytes_in: 50 })], [], { uptime_secs: 60 }));
  assert.deepEqual(live.gateway(GATEWAY)!.rates.get(PHONE.id), { in: 5, out: 0 });
  const full = Array.from(
    { length: MAX_REPORTED_CLIENTS },
    (_, i) => reported(device("client", "x", `d${i}`)),
  );
  observe(live, 120, report(full, [], { uptime_secs: 70 }));
  observe(live, 130, report([reported(LAPTOP, { bytes_in: 1e12 })], [], { uptime_secs: 80 }));
  assert.equal(live.gateway(GATEWAY)!.rates.get(LAPTOP.id), undefined);
});

Deno.test("a clock that is put back gives no negative and no infinite rates", () => {
  const live = new LiveState();
  observe(live, 100, counts(1_000, 1_000, 50));
  observe(live, 100, counts(2_000, 1_000, 51));
  assert.equal(live.gateway(GATEWAY)!.total, undefined);
  observe(live, 50, counts(3_000, 1_000, 60));
  assert.equal(live.gateway(GATEWAY)!.total, undefined);
});

Deno.test("a gateway whose report the portal forgot is forgotten", () => {
  const live = new LiveState();
  observe(live, 100, counts(1, 1, 50));
  live.observe([]);
  assert.equal(live.gateway(GATEWAY), undefined);
});

Deno.test("history and problems are bounded, and a problem that repeats is counted", () => {
  const live = new LiveState();
  for (let i = 0; i < 500; i++) {
    observe(live, i * 10, counts(i, i, i * 10));
    live.handleProblem(`problem ${i}`, i);
  }
  assert.equal(live.gateway(GATEWAY)!.history.length, 60);
  assert.equal(live.problems.length, 200);
  live.handleProblem("again", 600);
  live.handleProblem("again", 601);
  assert.deepEqual(live.problems.at(-1), { at: 601, text: "again", times: 2 });
  live.handleProblem("x".repeat(1e6), 602);
  assert.ok(live.problems.at(-1)!.text.length <= 500);
});
