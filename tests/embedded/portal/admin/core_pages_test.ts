/** The admin pages over the real core: what devices do is what pages show, and what pages do is what devices hear. */
import assert from "node:assert/strict";
import { html } from "hono/html";
import { type AdminPortal, adminRoutes, LiveState } from "../../../../mod/embedded/portal/admin/mod.ts";
import { authorize, PortalWorld, resourceId } from "../portal_world.ts";
import { ADMIN, report } from "./admin_world.ts";

/** The core of a world as the server would show it to the pages. */
function facade(world: PortalWorld): AdminPortal {
  const { core } = world;
  const drained = <T>(value: T): T => {
    world.drain();
    return value;
  };
  return {
    get policy() {
      return world.policy;
    },
    unixNow: () => world.unixNow(),
    devices: () => core.devices(world.now),
    grants: () => core.grants,
    tokens: () => core.tokens,
    addToken: (text, of) => {
      const record = {
        ...of,
        id: "8f14e45f-ceea-467f-a8e2-000000000001",
        hash: text,
        createdAt: world.unixNow(),
      };
      core.addToken(record);
      return drained(record);
    },
    revokeToken: (id) => drained(core.revokeToken(id)),
    reports: () => core.reports,
    recent: () => core.recent,
    relays: () => core.joinedRelays,
    verify: (id, verified) => drained(core.verify(id, verified)),
    disconnect: (id) => drained(core.disconnect(id, world.now)),
  };
}

function pagesOf(world: PortalWorld) {
  const app = adminRoutes(facade(world), {
    basePath: "",
    live: new LiveState(),
    version: undefined,
    random: (length) => new Uint8Array(length),
    log: () => {},
    currentUser: () => ADMIN,
    csrfField: () => html``,
  });
  return {
    async text(path: string): Promise<string> {
      const page = await (await app.request(path)).text();
      const main = /<main.*<\/main>/s.exec(page)![0];
      return main.replace(/<[^>]+>/g, " ").replace(/\s+/g, " ").replace(/ ([,.:;])/g, "$1");
    },
    async post(path: string, fields: Record<string, string> = {}): Promise<void> {
      assert.equal(
        (await app.request(path, { method: "POST", body: new URLSearchParams(fields) })).status,
        303,
      );
    },
  };
}

Deno.test("a client that connects, is granted something and moves bytes is followed through the pages", async () => {
  const world = new PortalWorld();
  const pages = pagesOf(world);
  assert.match(await pages.text("/devices"), /No device has connected yet/);
  const gateway = world.connect("cellar"), laptop = world.connect("laptop");
  assert.match(
    await pages.text("/devices"),
    /1 device, 1 online\..*laptop laptop online just now 198\.51\.100\.20/,
  );
  assert.match(await pages.text(`/gateways/${gateway.id}`), /No live data from this gateway/);

  authorize(world, laptop, gateway);
  assert.match(await pages.text(`/devices/${laptop.id}`), /Granted now .* Intranet cellar never/);
  assert.match(
    await pages.text(`/resources/${resourceId(world, "Intranet")}`),
    /Granted now .* laptop cellar never/,
  );

  const client = { client_id: laptop.id, path: "relayed", rtt_ms: 31.4, last_handshake_secs: 5 } as const;
  const event = {
    at: world.unixNow(),
    kind: "denied",
    client_id: laptop.id,
    resource_id: resourceId(world, "Intranet"),
    protocol: "tcp",
    destination: "10.20.0.7",
    port: 22,
  } as const;
  const say = (bytes: number, uptime_secs: number) =>
    gateway.say(
      "postern_report",
      report([{ ...client, bytes_in: bytes, bytes_out: 0 }], [event], { uptime_secs }),
    );
  assert.deepEqual(say(0, 20), []);
  assert.match(await pages.text(`/gateways/${gateway.id}`), /relayed 31 ms not yet known/);
  world.wait(10_000);
  say(12_500_000, 30);
  assert.match(
    await pages.text(`/gateways/${gateway.id}`),
    /relayed 31 ms ↑ 10\.0 Mbit\/s ↓ 0 bit\/s ↑ 12\.5 MB/,
  );
  assert.match(
    await pages.text("/activity"),
    /denied laptop Intranet 10\.20\.0\.7:22 tcp not in the resource.{1,5}s filters cellar/,
  );
});

Deno.test("disconnecting a device from its page closes its connection, and the page shows it offline", async () => {
  const world = new PortalWorld();
  const pages = pagesOf(world);
  const laptop = world.connect("laptop");
  await pages.post(`/devices/${laptop.id}/disconnect`);
  assert.equal(laptop.closedWith, 1012);
  assert.match(await pages.text(`/devices/${laptop.id}`), /laptop offline/);
});

Deno.test("marking a device as verified from its page is what the core knows from then on", async () => {
  const world = new PortalWorld();
  const pages = pagesOf(world);
  const laptop = world.connect("laptop");
  for (const verified of ["yes", "no"]) {
    await pages.post(`/devices/${laptop.id}/verify`, { verified });
    assert.match(await pages.text(`/devices/${laptop.id}`), new RegExp(`Verified ${verified}`));
    assert.equal(world.core.devices(world.now)[0]!.verified, verified === "yes");
  }
});

Deno.test("a login that the portal refused is listed with where it came from", async () => {
  const world = new PortalWorld();
  world.core.admit({
    role: "client",
    dialect: "v1",
    token: "wrong",
    externalId: "x",
    name: "intruder",
    publicKey: "",
    userAgent: "",
    vsn: undefined,
    remoteIp: "192.0.2.99",
    region: undefined,
  });
  assert.match(
    await pagesOf(world).text("/activity?kind=login"),
    /login refused client intruder from 192\.0\.2\.99/,
  );
});
