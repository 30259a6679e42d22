import assert from "node:assert/strict";
import { externalId, loginRequest, LoginUrlError, parseKey, parseUuid } from "../../mod/portal/mod.ts";
import corpus from "./corpus/login_url.hex" with { type: "text" };
import { fromText, type FuzzTarget, join } from "./target.ts";

const TOKEN = "top-secret-token";
const PARTS = [
  "wss://",
  "ws:",
  "https://",
  "//",
  "user:pw@",
  "[::1]",
  "[",
  "portal.example",
  ":443",
  ":99999",
  ":-1",
  "/a/b/",
  "?x=1",
]
  .concat(["#", "%", "\\", "\n", "xn--", "ü", "@", ".."]);

export const target: FuzzTarget = {
  title: "any base URL is a login request for a WebSocket or refused, and the token is only where it belongs",
  seeds: ["wss://api.firezone.dev", "ws://[::1]:8080/base/", "https://portal.example:443/"].map(fromText),
  corpus,
  maxLength: 512,
  dictionary: PARTS.map(fromText),
  generate: (dice) =>
    join(
      fromText(dice.pick(["wss://", "ws://", "http:", "HTTPS://", "ftp://", ""])),
      ...Array.from({ length: 1 + dice.below(4) }, () => fromText(dice.pick(PARTS))),
    ),
  start: () => (input) => {
    const text = new TextDecoder().decode(input);
    externalId(text);
    parseUuid(text);
    const key = parseKey(text);
    assert.ok(key === undefined || key.length === 32);
    const login = {
      apiUrl: text,
      role: "gateway",
      dialect: "v2",
      token: TOKEN,
      tokenInQuery: input.length % 2 === 0,
      id: text,
      name: text,
      publicKey: new Uint8Array(32),
      userAgent: "x",
    } as const;
    let request;
    try {
      request = loginRequest(login);
    } catch (error) {
      assert.ok(error instanceof LoginUrlError, String(error));
      assert.ok(!error.message.includes(TOKEN));
      return "refused";
    }
    const { url, safeUrl, host, port, secure } = request;
    assert.ok(!safeUrl.includes(TOKEN), "the token in a URL for the log");
    assert.equal(url.includes(TOKEN), login.tokenInQuery);
    assert.ok(Number.isInteger(port) && port >= 0 && port <= 65535, `port ${port}`);
    assert.ok(host !== "");
    const parsed = new URL(url);
    assert.equal(parsed.protocol, secure ? "wss:" : "ws:");
    assert.equal(parsed.hostname.replace(/^\[|\]$/g, ""), host);
    assert.ok(parsed.pathname.endsWith("/gateway/v2/websocket"));
    assert.equal(parsed.searchParams.get("token"), login.tokenInQuery ? TOKEN : null);
    return `${secure} ${port === 443} ${host.includes(":")}`;
  },
};
