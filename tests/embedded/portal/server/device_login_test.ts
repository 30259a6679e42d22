import assert from "node:assert/strict";
import type { IncomingMessage } from "node:http";
import fc from "fast-check";
import { loginAttempt } from "../../../../mod/embedded/portal/server/device_login.ts";
import { requestHead } from "../../../../mod/embedded/portal/server/fetch_bridge.ts";

const PEER = { ip: "198.51.100.7", secure: true, host: "portal.example", region: "DE" };

function attempt(url: string, headers: Record<string, string> = {}, basePath = "") {
  const message = { url, method: "GET", rawHeaders: Object.entries(headers).flat() };
  const request = requestHead(message as unknown as IncomingMessage);
  return request && loginAttempt(request, basePath, PEER);
}

Deno.test("the path tells role and dialect, also under a base path; any other is nobody's", () => {
  const of = (path: string, base = "") => {
    const found = attempt(path, {}, base);
    return found && `${found.role} ${found.dialect}`;
  };
  assert.equal(of("/gateway/websocket"), "gateway v1");
  assert.equal(of("/gateway/v2/websocket?x=1"), "gateway v2");
  assert.equal(of("/client/websocket"), "client v1");
  assert.equal(of("/client/v2/websocket/"), "client v2");
  assert.equal(of("/relay/websocket"), "relay v1");
  assert.equal(of("/vpn/client/websocket", "/vpn"), "client v1");
  for (const path of ["/", "/client", "/relay/v2/websocket", "/CLIENT/websocket", "//client/websocket"]) {
    assert.equal(of(path), undefined, path);
  }
  assert.equal(of("/client/websocket", "/vpn"), undefined);
});

Deno.test("the token comes from the header or else from the query; ids under both names", () => {
  const query = "/gateway/websocket?token=from-query&firezone_id=second";
  assert.equal(attempt(query)!.token, "from-query");
  assert.equal(attempt(query, { "X-Authorization": "Bearer from-header" })!.token, "from-header");
  assert.equal(attempt(query, { "X-Authorization": "bearer from-header" })!.token, "from-query");
  assert.equal(attempt(query, { Authorization: "Bearer other" })!.token, "from-query");
  assert.equal(attempt(query)!.externalId, "second");
  assert.equal(attempt(`${query}&external_id=first`)!.externalId, "first");
});

Deno.test("hardware identifiers, a relay's addresses, and what the peer is, are handed on", () => {
  const client = attempt(
    "/client/websocket?device_serial=s&device_uuid=u&identifier_for_vendor=v&firebase_installation_id=f&vsn=1.0.0",
    { "User-Agent": "Mac OS/15.5.0 connlib/1.5.5 (arm64; 24.5.0)" },
  )!;
  assert.deepEqual(client.hardware, {
    deviceSerial: "s",
    deviceUuid: "u",
    identifierForVendor: "v",
    firebaseInstallationId: "f",
  });
  assert.deepEqual([client.userAgent, client.vsn], ["Mac OS/15.5.0 connlib/1.5.5 (arm64; 24.5.0)", "1.0.0"]);
  assert.deepEqual([client.remoteIp, client.region], ["198.51.100.7", "DE"]);
  const relay = attempt("/relay/websocket?ipv4=203.0.113.1&ipv6=2001%3Adb8%3A%3A1&port=3478")!;
  assert.deepEqual(relay.relay, { ipv4: "203.0.113.1", ipv6: "2001:db8::1", port: "3478" });
});

Deno.test("any request line and any headers: an attempt or nothing, never a throw (property)", () => {
  const text = fc.string({ unit: "binary", maxLength: 200 });
  const url = fc.oneof(
    text,
    text.map((query) => `/client/websocket?${query}`),
    text.map((path) => `/${path}`),
  );
  fc.assert(fc.property(url, fc.array(text), (line, rawHeaders) => {
    const message = { url: line, method: "GET", rawHeaders };
    const request = requestHead(message as unknown as IncomingMessage);
    if (request) loginAttempt(request, "", PEER);
  }));
});
