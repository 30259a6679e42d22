import assert from "node:assert/strict";
import { parseOptions } from "../../mod/cli/options.ts";
import { RELAY_OPTIONS, relayOptions } from "../../mod/cli/relay_options.ts";

function options(args: string[], variables: Record<string, string> = {}) {
  const { options } = parseOptions(RELAY_OPTIONS, [], args, (name) => variables[name]);
  return relayOptions(options, ["198.51.100.18"]);
}

Deno.test("a relay needs to know where devices reach it; the rest has defaults", () => {
  assert.throws(() => options([]), /^UsageError: Say where devices reach the relay/);
  const { addresses, bind, port, portRange, limits } = options([], { PUBLIC_IP4_ADDR: "203.0.113.10" });
  assert.deepEqual([addresses.v4, addresses.v6, bind?.v4, port, portRange, limits], [
    "203.0.113.10",
    undefined,
    undefined,
    3478,
    [49152, 65535],
    undefined,
  ]);
});

Deno.test("addresses, ports and networks are read strictly, and the flag at fault is named", () => {
  const v4 = ["--public-ipv4", "203.0.113.10"];
  for (
    const [flag, value] of [
      ["--public-ipv4", "::1"],
      ["--public-ipv6", "203.0.113.10"],
      ["--bind-ipv4", "eth0"],
      ["--bind-ipv6", "10.0.0.1"],
      ["--relay-port", "0"],
      ["--relay-ports", "2-1"],
      ["--relay-allow", "10.0.0.0/33"],
      ["--relay-bandwidth", "fast"],
      ["--relay-bandwidth", "0"],
      ["--relay-bandwidth", "-5"],
    ] as const
  ) assert.throws(() => options([...v4, `${flag}=${value}`]), new RegExp(`^UsageError: \`${flag}\``), flag);
  const given = options([...v4, "--bind-ipv4", "10.0.0.5", "--relay-bandwidth", "100"]);
  assert.equal(given.bind?.v4, "10.0.0.5");
  assert.equal(given.limits?.bytesPerSecond, 12_500_000);
});

Deno.test("a relay never sends to its host's other addresses, nor to what else is refused", () => {
  const { refusedPeers } = options(["--public-ipv4", "203.0.113.10"]);
  assert.ok(refusedPeers!.includes("127.0.0.1"));
  assert.ok(refusedPeers!.includes("198.51.100.18"));
});
