/** The server's edge: what strangers and proxies can say to it, and what it answers. */
import assert from "node:assert/strict";
import type { PortalServer } from "../../../../mod/embedded/portal/mod.ts";
import { PageBrowser, PASSWORD, PASSWORD_HASH } from "../sign_in/sign_in_world.ts";
import { connect, Device, dial, sendRaw, TOKENS, withPortal } from "./wire.ts";
import { policyOf } from "../portal_world.ts";

const PATHS = [
  "/gateway/websocket",
  "/gateway/v2/websocket",
  "/client/websocket",
  "/client/v2/websocket",
  "/relay/websocket",
];

Deno.test("each path has its methods: devices upgrade, people get pages, everything else is told no", async () => {
  await withPortal(async (server) => {
    const base = server.url.replace("ws:", "http:");
    const ask = async (path: string, init: RequestInit = {}) => {
      const response = await fetch(base + path, { redirect: "manual", ...init });
      await response.body?.cancel();
      return response;
    };
    for (const path of PATHS) {
      assert.equal((await ask(path)).status, 426);
      const post = await ask(path, { method: "POST", body: "x" });
      assert.deepEqual([post.status, post.headers.get("allow")], [405, "GET"]);
    }
    assert.equal((await ask("/healthz")).status, 200);
    assert.equal((await ask("/healthz", { method: "HEAD" })).status, 200);
    assert.equal((await ask("/nothing")).status, 404);
    assert.equal((await ask("/", { method: "DELETE" })).status, 403);
    const page = await ask("/");
    assert.equal(page.status, 200);
    assert.equal(page.headers.get("cache-control"), "no-store");
    assert.equal(page.headers.get("referrer-policy"), "no-referrer");
    assert.equal(page.headers.get("x-content-type-options"), "nosniff");
    assert.match(page.headers.get("content-security-policy")!, /frame-ancestors 'none'/);
    const upgrade = await sendRaw(
      server.port,
      "GET /elsewhere HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
    );
    assert.match(upgrade.answer, /^HTTP\/1\.1 404 /);
    const http2 =
      "GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n" +
      "HTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n";
    assert.match((await sendRaw(server.port, http2)).answer, /^HTTP\/1\.1 200 [^]*{"status":"ok"}$/);
  });
});

Deno.test("a request that is too long, or that is none, ends its connection and nothing else", async () => {
  await withPortal(async (server) => {
    const { port } = server;
    const device = await connect(server);
    await device.join();
    const long = await sendRaw(port, `GET / HTTP/1.1\r\nHost: a\r\nX: ${"y".repeat(20_000)}\r\n\r\n`);
    assert.ok(long.closed && !long.answer.startsWith("HTTP/1.1 200"));
    const body = await sendRaw(
      port,
      `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n${"y".repeat(100_000)}`,
    );
    assert.ok(body.closed && !body.answer.startsWith("HTTP/1.1 200"));
    const garbage = await sendRaw(port, crypto.getRandomValues(new Uint8Array(4096)));
    assert.ok(garbage.closed);
    const handshake =
      "GET /client/websocket HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    assert.match((await sendRaw(port, handshake)).answer, /^HTTP\/1\.1 401 /);
    await device.heartbeat();
    await device.close();
  });
});

Deno.test("requests that proxies could read in two ways are refused whole (RFC 9112 §6.3)", async () => {
  await withPortal(async ({ port }) => {
    const second = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";
    const head = "POST /healthz HTTP/1.1\r\nHost: a\r\n";
    for (
      const request of [
        `${head}Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${second}`,
        `${head}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n${second}`,
        `${head}Content-Length: 6\r\nContent-Length: 7\r\n\r\nabcdef${second}`,
        `${head}Content-Length : 3\r\n\r\nabc${second}`,
        `GET /healthz HTTP/1.1\nHost: a\n\n${second}`,
        `CONNECT example.com:443 HTTP/1.1\r\nHost: example.com\r\n\r\n${second}`,
      ]
    ) {
      const { answer, closed } = await sendRaw(port, request);
      assert.ok(closed && !answer.includes(" 200 "), JSON.stringify(request));
    }
  });
});

