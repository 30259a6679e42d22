/** `postern relay` as a service: on real sockets, loopback only, with a portal that does what the test says. */
import { deepEqual, equal, match, ok, rejects } from "node:assert/strict";
import { relayService } from "../../mod/cli/relay_service.ts";
import { RelayLink, type RelayLinkOptions, relayUserAgent } from "../../mod/cli/relay_link.ts";
import type { RelayOptions } from "../../mod/embedded/relay/mod.ts";
import { relayCredentials } from "../../mod/embedded/relay/mod.ts";
import { SocketAddress } from "../../mod/packet/address.ts";
import { openEcho, TurnEndpoint, until } from "../interop/turn_endpoint.ts";
import { ScriptedPortal } from "./scripted_portal.ts";

const RELAY: RelayOptions = {
  addresses: { v4: "127.0.0.1" },
  port: 34785,
  portRange: [34800, 34899],
  allowedPeers: ["127.0.0.0/8"],
};
const PLACE = { v4: "203.0.113.10", v6: "2001:db8::10", port: 3478, stampSecret: "5ec4e7".repeat(8) };
const MINUTE = 60_000;

function identity(portal: ScriptedPortal): RelayLinkOptions {
  return {
    apiUrl: portal.url,
    token: ".relay-token",
    tokenInQuery: true,
    userAgent: relayUserAgent({
      hostname: "",
      osRelease: "NAME=Debian\nVERSION_ID=13",
      arch: "x86_64",
      kernel: "6",
    }),
    name: "relay-1",
  };
}

Deno.test("a relay logs in with its addresses, joins with its secret, and is ready when it is handed out", async () => {
  await using portal = await ScriptedPortal.start();
  const relay = await relayService(RELAY, identity(portal));
  try {
    const device = await portal.accept();
    equal(
      device.request.url,
      "/relay/websocket?token=.relay-token&name=relay-1&ipv4=127.0.0.1&port=34785",
    );
    equal(device.request.headers["x-authorization"], "Bearer .relay-token");
    equal(device.request.headers["user-agent"], "Debian/13 relay/0.1.0 (x86_64; 6)");
    deepEqual(relay.readiness(), {
      ready: false,
      reason: "The portal is out of reach: it has not answered yet",
    });
    const join = await device.join();
    deepEqual([join.topic, join.event, join.payload], [
      "relay",
      "phx_join",
      { stamp_secret: relay.policy.stampSecret },
    ]);
    match(relay.policy.stampSecret, /^[0-9a-f]{64}$/);
    device.push("relay", "init", {});
    await until(() => relay.readiness().ready, "it is handed out");
    const joined = async () => (await relay.metrics()).find(({ name }) => name === "relay_joined")?.value;
    equal(await joined(), 1);
  } finally {
    await relay.stop();
  }
  equal(relay.readiness().ready, false);
  equal(await relay.done, undefined);
});

Deno.test("a relay goes on relaying while its portal is away, and joins again with the same secret", async () => {
  await using portal = await ScriptedPortal.start();
  const relay = await relayService(RELAY, identity(portal));
  const peer = await openEcho();
  try {
    const first = await portal.accept();
    const { payload } = await first.join();
    first.push("relay", "init", {});
    await until(() => relay.readiness().ready, "it is handed out");
    const endpoint = await TurnEndpoint.open({
      addresses: { v4: SocketAddress.of("127.0.0.1", RELAY.port!)! },
      realm: "firezone",
      ...relayCredentials({
        publicKey: "device",
        stampSecret: relay.policy.stampSecret,
        expiresAt: 2145916800,
      }),
    });
    await endpoint.echo(peer.address, Uint8Array.of(1));
    first.socket.terminate();
    await until(
      () => relay.readiness().reason !== "The portal hands this relay out.",
      "the loss was noticed",
    );
    await endpoint.echo(peer.address, Uint8Array.of(2));
    ok(relay.readiness().ready, "for a while it is still of use");
    const second = await portal.accept();
    deepEqual((await second.join()).payload, payload);
    second.push("relay", "init", {});
    await until(
      () => relay.readiness().reason === "The portal hands this relay out.",
      "it is handed out again",
    );
    endpoint.close();
  } finally {
    await relay.stop();
    peer.close();
  }
});

Deno.test("a relay is healthy for 15 minutes without its portal, and not before it ever joined", async () => {
  await using portal = await ScriptedPortal.start();
  let now = 0;
  const link = new RelayLink(identity(portal), PLACE, () => now);
  try {
    equal(link.readiness().ready, false);
    const device = await portal.accept();
    await device.join();
    device.push("relay", "init", {});
    await until(() => link.readiness().ready, "it is handed out");
    now = 100 * MINUTE;
    equal(link.readiness().ready, true);
    portal.refusal = 503;
    device.socket.terminate();
    await until(() => link.metrics()[0]!.value === 0, "the loss was noticed");
    now = 115 * MINUTE - 1;
    equal(link.readiness().ready, true);
    now = 115 * MINUTE;
    deepEqual(link.readiness().ready, false);
    match(link.readiness().reason, /^The portal is out of reach: /);
    portal.refusal = undefined;
    const again = await portal.accept();
    await again.join();
    again.push("relay", "init", {});
    await until(() => link.readiness().ready, "it is handed out again");
  } finally {
    await link.close();
  }
});

Deno.test("a refused token ends the relay with a reason that does not name it", async () => {
  await using portal = await ScriptedPortal.start();
  portal.refusal = 401;
  const relay = await relayService(RELAY, identity(portal));
  const reason = await relay.done;
  await relay.stop();
  match(reason!, /^Cannot log in to the portal: HTTP 401.*Check the token\.$/);
  ok(!reason!.includes("relay-token"));
});

Deno.test("a relay whose token is revoked ends at once", async () => {
  await using portal = await ScriptedPortal.start();
  const relay = await relayService(RELAY, identity(portal));
  const device = await portal.accept();
  await device.join();
  device.push("relay", "init", {});
  device.push("relay", "disconnect", { reason: "token_expired" });
  match((await relay.done)!, /the token is expired or revoked/);
  await relay.stop();
});

Deno.test("other refusals are temporary: a 403 and a 503 are tried again", async () => {
  await using portal = await ScriptedPortal.start();
  portal.refusal = 403;
  const link = new RelayLink(identity(portal), PLACE);
  try {
    for (const status of [403, 503]) {
      portal.refusal = status;
      await until(() => link.readiness().reason.includes(`HTTP ${status}`), `it was refused with ${status}`);
    }
    portal.refusal = undefined;
    await (await portal.accept()).join();
  } finally {
    await link.close();
  }
});

Deno.test("a portal URL that can't be used leaves no relay behind", async () => {
  await using portal = await ScriptedPortal.start();
  await rejects(relayService(RELAY, { ...identity(portal), apiUrl: "ftp://portal" }), /invalid scheme `ftp`/);
  const relay = await relayService(RELAY);
  deepEqual(relay.readiness(), { ready: true, reason: "The relay is listening." });
  await relay.stop();
});
