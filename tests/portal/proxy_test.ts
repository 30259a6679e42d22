import assert from "node:assert/strict";
import fc from "fast-check";
import { proxyFor } from "../../mod/portal/proxy.ts";

const WSS = { host: "api.firezone.dev", port: 443, secure: true };
const WS = { host: "portal.lan", port: 8080, secure: false };

function proxy(target: typeof WSS, variables: Record<string, string>) {
  return proxyFor(target, (name) => variables[name]);
}

function label(target: typeof WSS, variables: Record<string, string>): string | undefined {
  return proxy(target, variables)?.label;
}

Deno.test("wss uses https_proxy, ws http_proxy, both all_proxy; small letters come first; empty is unset", () => {
  const variables = {
    https_proxy: "http://a:1",
    HTTPS_PROXY: "http://b:2",
    HTTP_PROXY: "http://c:3",
    ALL_PROXY: "http://d:4",
  };
  assert.equal(label(WSS, variables), "http://a:1");
  assert.equal(label(WS, variables), "http://c:3");
  assert.equal(label(WSS, { HTTPS_PROXY: "http://b:2", ALL_PROXY: "http://d:4" }), "http://b:2");
  assert.equal(label(WSS, { https_proxy: " ", ALL_PROXY: "http://d:4" }), "http://d:4");
  assert.equal(label(WS, { HTTPS_PROXY: "http://b:2" }), undefined);
  assert.equal(label(WSS, {}), undefined);
});

Deno.test("a proxy's URL: default scheme and ports, IPv6, TLS to the proxy", () => {
  const read = (text: string) => {
    const { host, port, secure, label } = proxy(WSS, { https_proxy: text })!;
    return [host, port, secure, label];
  };
  assert.deepEqual(read("proxy.lan:3128"), ["proxy.lan", 3128, false, "http://proxy.lan:3128"]);
  assert.deepEqual(read("http://proxy.lan"), ["proxy.lan", 80, false, "http://proxy.lan:80"]);
  assert.deepEqual(read("https://proxy.lan/"), ["proxy.lan", 443, true, "https://proxy.lan:443"]);
  assert.deepEqual(read("http://[2001:db8::1]:8080"), [
    "2001:db8::1",
    8080,
    false,
    "http://[2001:db8::1]:8080",
  ]);
});

Deno.test("credentials are percent-decoded into Basic, and are in no text but their own", () => {
  const { authorization, label, variable } = proxy(WSS, {
    HTTPS_PROXY: "http://us%40er:p%3Aw%20ü@proxy:3128",
  })!;
  assert.equal(authorization, `Basic ${new TextEncoder().encode("us@er:p:w ü").toBase64()}`);
  assert.equal(label, "http://proxy:3128");
  assert.equal(variable, "HTTPS_PROXY");
  assert.equal(proxy(WSS, { HTTPS_PROXY: "http://proxy:3128" })!.authorization, undefined);
});

Deno.test("a variable that can't be used is an error that names it and never quotes it", () => {
  for (
    const [text, reason] of [
      ["socks5://secret@proxy:1080", /socks5 is not supported, only http and https/],
      ["http://", /no URL with a host/],
      ["http://secret@proxy:99999", /no URL with a host/],
      ["http://secret:%zz@proxy:3128", /wrongly percent-encoded/],
    ] as const
  ) {
    assert.throws(() => proxy(WSS, { HTTPS_PROXY: text }), (error: Error) => {
      assert.match(error.message, /^Cannot use the proxy of HTTPS_PROXY: .*\. Write it like http:/);
      assert.match(error.message, reason);
      assert.doesNotMatch(error.message, /secret/);
      return true;
    });
  }
});

Deno.test("NO_PROXY: names with what is below them, addresses, networks, ports, and *", () => {
  const goesDirect = (host: string, port: number, list: string) =>
    label({ host, port, secure: true }, { https_proxy: "http://p:1", no_proxy: list }) === undefined;
  const direct: [host: string, list: string, port?: number][] = [
    ["api.firezone.dev", "*"],
    ["api.firezone.dev", "example.com, firezone.dev"],
    ["api.firezone.dev", ".firezone.dev"],
    ["api.firezone.dev", "*.firezone.dev"],
    ["API.Firezone.DEV.", "firezone.dev"],
    ["firezone.dev", ".firezone.dev"],
    ["api.firezone.dev", "api.firezone.dev:443"],
    ["10.1.2.3", "10.0.0.0/8"],
    ["10.1.2.3", "192.0.2.1 10.1.2.3"],
    ["10.1.2.3", "10.9.9.9/8"],
    ["10.1.2.3", "10.1.2.3:443"],
    ["2001:db8::1", "2001:db8::/32"],
    ["2001:db8::1", "2001:DB8:0::1"],
    ["2001:db8::1", "[2001:db8::1]:443"],
    ["2001:db8::1", "[2001:db8::1]"],
  ];
  for (const [host, list, port = 443] of direct) assert.ok(goesDirect(host, port, list), `${host} ${list}`);
  const proxied: [host: string, list: string, port?: number][] = [
    ["api.firezone.dev", ""],
    ["api.firezone.dev", "zone.dev"],
    ["api.firezone.dev", "api.firezone.dev:8443"],
    ["api.firezone.dev", "10.0.0.0/8"],
    ["api.firezone.dev", ".,:443,/8"],
    ["11.1.2.3", "10.0.0.0/8"],
    ["10.1.2.3", "2001:db8::/32"],
    ["10.1.2.3", "3"],
    ["10.1.2.3", "10.0.0.0/33"],
  ];
  for (const [host, list, port = 443] of proxied) assert.ok(!goesDirect(host, port, list), `${host} ${list}`);
});

Deno.test("this host is never reached by way of a proxy", () => {
  for (const host of ["localhost", "portal.localhost", "127.0.0.1", "127.9.9.9", "::1"]) {
    assert.equal(label({ host, port: 443, secure: true }, { https_proxy: "http://p:1" }), undefined, host);
  }
});

Deno.test("property: any value of any variable gives a proxy, none, or a ProxyError that keeps it to itself", () => {
  fc.assert(fc.property(fc.string(), fc.string(), (value, list) => {
    try {
      proxy(WSS, { https_proxy: value, no_proxy: list });
    } catch (error) {
      assert.ok(error instanceof Error && error.name === "ProxyError");
    }
  }));
});
