/** Whatever an address asks for and whatever a gateway reports, there is a page. */
import assert from "node:assert/strict";
import fc from "fast-check";
import {
  AdminWorld,
  device,
  EMPTY_POLICY,
  NOW,
  report,
  reported,
  resource,
  session,
  site,
} from "./admin_world.ts";
import { showcase } from "./showcase.ts";

Deno.test("no address makes a page fail: any query, any path", async () => {
  const world = showcase();
  const text = fc.oneof(
    fc.string({ unit: "binary", maxLength: 40 }),
    fc.constantFrom("%", "%zz", "..", "1e9", "-0"),
  );
  const section = fc.constantFrom("", "gateways", "people", "devices", "resources", "activity", "sessions");
  await fc.assert(
    fc.asyncProperty(
      section,
      fc.option(text),
      fc.dictionary(fc.constantFrom("q", "page", "client", "resource", "kind", "state", "done"), text),
      async (place, key, query) => {
        const segment = key === null ? "" : `/${encodeURIComponent(key.toWellFormed())}`;
        const search = new URLSearchParams(query);
        const response = await world.app.request(`/admin/${place}${segment}?${search}`);
        assert.ok([200, 301, 404].includes(response.status), `${response.status}`);
      },
    ),
    { numRuns: 100 },
  );
  for (const path of ["/admin/people/%zz", "/admin/devices/%00", "/admin/activity?client=%ff&page=%"]) {
    assert.ok([200, 404].includes((await world.app.request(path)).status), path);
  }
});

Deno.test("a gateway may report any numbers that a report can hold, and every page is still there", async () => {
  const huge = [0, 1, 1e12, 253_402_300_800, 8.64e15, 1e21, Number.MAX_VALUE];
  for (const reportedValue of huge) {
    const world = new AdminWorld();
    const [gateway, client] = [
      device("gateway", site("office").id, "gw"),
      device("client", "anna", "laptop"),
    ];
    world.policy = { ...EMPTY_POLICY, sites: [site("office")], resources: [resource("wiki", "10.0.0.0/8")] };
    world.deviceList = [gateway, client];
    for (const at of [NOW - 40, NOW - 30, NOW - 20, NOW - 10, NOW]) {
      const value = at % 20 === 0 ? reportedValue : 0;
      const given = report(
        [reported(client, { bytes_in: value, bytes_out: value, rtt_ms: value, last_handshake_secs: value })],
        [{
          at: value,
          kind: "flow",
          client_id: client.id,
          resource_id: null,
          protocol: "",
          destination: "",
          port: null,
          bytes_in: value,
          bytes_out: value,
        }],
        { uptime_secs: value, relays: [{ id: client.id, ready: true, rtt_ms: value }] },
      );
      world.handleReport(gateway, given, at);
    }
    for (const path of ["", "/gateways", `/gateways/${gateway.id}`, `/devices/${client.id}`, "/activity"]) {
      const response = await world.app.request(`/admin${path}`);
      assert.equal(response.status, 200, `${path} with ${reportedValue}`);
      const main = /<main.*<\/main>/s.exec(await response.text())![0];
      assert.doesNotMatch(main, /NaN|undefined|Infinity|Invalid Date/, `${path} with ${reportedValue}`);
    }
  }
});

Deno.test("events of the future don't stay on top of those that come after them", async () => {
  const world = showcase();
  const [gateway, laptop] = [world.deviceList[0]!, world.deviceList[4]!];
  const event = {
    kind: "denied",
    client_id: laptop.id,
    resource_id: null,
    protocol: "tcp",
    port: 1,
  } as const;
  world.handleReport(gateway, report([], [{ ...event, at: NOW + 1e9, destination: "192.0.2.1" }]), NOW);
  world.handleReport(gateway, report([], [{ ...event, at: NOW, destination: "192.0.2.2" }]), NOW);
  const page = await world.get("/admin/activity");
  assert.ok(page.indexOf("192.0.2.2") < page.indexOf("192.0.2.1"));
});

Deno.test("gateways that somebody makes up by the hundred don't fill the page without end", async () => {
  const world = new AdminWorld();
  world.policy = { ...EMPTY_POLICY, sites: [site("office")] };
  world.deviceList = Array.from(
    { length: 5_000 },
    (_, i) =>
      device("gateway", site("office").id, `gw-${String(i).padStart(4, "0")}`, {
        session: i === 4_999 ? session() : undefined,
      }),
  );
  const page = await world.get("/admin/gateways");
  assert.ok(page.length < 150_000, `${page.length} characters`);
  assert.match(page, /gw-4999[\s\S]*gw-0000[\s\S]*And 4900 more/);
});

Deno.test("a portal that can't write its state says so before everything else, whole", async () => {
  const world = showcase();
  world.suspended = new Error(`Cannot write the state: ${"the disk is full, ".repeat(10)}free some space.`);
  assert.match(
    await world.get("/admin"),
    /<ul><li class="bad">No device is served: Cannot write .*free some space\./,
  );
});
