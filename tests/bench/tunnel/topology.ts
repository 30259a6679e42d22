/**
 * The bench's network, the same for every contender:
 *
 * ```
 *   client ──────── 192.0.2.0/24 ──────── gateway ──────── 10.50.0.0/24 ──────── server
 *          eth0 .2                wan .1          lan .1                 eth0 .2
 *          tunnel ════════════════ tunnel
 * ```
 * The server has no route to the tunnel's addresses: the gateway masquerades.
 */
import type { Testbed } from "../../../mod/embedded/testbed/mod.ts";
import type { BenchHosts } from "./contender.ts";

export const SERVER_ADDRESS = "10.50.0.2";
export const GATEWAY_ADDRESS = "192.0.2.1";

export async function buildTopology(bed: Testbed, prefix: string): Promise<BenchHosts> {
  const client = await bed.host(`${prefix}-client`);
  const gateway = await bed.host(`${prefix}-gateway`, { router: true });
  const server = await bed.host(`${prefix}-server`);
  await bed.link(
    { host: client, device: "eth0", addresses: ["192.0.2.2/24"] },
    { host: gateway, device: "wan", addresses: [`${GATEWAY_ADDRESS}/24`] },
  );
  await bed.link(
    { host: gateway, device: "lan", addresses: ["10.50.0.1/24"] },
    { host: server, device: "eth0", addresses: [`${SERVER_ADDRESS}/24`] },
  );
  await client.ip("route add default via 192.0.2.1");
  return { client, gateway, server };
}
