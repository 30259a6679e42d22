import assert from "node:assert/strict";
import fc from "fast-check";
import { sourceOf } from "../../../../mod/embedded/portal/server/peer.ts";
import { plainIp, TrustedProxies } from "../../../../mod/embedded/portal/server/trusted_proxies.ts";

const PROXY = "10.0.0.2", STRANGER = "203.0.113.66", CLIENT = "198.51.100.7";
const proxies = new TrustedProxies(["10.0.0.0/8", "2001:db8:ffff::/48", "192.0.2.9"]);

function peer(headers: Record<string, string>, ip = PROXY, encrypted = false) {
  return proxies.peer(new Headers(headers), { ip, encrypted });
}

Deno.test("without a trusted proxy the headers of a request say nothing about where it comes from", () => {
  const headers = {
    host: "portal.example",
    "x-forwarded-for": CLIENT,
    "x-forwarded-proto": "https",
    "x-forwarded-host": "evil.example",
    "x-geo-location-region": "DE",
  };
  assert.deepEqual(peer(headers, STRANGER), {
    ip: STRANGER,
    secure: false,
    host: "portal.example",
    region: undefined,
  });
  assert.equal(peer({}, STRANGER, true).secure, true);
});

Deno.test("behind a trusted proxy they do", () => {
  const headers = {
    host: "10.0.0.1:8443",
    "x-forwarded-for": CLIENT,
    "x-forwarded-proto": "https",
    "x-forwarded-host": "portal.example",
    "x-geo-location-region": "de",
  };
  assert.deepEqual(peer(headers), { ip: CLIENT, secure: true, host: "portal.example", region: "DE" });
});

Deno.test("the right-most address that is no trusted proxy's counts: what a client wrote before it doesn't", () => {
  assert.equal(peer({ "x-forwarded-for": `1.2.3.4, ${CLIENT}` }).ip, CLIENT);
  assert.equal(peer({ "x-forwarded-for": `1.2.3.4,${CLIENT}, 10.9.9.9, 192.0.2.9` }).ip, CLIENT);
  assert.equal(peer({ "x-forwarded-for": `10.1.1.1, 10.2.2.2` }).ip, "10.1.1.1");
  assert.equal(peer({ "x-forwarded-for": `2001:db8::1, 2001:db8:ffff::1` }).ip, "2001:db8::1");
});

Deno.test("a list that makes no sense where it counts says nothing: the proxy itself is the peer", () => {
  for (
    const text of ["", "unknown", `${CLIENT}, _hidden`, `${CLIENT},`, "010.1.1.1", "1.2.3.4:80", "[::1]"]
  ) {
    assert.equal(peer({ "x-forwarded-for": text }).ip, PROXY, text);
  }
  assert.equal(peer({ "x-forwarded-for": `nonsense, ${CLIENT}` }).ip, CLIENT);
});

Deno.test("a region is two letters, a scheme the last one, a host printable", () => {
  for (const region of ["Germany", "D", "12", "D-"]) {
    assert.equal(peer({ "x-geo-location-region": region }).region, undefined, region);
  }
  assert.equal(peer({ "x-forwarded-proto": "https, http" }).secure, false);
  assert.equal(peer({ "x-forwarded-proto": "http, https" }).secure, true);
  assert.equal(peer({}, PROXY, true).secure, true);
  assert.equal(peer({ host: "a b" }).host, undefined);
});

Deno.test("an IPv4 peer of a dual-stack socket is an IPv4 address", () => {
  assert.equal(plainIp("::ffff:192.0.2.9"), "192.0.2.9");
  assert.equal(plainIp("2001:DB8::1"), "2001:db8::1");
  assert.equal(plainIp("nonsense"), undefined);
});

Deno.test("what is no network can't be trusted, and is named", () => {
  assert.throws(() => new TrustedProxies(["10.0.0.0/99"]), /Cannot trust the proxy "10\.0\.0\.0\/99"/);
});

Deno.test("whatever a stranger writes into the headers, its address is its own (property)", () => {
  fc.assert(fc.property(fc.string(), fc.string(), fc.string(), (list, region, proto) => {
    let headers: Headers;
    try {
      headers = new Headers({
        "x-forwarded-for": list,
        "x-geo-location-region": region,
        "x-forwarded-proto": proto,
      });
    } catch {
      return;
    }
    const { ip, secure, region: where } = proxies.peer(headers, { ip: STRANGER, encrypted: false });
    assert.deepEqual([ip, secure, where], [STRANGER, false, undefined]);
    const trusted = proxies.peer(headers, { ip: PROXY, encrypted: false });
    assert.ok(plainIp(trusted.ip) === trusted.ip);
  }));
});

Deno.test("an IPv6 source is its /64, however the address is written", () => {
  assert.equal(sourceOf("192.0.2.1"), "192.0.2.1");
  assert.equal(sourceOf("2001:db8:1:2:3:4:5:6"), sourceOf("2001:0DB8:0001:0002::1"));
  assert.notEqual(sourceOf("2001:db8:1:2::1"), sourceOf("2001:db8:1:3::1"));
});
