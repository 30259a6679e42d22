/**
 * Another gateway of the same site: on the core by itself, and with a cable of its own to the resource, so that
 * nothing of the first one is on its way.
 */
import type { BackgroundProcess, Host } from "../../../mod/embedded/testbed/mod.ts";
import { posternCommand } from "../../bench/tunnel/postern.ts";
import { GATEWAY_TOKEN, PORTAL, type Product, SERVER } from "../product.ts";

const OUTSIDE = { core: "198.51.100.81/28", own: "198.51.100.82/28", router: "198.51.100.81" };
const INSIDE = { own: "10.52.0.1/24", resource: "10.52.0.2/24", via: "10.52.0.2" };
const START_MS = 15_000;

export class SecondGateway {
  process!: BackgroundProcess;
  readonly #host: Host;

  private constructor(host: Host) {
    this.#host = host;
  }

  static async attach({ internet }: Product): Promise<SecondGateway> {
    const near = { host: internet.host("core"), device: "gateway2", addresses: [OUTSIDE.core] };
    const host = await internet.attach("gateway2", near, { device: "wan", addresses: [OUTSIDE.own] });
    await internet.cable(
      { host: internet.host("res"), device: "eth1", addresses: [INSIDE.resource] },
      { host, device: "lan", addresses: [INSIDE.own] },
    );
    await host.ip(
      `route add default via ${OUTSIDE.router}`,
      `route add ${SERVER[4]}/32 via ${INSIDE.via}`,
    );
    return new SecondGateway(host);
  }

  async start(): Promise<void> {
    this.process = this.#host.start(
      [...posternCommand(), "gateway", "--api-url", `ws://${PORTAL}`, "--masquerade", GATEWAY_TOKEN],
      { label: "second gateway", env: { RUST_LOG: "debug", FIREZONE_ID: "lab-gateway-2" } },
    );
    await this.process.waitFor(/Tunnel interface is up/, START_MS);
    await this.process.waitFor(/Updated allocation/, START_MS);
  }
}