Deno.test("a source that asks for pages without end is told to wait; devices of the same source aren't", async () => {
  await withPortal(async (server) => {
    const base = server.url.replace("ws:", "http:");
    const statuses = [];
    for (let i = 0; i < 40; i++) {
      statuses.push(
        ...await Promise.all(Array.from({ length: 25 }, async () => {
          const response = await fetch(`${base}/`);
          await response.body?.cancel();
          return response.status;
        })),
      );
    }
    assert.ok(statuses.slice(0, 400).every((status) => status === 200));
    assert.ok(statuses.includes(429));
    const device = await connect(server);
    await device.join();
    await device.close();
  });
});

Deno.test("what strangers send doesn't fill the log", async () => {
  await withPortal(async (server, log) => {
    const post = (type: string, body: string) =>
      `POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: ${type}\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
    for (const type of ["multipart/form-data", "multipart/form-data; boundary=x", "application/json", ""]) {
      assert.match((await sendRaw(server.port, post(type, "no form at all"))).answer, /^HTTP\/1\.1 403 /);
    }
    await sendRaw(server.port, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nbroken off", 200);
    const absolute = await sendRaw(
      server.port,
      "GET http://a/healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    );
    assert.match(absolute.answer, /{"status":"ok"}/);
    await sendRaw(server.port, "GET nonsense HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert.deepEqual(log, []);
  });
});

Deno.test("a handshake with a good token that makes no WebSocket leaves nothing behind", async () => {
  await withPortal(async (server) => {
    const query = new URLSearchParams({
      token: TOKENS.client,
      external_id: "x",
      public_key: "A".repeat(43) + "=",
    });
    for (const header of ["Sec-WebSocket-Key: short", "Sec-WebSocket-Version: 7"]) {
      const { answer } = await sendRaw(
        server.port,
        `GET /client/websocket?${query} HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
          `User-Agent: Debian/13 connlib/1.5.0\r\n${header}\r\n\r\n`,
      );
      assert.match(answer, /^HTTP\/1\.1 4\d\d /);
    }
    assert.deepEqual(server.online(), []);
    const device = await connect(server, { externalId: "x" });
    await device.join();
    await device.close();
  });
});

Deno.test("a portal that is reached without TLS says so in its log, one behind a trusted proxy doesn't", async () => {
  const warnings = async (hostname: string, trustedProxies: string[] = []) => {
    let count = 0;
    await withPortal((_server, log) => {
      count = log.filter((line) => line.startsWith("warning: Tokens and passwords can be read")).length;
      return Promise.resolve();
    }, { listen: { hostname, port: 0 }, trustedProxies });
    return count;
  };
  assert.equal(await warnings("0.0.0.0"), 1);
  assert.equal(await warnings("127.0.0.1"), 0);
  assert.equal(await warnings("0.0.0.0", ["10.0.0.1"]), 0);
});

Deno.test("a port that is taken is named, and nothing is left running", async () => {
  await withPortal(async ({ port }) => {
    const listen = { hostname: "127.0.0.1", port };
    await assert.rejects(
      withPortal(() => Promise.resolve(), { listen }),
      new RegExp(`Cannot listen on 127\\.0\\.0\\.1 port ${port}: .*in use`),
    );
  });
});

Deno.test("under a base path devices and pages are found there, health at both", async () => {
  await withPortal(async (server) => {
    assert.ok(server.url.endsWith("/vpn"));
    for (const role of ["gateway", "client"] as const) {
      const device = await connect(server, { role });
      await device.join();
      await device.close();
    }
    const origin = `http://127.0.0.1:${server.port}`;
    const status = async (path: string) => {
      const response = await fetch(origin + path);
      await response.body?.cancel();
      return response.status;
    };
    assert.deepEqual(
      await Promise.all(["/vpn/healthz", "/healthz", "/vpn", "/vpn/postern", "/"].map(status)),
      [
        200,
        200,
        200,
        200,
        404,
      ],
    );
  }, { basePath: "/vpn/" });
});

