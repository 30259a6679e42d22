/**
 * The demo's little internet: both sides behind home routers, the resource on a private network behind the gateway.
 *
 * ```
 *   client ─── router ───┐                        ┌─── router ─── gateway ─── server
 *   192.168.77.2   198.51.100.34 ── internet ── 198.51.100.50  192.168.88.2   10.50.0.2, fd50::2
 *                                                  forwards portal and relay    (no route back to clients)
 * ```
 * Outside the tunnel there is only IPv4; inside, both families work.
 */
import { blockUdp, type Host, setNat, type Testbed } from "../testbed/mod.ts";

export const PUBLIC_ADDRESS = "198.51.100.50";
export const PORTAL_PORT = 8443;
export const RELAY_PORTS = "60000-60999";
export const SERVER = { 4: "10.50.0.2", 6: "fd50::2" } as const;

export interface Internet {
  readonly client: Host;
  readonly gateway: Host;
  readonly server: Host;
  /** From now on the client's network lets no UDP out but to the relay. */
  blockDirectPath(): Promise<void>;
}

export async function buildInternet(bed: Testbed): Promise<Internet> {
  const core = await bed.host("internet", { router: true });
  const client = await bed.host("client");
  const clientRouter = await bed.host("client-router", { router: true });
  const gatewayRouter = await bed.host("gateway-router", { router: true });
  const gateway = await bed.host("gateway", { router: true });
  const server = await bed.host("server");
  await bed.link(
    { host: core, device: "clients", addresses: ["198.51.100.33/28"] },
    { host: clientRouter, device: "wan", addresses: ["198.51.100.34/28"] },
  );
  await bed.link(
    { host: core, device: "gateways", addresses: ["198.51.100.49/28"] },
    { host: gatewayRouter, device: "wan", addresses: [`${PUBLIC_ADDRESS}/28`] },
  );
  await bed.link(
    { host: clientRouter, device: "lan", addresses: ["192.168.77.1/24"] },
    { host: client, device: "eth0", addresses: ["192.168.77.2/24"] },
  );
  await bed.link(
    { host: gatewayRouter, device: "lan", addresses: ["192.168.88.1/24"] },
    { host: gateway, device: "eth0", addresses: ["192.168.88.2/24"] },
  );
  await bed.link(
    { host: gateway, device: "private", addresses: ["10.50.0.1/24", "fd50::1/64"] },
    { host: server, device: "eth0", addresses: [`${SERVER[4]}/24`, `${SERVER[6]}/64`] },
  );
  await clientRouter.ip("route add default via 198.51.100.33");
  await gatewayRouter.ip("route add default via 198.51.100.49");
  await client.ip("route add default via 192.168.77.1");
  await gateway.ip("route add default via 192.168.88.1");
  await setNat(clientRouter, { kind: "cone", publicAddress: "198.51.100.34", inside: "192.168.77.2" });
  await setNat(gatewayRouter, {
    kind: "cone",
    publicAddress: PUBLIC_ADDRESS,
    inside: "192.168.88.2",
    forwards: [
      { protocol: "tcp", ports: String(PORTAL_PORT) },
      { protocol: "udp", ports: "3478" },
      { protocol: "udp", ports: RELAY_PORTS },
    ],
  });
  return { client, gateway, server, blockDirectPath: () => blockUdp(clientRouter, [PUBLIC_ADDRESS], "lan") };
}
