import assert from "node:assert/strict";
import { LoginUrlError } from "../../mod/portal/login_url.ts";
import { type RelayLogin, relayLoginRequest } from "../../mod/portal/relay_login.ts";
import { formatUserAgent, parseUserAgent, RELAY_VERSION } from "../../mod/portal/user_agent.ts";

function request(changes: Partial<RelayLogin> = {}) {
  return relayLoginRequest({
    apiUrl: "wss://api.firezone.dev/",
    token: ".SFMyNTY.g2gDbQ",
    tokenInQuery: true,
    userAgent: "Debian/13 relay/0.1.0",
    name: "relay 1",
    v4: "203.0.113.10",
    v6: "2001:db8::10",
    port: 3478,
    ...changes,
  });
}

Deno.test("a relay's query has token, name, ipv4, ipv6 and port in this order, and neither id nor key", () => {
  assert.equal(
    request().url,
    "wss://api.firezone.dev:443/relay/websocket?token=.SFMyNTY.g2gDbQ&name=relay+1" +
      "&ipv4=203.0.113.10&ipv6=2001%3Adb8%3A%3A10&port=3478",
  );
});

Deno.test("a relay states the addresses that it has, and its port always", () => {
  const query = (changes: Partial<RelayLogin>) => new URL(request(changes).url).search;
  assert.equal(
    query({ name: undefined, v6: undefined }),
    "?token=.SFMyNTY.g2gDbQ&ipv4=203.0.113.10&port=3478",
  );
  assert.equal(
    query({ v4: undefined, port: 13478 }),
    "?token=.SFMyNTY.g2gDbQ&name=relay+1&ipv6=2001%3Adb8%3A%3A10&port=13478",
  );
});

Deno.test("a relay's token is in X-Authorization too, and only there when the URL shall not have it", () => {
  assert.equal(request().headers["X-Authorization"], "Bearer .SFMyNTY.g2gDbQ");
  const { url, headers } = request({ tokenInQuery: false });
  assert.ok(!url.includes("SFMyNTY"));
  assert.equal(headers["X-Authorization"], "Bearer .SFMyNTY.g2gDbQ");
});

Deno.test("a relay's path stands behind the base path; a bad URL or token is an error without the token", () => {
  assert.equal(request({ apiUrl: "https://h/base/" }).safeUrl, "wss://h:443/base/relay/websocket");
  assert.throws(() => request({ apiUrl: "ftp://h" }), LoginUrlError);
  assert.throws(() => request({ token: " \n" }), /the token is empty/);
});

Deno.test("a relay's user agent has the word relay where portals look for it", () => {
  const text = formatUserAgent({
    system: "Alpine Linux",
    systemVersion: "3.20",
    component: "relay",
    version: RELAY_VERSION,
    arch: "x86_64",
  });
  assert.equal(text, "Alpine Linux/3.20 relay/0.1.0 (x86_64)");
  assert.ok(text.split(" ").some((word) => word.startsWith("relay/")));
  assert.deepEqual(parseUserAgent(text), { component: "relay", version: [0, 1, 0] });
});
