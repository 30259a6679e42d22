import assert from "node:assert/strict";
import { parseOptions } from "../../mod/cli/options.ts";
import { portalIdentity, TUNNEL_OPTIONS } from "../../mod/cli/tunnel_options.ts";

const SYSTEM = {
  hostname: "edge",
  osRelease: 'NAME="Debian GNU/Linux"\nVERSION_ID="13"\n',
  arch: "x86_64",
  kernel: "6.12.30",
};

function identity(args: string[], variables: Record<string, string> = {}) {
  const environment = (name: string) => variables[name];
  const { options } = parseOptions(TUNNEL_OPTIONS, [], args, environment);
  return portalIdentity(options, ".token", "an id", SYSTEM, () => undefined, environment);
}

Deno.test("the version that the portal sees is settable by flag and variable, and is X.Y.Z", () => {
  assert.equal(identity([]).userAgent, "Debian/13 connlib/1.5.0 (x86_64; 6.12.30)");
  assert.equal(
    identity(["--connlib-version", "1.7.2"]).userAgent,
    "Debian/13 connlib/1.7.2 (x86_64; 6.12.30)",
  );
  assert.match(identity([], { POSTERN_CONNLIB_VERSION: "1.6.0" }).userAgent, / connlib\/1\.6\.0 /);
  for (const version of ["1.6", "v1.6.0", "1.6.0-rc.1", "01.6.0"]) {
    assert.throws(
      () => identity(["--connlib-version", version]),
      /^UsageError: `--connlib-version`: .* not X\.Y\.Z/,
    );
  }
});

Deno.test("the whole user agent is settable, as long as portals can read a version in it", () => {
  assert.equal(identity(["--user-agent", "Debian/13 gateway/1.6.0"]).userAgent, "Debian/13 gateway/1.6.0");
  const both = "Debian/13 connlib/1.5.0 gateway/1.5.0";
  assert.equal(identity([], { POSTERN_USER_AGENT: both }).userAgent, both);
  for (const text of ["Debian/13", "connlib/1.5", "connlib/1.5.0 ü", "connlib/1.5.0\r\nX: y"]) {
    assert.throws(() => identity(["--user-agent", text]), /^UsageError: `--user-agent` has no word/);
  }
});

Deno.test("the proxy comes from the environment, by the scheme of the portal's URL", () => {
  const variables = {
    https_proxy: "http://me:secret@proxy:3128",
    HTTP_PROXY: "plain:80",
    NO_PROXY: "corp.example",
  };
  const proxyOf = (apiUrl: string) => identity(["--api-url", apiUrl], variables).proxy?.label;
  assert.equal(identity([], variables).proxy!.label, "http://proxy:3128");
  assert.equal(proxyOf("ws://portal.example:8080"), "http://plain:80");
  assert.equal(proxyOf("https://portal.corp.example/base"), undefined);
  assert.equal(identity([], {}).proxy, undefined);
  assert.throws(() => identity([], { HTTPS_PROXY: "socks5://x" }), /Cannot use the proxy of HTTPS_PROXY/);
});

Deno.test("an unreachable portal is retried for a day, or as long as people write it", () => {
  assert.equal(identity([]).maxPartitionTime, 86_400_000);
  assert.equal(identity(["-m", "30d"]).maxPartitionTime, 2_592_000_000);
  assert.equal(identity([], { FIREZONE_MAX_PARTITION_TIME: "1h 30m" }).maxPartitionTime, 5_400_000);
  assert.throws(() => identity(["--max-partition-time", "soon"]), /max-partition-time/);
});