function browserOf({ url }: PortalServer): PageBrowser {
  const base = url.replace("ws:", "http:");
  return new PageBrowser({ request: (path, init) => fetch(base + path, { redirect: "manual", ...init }) });
}

const CONDITIONED = `
[[site]]
name = "home"
[[gateway]]
name = "cellar"
token = "${TOKENS.gateway}"
[[client]]
name = "laptop"
token = "${TOKENS.client}"
[[resource]]
name = "in Germany"
address = "10.1.0.0/16"
[[resource]]
name = "from the office"
address = "10.2.0.0/16"
[[policy]]
name = "Germany"
resource = "in Germany"
allow = ["laptop"]
conditions = { region_in = ["DE"] }
[[policy]]
name = "office"
resource = "from the office"
allow = ["laptop"]
conditions = { remote_ip_in = ["198.51.100.0/24"] }
`;
const FORWARDED = { "x-forwarded-for": "1.2.3.4, 198.51.100.7", "x-geo-location-region": "DE" };

Deno.test("a trusted proxy's word decides conditions on address and region; a stranger's doesn't", async () => {
  const resources = async (trustedProxies: string[]) => {
    let names: string[] = [];
    await withPortal(async (server) => {
      const gateway = await connect(server, { role: "gateway" });
      await gateway.join();
      const device = await connect(server, { headers: FORWARDED });
      names = (await device.join()).resources!.map(({ name }) => name).sort();
      await device.close();
      await gateway.close();
    }, { policy: policyOf(CONDITIONED), trustedProxies });
    return names;
  };
  assert.deepEqual(await resources(["127.0.0.0/8"]), ["from the office", "in Germany"]);
  assert.deepEqual(await resources(["10.0.0.0/8"]), []);
});

Deno.test("wrong tokens are told so with 401, for a while; then 503 with Retry-After, never another 4xx", async () => {
  await withPortal(async (server, log) => {
    const good = await connect(server);
    await good.join();
    const refusals = [];
    for (let i = 0; i < 40; i++) {
      const answer = await dial(server, { token: `wrong-token-${i}` });
      assert.ok(!(answer instanceof Device));
      refusals.push(answer);
    }
    assert.ok(refusals.slice(0, 20).every(({ status }) => status === 401));
    const late = refusals.slice(25);
    assert.ok(late.every(({ status, retryAfter }) => status === 503 && Number(retryAfter) >= 1));
    assert.ok(log.filter((line) => line.includes("Refused")).length <= 25, "the log is bounded too");
    const other = await connect(server, { role: "gateway" });
    await other.join();
    await Promise.all([good.close(), other.close()]);
  });
});

Deno.test("a device that can't stop reconnecting is told to wait with 503; its neighbours with the same token aren't", async () => {
  await withPortal(async (server) => {
    const answers = [];
    for (let i = 0; i < 12; i++) {
      const answer = await dial(server, { externalId: "restless" });
      answers.push(answer instanceof Device ? 101 : answer.status);
      if (answer instanceof Device) await answer.close();
      else assert.ok(Number(answer.retryAfter) >= 1);
    }
    assert.ok(answers.slice(0, 10).every((status) => status === 101));
    assert.ok(answers.includes(503));
    const neighbour = await connect(server, { externalId: "calm" });
    await neighbour.join();
    await neighbour.close();
  });
});

Deno.test("the portal sends no ping, answers those of devices, and ignores binary frames", async () => {
  await withPortal(async (server) => {
    const device = await connect(server);
    await device.join();
    device.socket.ping("are you there");
    device.socket.ping();
    await device.until(() => device.pongs.length === 2);
    assert.deepEqual(device.pongs, ["are you there", ""]);
    device.socket.send(crypto.getRandomValues(new Uint8Array(1000)), { binary: true });
    await device.heartbeat();
    assert.deepEqual(device.pings, []);
    await device.close();
  });
});

