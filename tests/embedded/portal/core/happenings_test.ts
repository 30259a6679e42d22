import assert from "node:assert/strict";
import { Happenings } from "../../../../mod/embedded/portal/core/happenings.ts";
import type { GatewayReport } from "../../../../mod/portal/types.ts";
import { find, PortalWorld, resourceId } from "../portal_world.ts";

function report(changes: Partial<GatewayReport> = {}): GatewayReport {
  return { uptime_secs: 12, version: "1.0.0", clients: [], relays: [], events: [], ...changes };
}

const DENIED = {
  at: 1_753_347_600,
  kind: "denied" as const,
  client_id: "5a3d2f80-6a52-4e0b-9e0e-0c7a4b2f1c11",
  resource_id: null,
  protocol: "tcp",
  destination: "10.0.0.9",
  port: 22,
};

Deno.test("gateways are asked for reports, and the latest of each is kept with its events", () => {
  const world = new PortalWorld();
  const cellar = world.connect("cellar");
  const init = find(cellar.take(), "init") as unknown as { postern: unknown };
  assert.deepEqual(init.postern, { report_interval_secs: 10 });
  assert.deepEqual(cellar.say("postern_report", report({ uptime_secs: 2, events: [DENIED] })), []);
  assert.deepEqual(cellar.say("postern_report", report({ uptime_secs: 12 })), []);
  assert.deepEqual(world.core.reports.map(({ gatewayId, report }) => [gatewayId, report.uptime_secs]), [
    [cellar.id, 12],
  ]);
  assert.deepEqual(world.core.recent, [
    { kind: "gateway", gatewayId: cellar.id, event: DENIED, at: DENIED.at, count: 1 },
  ]);
});

Deno.test("a report that can't be read is refused and changes nothing; clients make none", () => {
  const world = new PortalWorld();
  const cellar = world.connect("cellar"), laptop = world.connect("laptop");
  laptop.take();
  cellar.take();
  for (
    const bad of [null, {}, { ...report(), version: 7 }, { ...report(), clients: Array(5_000).fill({}) }]
  ) {
    assert.equal(cellar.say("postern_report", bad)[0]!.payload.response.reason, "invalid_payload");
  }
  assert.equal(laptop.say("postern_report", report())[0]!.payload.response.reason, "unknown_message");
  assert.deepEqual(world.core.reports, []);
});

Deno.test("refused logins and refused requests are kept, the same ones within a minute as one", () => {
  const world = new PortalWorld();
  assert.throws(() => world.connect("laptop", { publicKey: "AAAA" }));
  assert.throws(() => world.connect("laptop", { publicKey: "AAAA" }));
  const laptop = world.connect("laptop");
  const ask = () => laptop.say("create_flow", { resource_id: resourceId(world, "Intranet") });
  ask();
  world.wait(2_000);
  ask();
  world.wait(61_000);
  laptop.say("heartbeat", {}, "phoenix");
  ask();
  const seen = world.core.recent.map((one) => [
    one.kind,
    one.count,
    one.kind === "access_refused" ? one.reason : one.kind === "login_refused" ? one.code : "",
  ]);
  assert.deepEqual(seen, [["login_refused", 2, "invalid_connect_params"], ["access_refused", 1, "offline"]]);
});

Deno.test("lists are bounded, and a flood of refused logins doesn't drive out what gateways told", () => {
  const happenings = new Happenings();
  happenings.handleReport("gateway", report({ events: [DENIED] }), 0, 0);
  for (let n = 0; n < 5_000; n++) {
    const refused = { role: "client", remoteIp: `${n}`, name: undefined, code: "invalid_token", detail: "" };
    happenings.handleRefusedLogin(refused, n);
  }
  assert.equal(happenings.recent.length, 201);
  assert.equal(happenings.recent[0]!.kind, "gateway");
  for (let n = 0; n < 2_000; n++) {
    happenings.handleReport(`gateway ${n}`, report({ events: [DENIED, DENIED] }), n, n);
  }
  assert.equal(happenings.recent.length, 1_200);
  assert.equal(happenings.reports.length, 1_000);
});
