/** Our relay, our portal and devices on real sockets, over loopback: what `postern relay TOKEN` and `portal` do. */
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { type RelayService, relayService } from "../../mod/cli/relay_service.ts";
import { type PortalServer, startPortal } from "../../mod/embedded/portal/mod.ts";
import type { Relay } from "../../mod/portal/types.ts";
import { openEcho, TurnEndpoint, until } from "../interop/turn_endpoint.ts";
import { liveClient } from "./portal/live_device.ts";

const RELAY_PORT = 34788;
const RELAY_OPTIONS = {
  addresses: { v4: "127.0.0.1", v6: "::1" },
  port: RELAY_PORT,
  portRange: [34800, 34899],
  allowedPeers: ["127.0.0.0/8", "::1"],
} as const;
const CLIENT_TOKEN = "laptop-token-0123456789", RELAY_TOKEN = "relay-token-0123456789";
const POLICY = `[[site]]
name = "home"

[[gateway]]
name = "cellar"
token = "gateway-token-0123456789"

[[client]]
name = "laptop"
token = "${CLIENT_TOKEN}"

[[resource]]
name = "lan"
address = "10.20.0.0/16"
allow = ["everyone"]
`;
const RELAY = `
[[relay]]
name = "relay-1"
token = "${RELAY_TOKEN}"
`;

interface World {
  readonly portal: PortalServer;
  readonly relay: RelayService;
  setPolicy(text: string): Promise<void>;
}

async function withRelay(action: (world: World) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "postern-relay-" });
  const file = `${folder}/policy.toml`;
  await Deno.writeTextFile(file, POLICY + RELAY);
  const portal = await startPortal({
    policy: file,
    listen: { hostname: "127.0.0.1", port: 0 },
    relays: [],
  });
  const relay = await relayService(RELAY_OPTIONS, {
    apiUrl: portal.url,
    token: RELAY_TOKEN,
    tokenInQuery: true,
    userAgent: "Debian/13 relay/0.1.0",
    name: "relay-1",
  });
  try {
    await until(() => relay.readiness().ready, "the portal hands the relay out");
    await action({
      portal,
      relay,
      async setPolicy(text) {
        await Deno.writeTextFile(file, text);
        portal.reload();
      },
    });
  } finally {
    await relay.stop();
    await portal.stop();
    await Deno.remove(folder, { recursive: true });
  }
}

/** Allocates with the credential that the portal gave, and sends something there and back. */
async function use({ username, password, v4 }: Relay): Promise<void> {
  const peer = await openEcho();
  const endpoint = await TurnEndpoint.open({ addresses: { v4: v4! }, username, password, realm: "firezone" });
  try {
    await endpoint.echo(peer.address, Uint8Array.of(1, 2, 3));
  } finally {
    endpoint.close();
    peer.close();
  }
}

Deno.test("a relay that connects to the portal is handed to a client, and its credential works there", async () => {
  await withRelay(async ({ portal }) => {
    const client = liveClient({ apiUrl: portal.url, token: CLIENT_TOKEN });
    try {
      const { relays: [relay, ...others] } = (await client.diary.next("init")).init;
      deepEqual(others, []);
      equal(relay!.v4?.key, `127.0.0.1:${RELAY_PORT}`);
      equal(relay!.v6?.key, `[::1]:${RELAY_PORT}`);
      await use(relay!);
    } finally {
      await client.connection.close();
    }
  });
});

Deno.test("devices hear of a relay that goes, and of one that comes", async () => {
  await withRelay(async ({ portal, relay }) => {
    const client = liveClient({ apiUrl: portal.url, token: CLIENT_TOKEN });
    const { init } = await client.diary.next("init");
    await relay.stop();
    const { presence: gone } = await client.diary.next("relays_presence");
    deepEqual([gone.disconnectedIds, gone.connected], [[init.relays[0]!.id], []]);
    const next = await relayService(RELAY_OPTIONS, {
      apiUrl: portal.url,
      token: RELAY_TOKEN,
      tokenInQuery: false,
      userAgent: "relay/0.1.0",
    });
    try {
      const { presence } = await client.diary.next("relays_presence");
      const [fresh] = presence.connected;
      ok(fresh!.id !== init.relays[0]!.id, "another secret, another relay");
      await use(fresh!);
    } finally {
      await next.stop();
      await client.connection.close();
    }
  });
});

Deno.test("a relay whose token leaves the policy is told at once and ends", async () => {
  await withRelay(async ({ relay, setPolicy }) => {
    await setPolicy(POLICY);
    match((await relay.done)!, /expired or revoked/);
  });
});

Deno.test("a portal that restarts finds its relay again, with the credentials that devices have", async () => {
  const folder = await Deno.makeTempDir({ prefix: "postern-relay-" });
  const file = `${folder}/policy.toml`;
  await Deno.writeTextFile(file, POLICY + RELAY);
  const start = (port: number) =>
    startPortal({
      policy: file,
      listen: { hostname: "127.0.0.1", port },
      relays: [],
      statePath: `${folder}/state`,
    });
  let portal = await start(0);
  const { port } = portal;
  const relay = await relayService(RELAY_OPTIONS, {
    apiUrl: portal.url,
    token: RELAY_TOKEN,
    tokenInQuery: true,
    userAgent: "relay/0.1.0",
  });
  try {
    await until(() => relay.readiness().ready, "the portal hands the relay out");
    const credentials = async () => {
      const client = liveClient({ apiUrl: portal.url, token: CLIENT_TOKEN });
      const { init } = await client.diary.next("init");
      await client.connection.close();
      return init.relays[0];
    };
    const before = (await credentials())!;
    await portal.stop();
    await use(before);
    portal = await start(port);
    await until(() => relay.readiness().reason === "The portal hands this relay out.", "it found its portal");
    const after = (await credentials())!;
    deepEqual([after.id, after.username, after.password], [before.id, before.username, before.password]);
  } finally {
    await relay.stop();
    await portal.stop();
    await Deno.remove(folder, { recursive: true });
  }
});
