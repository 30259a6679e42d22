import assert from "node:assert/strict";
import fc from "fast-check";
import { externalId } from "../../mod/portal/external_id.ts";
import { parseKey } from "../../mod/portal/key.ts";
import { type Login, loginRequest, LoginUrlError } from "../../mod/portal/login_url.ts";
import { parseUuid } from "../../mod/portal/uuid.ts";

const PUBLIC_KEY = "WgYLecmHR8rgzDLpUYr5fx5l2qVH+f76ydDN9Ts2fVs=";

function request(changes: Partial<Login> = {}) {
  return loginRequest({
    apiUrl: "wss://api.firezone.dev/",
    role: "gateway",
    dialect: "v1",
    token: ".SFMyNTY.g2gDbQ",
    tokenInQuery: true,
    id: "38f20c9a-1d0f-4f5c-9a53-6f6e4c3b9d10",
    name: "edge 1",
    publicKey: parseKey(PUBLIC_KEY)!,
    userAgent: "Debian/13 connlib/1.5.0",
    ...changes,
  });
}

Deno.test("the query has token, external id, name and key in this order, form-encoded", () => {
  assert.equal(
    request().url,
    "wss://api.firezone.dev:443/gateway/websocket?token=.SFMyNTY.g2gDbQ" +
      "&external_id=ace76ca8b59f99a03b9b6c907e5d15d3a7d49af5dc0e0b986a421939cefe1591" +
      "&name=edge+1&public_key=WgYLecmHR8rgzDLpUYr5fx5l2qVH%2Bf76ydDN9Ts2fVs%3D",
  );
});

Deno.test("role and dialect choose the path, behind the base path", () => {
  const path = (changes: Partial<Login>) => new URL(request(changes).url.replace(/^ws/, "http")).pathname;
  assert.equal(path({ dialect: "v2" }), "/gateway/v2/websocket");
  assert.equal(path({ role: "client" }), "/client/websocket");
  assert.equal(path({ role: "client", dialect: "v2" }), "/client/v2/websocket");
  assert.equal(path({ apiUrl: "https://h/base/" }), "/base/gateway/websocket");
  assert.equal(path({ apiUrl: "https://h/base?token=old#x" }), "/base/gateway/websocket");
});

Deno.test("no port means 443, for plaintext as well; a written port counts even if it is the scheme's default", () => {
  const port = (apiUrl: string) => request({ apiUrl }).port;
  assert.equal(port("wss://h"), 443);
  assert.equal(port("ws://portal.local"), 443);
  assert.equal(port("ws://portal.local:80"), 80);
  assert.equal(port("http://portal.local:8080/"), 8080);
  assert.equal(port("ws://[2001:db8::1]"), 443);
  assert.equal(port("ws://[2001:db8::1]:81"), 81);
  assert.equal(port("ws://portal.local\\:99999"), 443, "a backslash ends the host, as in every URL parser");
});

Deno.test("http means ws and https means wss; IPv6 literals are dialled without brackets", () => {
  assert.ok(request({ apiUrl: "http://h:8080" }).url.startsWith("ws://h:8080/"));
  assert.equal(request({ apiUrl: "https://h" }).secure, true);
  assert.equal(request({ apiUrl: "http://h:1" }).secure, false);
  assert.equal(request({ apiUrl: "ws://[2001:db8::1]:81" }).host, "2001:db8::1");
});

Deno.test("other schemes, missing hosts and garbage are refused with the reason", () => {
  const refused = (apiUrl: string, reason: RegExp) =>
    assert.throws(() => request({ apiUrl }), (e) => e instanceof LoginUrlError && reason.test(e.message));
  refused("ftp://h", /invalid scheme `ftp`; only http\(s\) and ws\(s\) are allowed/);
  refused("wss://", /missing a host/);
  refused("portal.example", /failed to parse URL/);
  refused("wss://h:99999", /failed to parse URL/);
});

Deno.test("the token goes into the query and the header, without whitespace; or into the header only", () => {
  const both = request({ token: " .SFM\n yNTY \n" });
  assert.equal(both.headers["X-Authorization"], "Bearer .SFMyNTY");
  assert.match(both.url, /token=\.SFMyNTY&/);
  const header = request({ tokenInQuery: false });
  assert.equal(header.headers["X-Authorization"], "Bearer .SFMyNTY.g2gDbQ");
  assert.ok(!header.url.includes("token="));
  assert.ok(!both.safeUrl.includes("SFM"));
});

Deno.test("an unusable token is refused without being shown", () => {
  for (const token of ["", " \n", "geheimnis-ä"]) {
    assert.throws(
      () => request({ token }),
      (e) => e instanceof LoginUrlError && !e.message.includes("geheim"),
    );
  }
});

Deno.test("ids that look like UUIDs are hashed as they are written", () => {
  const vectors = {
    "38f20c9a-1d0f-4f5c-9a53-6f6e4c3b9d10":
      "ace76ca8b59f99a03b9b6c907e5d15d3a7d49af5dc0e0b986a421939cefe1591",
    "38F20C9A-1D0F-4F5C-9A53-6F6E4C3B9D10":
      "610182a784a210534946c4bcc688974822d154f34df7a2c350613e7042fb6e07",
    "38f20c9a1d0f4f5c9a536f6e4c3b9d10": "56bfff6aa0844a394bef739a7dfbfb373ce50a37dbd5e69be994642ebce3977c",
    "my-gateway": "my-gateway",
  };
  for (const [id, expected] of Object.entries(vectors)) assert.equal(externalId(id), expected);
  const hex64 = "ab".repeat(32);
  assert.equal(externalId(hex64), hex64);
});

Deno.test("all four spellings of a UUID are one UUID", () => {
  const canonical = "38f20c9a-1d0f-4f5c-9a53-6f6e4c3b9d10";
  const spellings = [
    canonical.toUpperCase(),
    canonical.replaceAll("-", ""),
    `{${canonical}}`,
    `urn:uuid:${canonical}`,
  ];
  for (const text of spellings) assert.equal(parseUuid(text), canonical);
  for (const text of ["", "38f20c9a", `{${canonical}`, canonical.replace("-", ""), `${canonical} `]) {
    assert.equal(parseUuid(text), undefined);
  }
});

Deno.test("any URL and token: a request or a LoginUrlError, and the safe URL never holds the token", () => {
  fc.assert(fc.property(fc.string(), fc.string({ minLength: 8 }), fc.webUrl(), (text, token, url) => {
    for (const apiUrl of [text, url, `wss://${text}`]) {
      try {
        const made = request({ apiUrl, token: `secret${token}` });
        assert.ok(!made.safeUrl.includes("?"));
      } catch (error) {
        assert.ok(error instanceof LoginUrlError);
      }
    }
  }));
});