Deno.test("compression is not offered: no bomb can be sent", async () => {
  await withPortal(async (server) => {
    const device = await connect(server, { perMessageDeflate: true });
    assert.equal(device.socket.extensions, "");
    await device.close();
  });
});

Deno.test("frames that break the rules end their own connection", async () => {
  await withPortal(async (server) => {
    const honest = await connect(server, { role: "gateway" });
    await honest.join();
    const abuse = async (code: number, what: (device: Device) => void) => {
      const device = await connect(server, { externalId: crypto.randomUUID() });
      await device.join();
      what(device);
      assert.equal(await device.closed(), code);
    };
    await abuse(1009, ({ socket }) => socket.send("x".repeat((1 << 20) + 1)));
    await abuse(1009, ({ socket }) => {
      for (let i = 0; i < 40; i++) socket.send("x".repeat(40_000), { fin: false });
    });
    await abuse(1008, ({ socket }) => {
      for (let i = 0; i < 1_100; i++) socket.send("x", { fin: false });
    });
    await abuse(1007, ({ socket }) => socket.send(Uint8Array.of(0xff, 0xfe), { binary: false }));
    await abuse(1003, ({ socket }) => socket.send("no JSON"));
    await honest.heartbeat();
    await honest.close();
  });
});

Deno.test("a sign-in's token opens a socket; ended at the front page, the device is out at once", async () => {
  const policy = policyOf(`[[user]]\nname = "anna"\npassword_hash = "${PASSWORD_HASH}"\n`);
  await withPortal(async (server, log) => {
    const browser = browserOf(server);
    const nonce = "ab".repeat(32), state = "cd".repeat(32), url = `/?as=client&nonce=${nonce}&state=${state}`;
    await browser.get(url);
    await browser.post(url, { name: "anna", password: PASSWORD });
    const fragment = /fragment=([^&"]+)/.exec(browser.page)![1]!;
    const device = await connect(server, { token: nonce + fragment });
    await device.join();
    assert.deepEqual(server.online().map(({ role }) => role), ["client"]);
    await browser.get("/");
    await browser.post("/", { step: "revoke" });
    assert.equal((await device.next("disconnect")).payload.reason, "token_expired");
    await device.closed();
    const again = await dial(server, { token: nonce + fragment });
    assert.ok(!(again instanceof Device) && again.status === 401);
    const text = log.join("\n");
    for (const secret of [nonce, state, fragment, PASSWORD]) assert.ok(!text.includes(secret));
  }, { policy });
});

Deno.test('signing in by password counts as the provider "password" for conditions', async () => {
  const text = (provider: string) => `
[[site]]
name = "home"
[[gateway]]
name = "cellar"
token = "${TOKENS.gateway}"
[[user]]
name = "anna"
password_hash = "${PASSWORD_HASH}"
[[resource]]
name = "wiki"
address = "10.1.0.0/16"
[[policy]]
name = "signed in here"
resource = "wiki"
allow = ["anna"]
conditions = { provider_in = ["${provider}"] }
`;
  for (const [provider, seen] of [["password", 1], ["oidc", 0]] as const) {
    await withPortal(async (server) => {
      const browser = browserOf(server);
      await browser.get("/?as=headless-client");
      await browser.post("/?as=headless-client", { name: "anna", password: PASSWORD });
      const token = /id="token"[^>]*>([^<]+)</.exec(browser.page)![1]!;
      const gateway = await connect(server, { role: "gateway" });
      await gateway.join();
      const device = await connect(server, { token });
      assert.equal((await device.join()).resources!.length, seen);
      await Promise.all([device.close(), gateway.close()]);
    }, { policy: policyOf(text(provider)) });
  }
});
