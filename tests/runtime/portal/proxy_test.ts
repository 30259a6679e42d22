/** The way to the portal through an HTTP proxy, on real sockets with TLS inside and outside. */
import assert from "node:assert/strict";
import { proxyFor } from "../../../mod/portal/proxy.ts";
import { liveGateway } from "../../embedded/portal/live_device.ts";
import { CERTIFICATE } from "./certificate.ts";
import { ConnectProxy, type ConnectProxyOptions } from "./connect_proxy.ts";
import { ScriptedPortal } from "./scripted_portal.ts";

const SECRET = "p%40ss-w0rd";

/** A gateway, a proxy and a portal called portal.test, which only the proxy knows how to find. */
async function world(
  settings: ConnectProxyOptions & { portalIsSecure?: boolean; portalIsDown?: boolean; user?: string },
  run: (
    parts: { proxy: ConnectProxy; portal: ScriptedPortal; gateway: ReturnType<typeof liveGateway> },
  ) => Promise<void>,
) {
  const secure = settings.portalIsSecure ?? true;
  const portal = await ScriptedPortal.start({ secure });
  const port = portal.port;
  if (settings.portalIsDown) await portal.stop();
  const proxy = await ConnectProxy.start({ hosts: { "portal.test": "127.0.0.1" }, ...settings });
  const url = `${settings.secure ? "https" : "http"}://${settings.user ?? ""}proxy.test:${proxy.port}`;
  const gateway = liveGateway({
    apiUrl: `${secure ? "wss" : "ws"}://portal.test:${port}`,
    token: "token",
    ca: CERTIFICATE,
    proxy: proxyFor({ host: "portal.test", port, secure }, (name) => name === "ALL_PROXY" ? url : undefined)!,
    // A dead address comes first: the race is for the proxy's addresses.
    resolve: (host) =>
      host === "proxy.test"
        ? Promise.resolve(["127.0.0.99", "127.0.0.1"])
        : Promise.reject(new Error(`nobody here knows ${host}`)),
  });
  try {
    await run({ proxy, portal, gateway });
  } finally {
    await gateway.connection.close();
    await proxy.stop();
    await portal.stop();
  }
}

for (const secure of [false, true]) {
  for (const portalIsSecure of [false, true]) {
    const title = `${portalIsSecure ? "wss" : "ws"} through an ${secure ? "https" : "http"} proxy`;
    Deno.test(`${title}: the proxy resolves the portal, the token and frames are the portal's`, async () => {
      await world({ secure, portalIsSecure }, async ({ proxy, portal, gateway }) => {
        await gateway.diary.next("joined");
        assert.deepEqual(proxy.requests, [`CONNECT portal.test:${portal.port} HTTP/1.1`]);
        assert.match(portal.requests[0]!.line, /^GET \/gateway\/websocket\?token=token&/);
        assert.equal(portal.requests[0]!.headers["proxy-authorization"], undefined);
        portal.push("reject_access", {
          client_id: "5a3d2f80-6a52-4e0b-9e0e-0c7a4b2f1c11",
          resource_id: "c2d5b1a4-0f5e-4a7b-93c8-1e2f3a4b5c33",
        });
        await gateway.diary.next("reject_access");
      });
    });
  }
}

Deno.test("a proxy with credentials gets them", async () => {
  await world({ credentials: "me:p@ss-w0rd", user: `me:${SECRET}@` }, async ({ gateway }) => {
    await gateway.diary.next("joined");
  });
});

Deno.test("407 says where credentials belong, goes on trying, and tells nobody those that were given", async () => {
  await world({ credentials: "me:other" }, async ({ gateway }) => {
    const { reason } = await gateway.diary.next("down");
    assert.match(
      reason,
      /the proxy http:\/\/proxy\.test:\d+ wants credentials \(HTTP 407\); put them into ALL_PROXY/,
    );
    await gateway.diary.next("down");
  });
  await world({ credentials: "me:other", user: `me:${SECRET}@` }, async ({ gateway }) => {
    const { reason } = await gateway.diary.next("down");
    assert.match(reason, /does not accept the credentials in ALL_PROXY \(HTTP 407\)/);
    assert.doesNotMatch(reason, /w0rd/);
  });
});

Deno.test("a proxy that refuses, fails or is none is told apart", async () => {
  const reasonOf = async (settings: Parameters<typeof world>[0]) => {
    let reason = "";
    await world(settings, async ({ gateway }) => void ({ reason } = await gateway.diary.next("down")));
    return reason;
  };
  assert.match(
    await reasonOf({ answer: "HTTP/1.1 403 No\r\n\r\n" }),
    /refuses to connect to portal\.test:\d+ \(HTTP 403\); allow it there, or list the host in NO_PROXY/,
  );
  assert.match(
    await reasonOf({ answer: "HTTP/1.0 401 No\r\n\r\n" }),
    /refuses to connect/,
    "no 401 of the portal's",
  );
  assert.match(await reasonOf({ portalIsDown: true }), /cannot reach portal\.test:\d+ \(HTTP 502\)/);
  assert.match(await reasonOf({ answer: "SSH-2.0-x\r\n\r\n" }), /does not speak HTTP/);
  assert.match(await reasonOf({ answer: "HTTP/1.1 200" }), /closed the connection/);
  assert.match(await reasonOf({ answer: `HTTP/1.1 200 ${"x".repeat(20_000)}` }), /does not speak HTTP/);
});
