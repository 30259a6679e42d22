import assert from "node:assert/strict";
import { UsageError } from "../../mod/cli/errors.ts";
import { parseOptions } from "../../mod/cli/options.ts";
import { PORTAL_OPTIONS, portalServiceOptions } from "../../mod/cli/portal_options.ts";

function read(args: string[], environment: Record<string, string> = {}) {
  const { options } = parseOptions(PORTAL_OPTIONS, [], args, (name) => environment[name]);
  return portalServiceOptions(options, "policy.toml");
}

Deno.test("proxies, base path and certificate come from flags or variables", () => {
  const given = read([
    "--trusted-proxy=127.0.0.1, 10.0.0.0/8,fd00::/8",
    "--base-path=/vpn/",
    "--tls-cert=c.pem",
    "--tls-key=k.pem",
  ]);
  assert.deepEqual(given.trustedProxies, ["127.0.0.1", "10.0.0.0/8", "fd00::/8"]);
  assert.equal(given.basePath, "/vpn");
  assert.deepEqual(given.tls, { certFile: "c.pem", keyFile: "k.pem" });
  const variables = read([], { POSTERN_TRUSTED_PROXY: "192.0.2.1", POSTERN_BASE_PATH: "/a/b" });
  assert.deepEqual([variables.trustedProxies, variables.basePath], [["192.0.2.1"], "/a/b"]);
  const none = read([]);
  assert.deepEqual([none.trustedProxies, none.basePath, none.tls], [[], "", undefined]);
});

Deno.test("a proxy that is no network, a base path that is none, half a certificate: usage errors that name them", () => {
  const mistakes: [string, RegExp][] = [
    ["--trusted-proxy=proxy.example", /`--trusted-proxy` has `proxy\.example`/],
    ["--trusted-proxy=10.0.0.0/33", /`--trusted-proxy` has `10\.0\.0\.0\/33`/],
    ["--base-path=vpn", /`--base-path` is `vpn`/],
    ["--base-path=/a b", /`--base-path` is `\/a b`/],
    ["--base-path=//evil.example", /`--base-path` is/],
    ["--tls-cert=c.pem", /`--tls-cert` and `--tls-key` are given together/],
  ];
  for (const [argument, message] of mistakes) {
    assert.throws(
      () => read([argument]),
      (error) => error instanceof UsageError && message.test(error.message),
    );
  }
});
