/** The server on a loopback socket, with this project's own portal client at the other end. */
import assert from "node:assert/strict";
import {
  type PortalServer,
  type PortalServerOptions,
  startPortal,
} from "../../../mod/embedded/portal/mod.ts";
import { formatKey } from "../../../mod/portal/key.ts";
import { CERTIFICATE, PRIVATE_KEY } from "./certificate.ts";
import { liveClient, liveGateway } from "./live_device.ts";
import { POLICY, policyOf, RELAY } from "./portal_world.ts";

const GATEWAY_TOKEN = "gateway-token-0123456789";
const CLIENT_TOKEN = "laptop-token-0123456789";
const HOST = "candidate:1 1 udp 2130706175 192.0.2.44 52625 typ host";
const RELAYED = "candidate:2 1 udp 50331391 203.0.113.10 53909 typ relay raddr 0.0.0.0 rport 0";

function start(options: Partial<PortalServerOptions> = {}): Promise<PortalServer> {
  return startPortal({
    policy: policyOf(POLICY),
    listen: { hostname: "127.0.0.1", port: 0 },
    relays: [RELAY],
    ...options,
  });
}

async function withFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "postern-portal-" });
  try {
    await run(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

for (const dialect of ["v1", "v2"] as const) {
  Deno.test(`gateway and client meet through the server in dialect ${dialect}`, async () => {
    const server = await start();
    const gateway = liveGateway({ apiUrl: server.url, token: GATEWAY_TOKEN, dialect });
    const client = liveClient({ apiUrl: server.url, token: CLIENT_TOKEN, dialect, tokenInQuery: false });
    try {
      const { init } = await gateway.diary.next("init");
      assert.equal(init.relays[0]!.v6!.key, "[2001:db8::10]:3478");
      const { init: theirs } = await client.diary.next("init");
      const resource = theirs.resources.find((one) => one.name === "Intranet")!;
      assert.equal(resource.cidr!.text, "10.20.0.0/16");

      client.connection.send({ type: "request", resourceId: resource.id, connectedGatewayIds: [] });
      const { authorization } = await gateway.diary.next("authorize");
      assert.equal(authorization.resource.id, resource.id);
      // The candidates are said first, yet must arrive second.
      const clientId = authorization.client.id;
      gateway.connection.send({ type: "candidates", clientId, candidates: [HOST] });
      gateway.connection.send({ type: "authorized", ref: authorization.ref });

      const { flow } = await client.diary.next("flow_created");
      assert.equal(formatKey(flow.presharedKey), formatKey(authorization.client.presharedKey));
      assert.deepEqual(flow.clientIce, authorization.clientIce);
      assert.deepEqual(flow.gatewayIpv4, init.interface.ipv4);
      assert.deepEqual((await client.diary.next("ice_candidates")).candidates, [HOST]);

      client.connection.send({ type: "candidates", gatewayId: flow.gatewayId, candidates: [RELAYED] });
      assert.deepEqual(await gateway.diary.next("ice_candidates"), {
        type: "ice_candidates",
        clientId,
        candidates: [RELAYED],
      });
      assert.deepEqual(server.online().map((one) => [one.role, one.dialect, one.version]), [
        ["gateway", dialect, "1.5.0"],
        ["client", dialect, "1.5.0"],
      ]);
    } finally {
      await Promise.all([gateway.connection.close(), client.connection.close()]);
      await server.stop();
    }
  });
}

Deno.test("a wrong token is final, with the problem's code", async () => {
  const server = await start();
  const gateway = liveGateway({ apiUrl: server.url, token: "wrong-token-0123456789" });
  const { error } = await gateway.diary.next("failed");
  assert.deepEqual([error.kind, error.code], ["unauthorized", "invalid_token"]);
  assert.ok(!error.message.includes("wrong-token"));
  await server.stop();
});

Deno.test("refusals are problem documents; what is no WebSocket is told so", async () => {
  const server = await start();
  const base = server.url.replace("ws:", "http:");
  const get = async (path: string, headers: Record<string, string> = {}) => {
    const response = await fetch(base + path, { headers });
    return [response.status, response.headers.get("content-type"), await response.text()] as const;
  };
  const upgrade = { upgrade: "websocket", connection: "Upgrade" };
  assert.deepEqual((await get("/healthz")).slice(0, 1), [200]);
  assert.equal((await get("/gateway/websocket"))[0], 426);
  assert.equal((await get("/elsewhere", upgrade))[0], 404);
  for (
    const path of ["/gateway/websocket", "/gateway/v2/websocket", "/client/websocket", "/client/v2/websocket"]
  ) {
    const [status, type, body] = await get(path, upgrade);
    assert.equal(status, 401);
    assert.equal(type, "application/problem+json");
    assert.equal(JSON.parse(body).code, "missing_token");
  }
  await server.stop();
});

Deno.test("a portal that restarts with its state: devices come back and grants stand", async () => {
  await withFolder(async (folder) => {
    const statePath = `${folder}/state.db`;
    let server = await start({ statePath });
    const listen = { hostname: "127.0.0.1", port: server.port };
    const gateway = liveGateway({ apiUrl: server.url, token: GATEWAY_TOKEN });
    const client = liveClient({ apiUrl: server.url, token: CLIENT_TOKEN });
    try {
      const before = (await gateway.diary.next("init")).init;
      const resourceId = (await client.diary.next("init")).init.resources[0]!.id;
      client.connection.send({ type: "request", resourceId, connectedGatewayIds: [] });
      const { authorization } = await gateway.diary.next("authorize");
      gateway.connection.send({ type: "authorized", ref: authorization.ref });
      await client.diary.next("flow_created");

      await server.stop();
      await gateway.diary.next("down");
      await client.diary.next("down");
      server = await start({ statePath, listen });
      await client.diary.next("init");
      const after = (await gateway.diary.next("init")).init;
      assert.deepEqual(after.interface, before.interface);
      assert.deepEqual(after.authorizations, [
        { clientId: authorization.client.id, resourceId, expiresAt: authorization.expiresAt },
      ]);
    } finally {
      await Promise.all([gateway.connection.close(), client.connection.close()]);
      await server.stop();
    }
  });
});

Deno.test("a policy file is read again on reload: a revoked client is out at once, a bad file changes nothing", async () => {
  await withFolder(async (folder) => {
    const file = `${folder}/policy.toml`;
    await Deno.writeTextFile(file, POLICY);
    const server = await start({ policy: file });
    const gateway = liveGateway({ apiUrl: server.url, token: GATEWAY_TOKEN });
    const client = liveClient({ apiUrl: server.url, token: CLIENT_TOKEN });
    try {
      const resourceId = (await client.diary.next("init")).init.resources[0]!.id;
      await gateway.diary.next("init");
      client.connection.send({ type: "request", resourceId, connectedGatewayIds: [] });
      const { authorization } = await gateway.diary.next("authorize");
      gateway.connection.send({ type: "authorized", ref: authorization.ref });
      await client.diary.next("flow_created");

      await Deno.writeTextFile(file, POLICY.replace("10.20.0.0/16", "10.20.0.0/99"));
      assert.throws(() => server.reload(), /policy\.toml:\d+: resource\[1\]\.address/);
      await Deno.writeTextFile(file, POLICY.replace(CLIENT_TOKEN, "another-token-0123456789"));
      server.reload();
      assert.equal((await client.diary.next("failed")).error.kind, "token_expired");
      assert.equal((await gateway.diary.next("reject_access")).clientId, authorization.client.id);
    } finally {
      await gateway.connection.close();
      await server.stop();
    }
  });
});

Deno.test("token files that don't exist are made, once, for their owner only", async () => {
  await withFolder(async (folder) => {
    const file = `${folder}/policy.toml`;
    await Deno.writeTextFile(
      file,
      '[[site]]\nname = "home"\n[[gateway]]\nname = "cellar"\ntoken_file = "cellar.token"\n',
    );
    const server = await start({ policy: file });
    const token = await Deno.readTextFile(`${folder}/cellar.token`);
    assert.match(token, /^[\w-]{43}\n$/);
    assert.equal((await Deno.stat(`${folder}/cellar.token`)).mode! & 0o777, 0o600);
    server.reload();
    assert.equal(await Deno.readTextFile(`${folder}/cellar.token`), token);
    const gateway = liveGateway({ apiUrl: server.url, token });
    await gateway.diary.next("init");
    await gateway.connection.close();
    await server.stop();
  });
});

Deno.test("an overlong frame closes its socket and no other", async () => {
  const server = await start();
  const gateway = liveGateway({ apiUrl: server.url, token: GATEWAY_TOKEN });
  const client = liveClient({ apiUrl: server.url, token: CLIENT_TOKEN });
  try {
    await gateway.diary.next("init");
    await client.diary.next("init");
    const candidates = Array.from({ length: 20_000 }, () => HOST);
    gateway.connection.send({
      type: "candidates",
      clientId: "5a3d2f80-6a52-4e0b-9e0e-0c7a4b2f1c11",
      candidates,
    });
    assert.match((await gateway.diary.next("down")).reason, /1009/);
    await gateway.diary.next("init");
    assert.equal(client.connection.isJoined, true);
  } finally {
    await Promise.all([gateway.connection.close(), client.connection.close()]);
    await server.stop();
  }
});

Deno.test("TLS: a private authority is trusted only when it is named", async () => {
  const server = await start({ tls: { cert: CERTIFICATE, key: PRIVATE_KEY } });
  // A name with several addresses, of which one answers.
  const apiUrl = `wss://localhost:${server.port}`;
  const trusting = liveGateway({ apiUrl, token: GATEWAY_TOKEN, ca: CERTIFICATE });
  const wary = liveGateway({ apiUrl, token: GATEWAY_TOKEN, id: "other" });
  try {
    await trusting.diary.next("init");
    assert.match((await wary.diary.next("down")).reason, /self-signed|certificate|issuer/i);
  } finally {
    await Promise.all([trusting.connection.close(), wary.connection.close()]);
    await server.stop();
  }
});

Deno.test("a state file of a newer version is refused by name", async () => {
  await withFolder(async (folder) => {
    await Deno.writeTextFile(
      `${folder}/state.db`,
      "this is no database, but it is long enough to be looked at",
    );
    await assert.rejects(
      start({ statePath: `${folder}/state.db` }),
      /Cannot open the portal's state .*state\.db: /,
    );
  });
});
