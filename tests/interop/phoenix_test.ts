/**
 * The `phoenix` package (the framework's own JavaScript client, serializer 1.0.0) against the embedded portal: joins,
 * replies, pushes, heartbeats and errors as an implementation sees them that knows nothing of this project.
 */
import assert from "node:assert/strict";
import { type Channel, Socket } from "phoenix";
import { WebSocket } from "ws";
import { type PortalServer, startPortal } from "../../mod/embedded/portal/mod.ts";
import { CLIENT_KEY, GATEWAY_KEY } from "../portal/support.ts";
import { POLICY, policyOf, RELAY } from "../embedded/portal/portal_world.ts";

const TOKENS = { gateway: "gateway-token-0123456789", client: "laptop-token-0123456789" };
const KEYS = { gateway: GATEWAY_KEY, client: CLIENT_KEY };
const PATIENCE = 5_000;

/** As old clients must say which version they are. */
class VersionedSocket extends WebSocket {
  constructor(url: string | URL, protocols?: string | string[]) {
    super(url, protocols, { headers: { "user-agent": "Debian/13 connlib/1.5.0 (x86_64)" } });
  }
}

interface Visitor {
  readonly socket: Socket;
  readonly channel: Channel;
  /** Payload of the next push with this event. */
  next<T>(event: string): Promise<T>;
  leave(): Promise<void>;
}

/** Connects and joins as a device of this role. */
async function visit(server: PortalServer, role: "gateway" | "client", path: string): Promise<Visitor> {
  const socket = new Socket(`${server.url}${path}`, {
    params: { token: TOKENS[role], external_id: `phoenix ${role}`, name: role, public_key: KEYS[role] },
    vsn: "1.0.0",
    transport: VersionedSocket,
    encode: (message: object, done: (text: string) => void) => done(JSON.stringify(message)),
    decode: (text: string, done: (message: object) => void) => done(JSON.parse(text)),
    heartbeatIntervalMs: 200,
  });
  socket.connect();
  const channel = socket.channel(role, {});
  const waiting = new Map<string, unknown[]>();
  const wakers = new Map<string, () => void>();
  for (
    const event of [
      "init",
      "authorize_flow",
      "create_authorization",
      "flow_created",
      "authorization_created",
      "flow_creation_failed",
      "ice_candidates",
      "relays_presence",
    ]
  ) {
    waiting.set(event, []);
    channel.on(event, (payload: unknown) => {
      waiting.get(event)!.push(payload);
      wakers.get(event)?.();
    });
  }
  await reply(channel.join());
  return {
    socket,
    channel,
    async next<T>(event: string) {
      if (waiting.get(event)!.length === 0) {
        await within(new Promise<void>((resolve) => wakers.set(event, resolve)), event);
      }
      return waiting.get(event)!.shift() as T;
    },
    leave: () => new Promise((resolve) => socket.disconnect(resolve)),
  };
}

/** The response of a push, or a rejection with the reason. */
function reply(push: ReturnType<Channel["join"]>): Promise<unknown> {
  return new Promise((resolve, reject) => {
    push.receive("ok", resolve).receive(
      "error",
      (response: { reason: string }) => reject(new Error(response.reason)),
    )
      .receive("timeout", () => reject(new Error("timeout")));
  });
}

async function within<T>(promise: Promise<T>, what: string): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`Waited in vain for ${what}.`)), PATIENCE);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

async function withPortal(run: (server: PortalServer) => Promise<void>): Promise<void> {
  const server = await startPortal({
    policy: policyOf(POLICY),
    listen: { hostname: "127.0.0.1", port: 0 },
    relays: [RELAY],
  });
  try {
    await run(server);
  } finally {
    await server.stop();
  }
}

Deno.test("phoenix joins, gets an empty ok and init, and its heartbeats are answered", () =>
  withPortal(async (server) => {
    const gateway = await visit(server, "gateway", "/gateway");
    const init = await gateway.next<{ interface: { ipv4: string } }>("init");
    assert.match(init.interface.ipv4, /^100\./);
    const statuses: string[] = [];
    gateway.socket.onMessage((message: object) => {
      const { topic, payload } = message as { topic: string; payload: { status: string } };
      if (topic === "phoenix") statuses.push(payload.status);
    });
    await new Promise((resolve) => setTimeout(resolve, 700));
    assert.ok(statuses.length >= 2 && statuses.every((status) => status === "ok"), statuses.join());
    assert.equal(gateway.socket.isConnected(), true);
    await gateway.leave();
  }));

for (const dialect of ["v1", "v2"] as const) {
  Deno.test(`phoenix as gateway and as client agree on a flow in dialect ${dialect}`, () =>
    withPortal(async (server) => {
      const suffix = dialect === "v1" ? "" : "/v2";
      const gateway = await visit(server, "gateway", `/gateway${suffix}`);
      const client = await visit(server, "client", `/client${suffix}`);
      const { resources } = await client.next<{ resources: { id: string }[] }>("init");
      const request = { resource_id: resources[0]!.id, connected_gateway_ids: [] };
      client.channel.push(dialect === "v1" ? "create_flow" : "request_authorization", request);
      const told = await gateway.next<{ ref: string; client: { id: string; preshared_key: string } }>(
        dialect === "v1" ? "authorize_flow" : "create_authorization",
      );
      const confirm = dialect === "v1" ? "flow_authorized" : "authorization_created";
      assert.deepEqual(await reply(gateway.channel.push(confirm, { ref: told.ref })), {});
      const candidates = ["candidate:1 1 udp 1 192.0.2.1 1 typ host"];
      gateway.channel.push("broadcast_ice_candidates", { client_ids: [told.client.id], candidates });
      const granted = await client.next<{ preshared_key: string; gateway_id: string }>(
        dialect === "v1" ? "flow_created" : "authorization_created",
      );
      assert.equal(granted.preshared_key, told.client.preshared_key);
      assert.deepEqual(await client.next("ice_candidates"), { gateway_id: granted.gateway_id, candidates });
      client.channel.push("no_relays", {});
      assert.equal((await client.next<{ connected: unknown[] }>("relays_presence")).connected.length, 2);
      await gateway.leave();
      await client.leave();
    }));
}

Deno.test("phoenix hears why: unknown message, bad ref, a topic that isn't its own", () =>
  withPortal(async (server) => {
    const gateway = await visit(server, "gateway", "/gateway");
    await assert.rejects(reply(gateway.channel.push("teleport", {})), /unknown_message/);
    await assert.rejects(reply(gateway.channel.push("flow_authorized", { ref: "made up" })), /invalid_ref/);
    const foreign = gateway.socket.channel("client", {});
    await assert.rejects(reply(foreign.join()), /unmatched topic/);
    foreign.leave();
    await gateway.leave();
  }));
