/**
 * Postern on both ends: `gateway` and the lab client. Portal and relay run beside the gateway in processes of their
 * own, so that its CPU time and memory are its own. POSTERN_BIN names an executable to measure instead of the tree.
 */
import type { Host } from "../../../mod/embedded/testbed/mod.ts";
import type { BenchHosts, Contender, RunningContender } from "./contender.ts";
import { GATEWAY_ADDRESS } from "./topology.ts";

const ROOT = new URL("../../../", import.meta.url).pathname;
const PORTAL_PORT = 8443;
const START_TIMEOUT_MS = 15_000;
const RELAY_SECRET = "bench-relay-secret-0001";
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

[[relay]]
ipv4 = "${GATEWAY_ADDRESS}"
secret = "${RELAY_SECRET}"
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
      const folder = await Deno.makeTempDir({ dir: "/run" });
      const policy = `${folder}/policy.toml`, secret = `${folder}/secret`;
      await Deno.writeTextFile(policy, POLICY);
      await Deno.writeTextFile(secret, RELAY_SECRET);
      const command = posternCommand();
      const url = `ws://${GATEWAY_ADDRESS}:${PORTAL_PORT}`;
      const start = (host: Host, args: readonly string[]) =>
        host.start([...command, ...args], {
          label: `postern ${args[0]}`,
          env: { RUST_LOG: "info", FIREZONE_ID: `bench-${args[0]}` },
        });
      const relay = start(gateway, ["relay", "--secret-file", secret, "--public-ipv4", GATEWAY_ADDRESS]);
      const portal = start(gateway, ["portal", policy, "--listen", `0.0.0.0:${PORTAL_PORT}`]);
      await Promise.all([relay, portal].map((one) => one.waitFor(/is listening/, START_TIMEOUT_MS)));
      const site = start(gateway, ["gateway", "--api-url", url, "--masquerade", GATEWAY_TOKEN]);
      await site.waitFor(/Tunnel interface is up/, START_TIMEOUT_MS);
      const end = start(client, ["client", "--api-url", url, CLIENT_TOKEN]);
      await end.waitFor(/Tunnel interface is up/, START_TIMEOUT_MS);
      return { processes: { client: end.pid, gateway: site.pid } };
    },
  };
}
