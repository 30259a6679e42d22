/**
 * Postern on both ends: `up` (portal, relay and gateway in one process) at the gateway, the lab client at the client.
 * POSTERN_BIN names an executable to measure instead of the source tree.
 */
import type { BenchHosts, Contender, RunningContender } from "./contender.ts";
import { GATEWAY_ADDRESS } from "./topology.ts";

const ROOT = new URL("../../../", import.meta.url).pathname;
const PORTAL_PORT = 8443;
const START_TIMEOUT_MS = 15_000;
const GATEWAY_TOKEN = "bench-gateway-token-0001", CLIENT_TOKEN = "bench-client-token-00001";
const POLICY = `[[site]]
name = "bench"

[[gateway]]
name = "gateway"
token = "${GATEWAY_TOKEN}"

[[client]]
name = "client"
token = "${CLIENT_TOKEN}"

[[resource]]
name = "server"
address = "10.50.0.0/24"
allow = ["everyone"]
`;

export function posternCommand(): string[] {
  const executable = Deno.env.get("POSTERN_BIN");
  return executable ? [executable] : [Deno.execPath(), "run", "-A", `${ROOT}main.ts`];
}

export function postern(): Contender {
  return {
    name: "postern",
    version: Deno.env.get("POSTERN_BIN") ?? `this tree, Deno ${Deno.version.deno}`,
    async start({ client, gateway }: BenchHosts): Promise<RunningContender> {
      const policy = await Deno.makeTempFile({ suffix: ".toml" });
      await Deno.writeTextFile(policy, POLICY);
      const command = posternCommand();
      const up = gateway.start(
        [
          ...command,
          ...["up", policy, "--listen", `0.0.0.0:${PORTAL_PORT}`, "--public-ipv4", GATEWAY_ADDRESS],
          ...["--health-check-addr", "off"],
        ],
        { label: "postern up", env: { RUST_LOG: "info", FIREZONE_ID: "bench-gateway" } },
      );
      await up.waitFor(/Tunnel interface is up/, START_TIMEOUT_MS);
      const end = client.start(
        [...command, "client", "--api-url", `ws://${GATEWAY_ADDRESS}:${PORTAL_PORT}`, CLIENT_TOKEN],
        { label: "postern client", env: { RUST_LOG: "info" } },
      );
      await end.waitFor(/Tunnel interface is up/, START_TIMEOUT_MS);
      return { processes: { client: end.pid, gateway: up.pid } };
    },
  };
}
