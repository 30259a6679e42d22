/**
 * The standard topology of the lab: a small internet with three customers behind NATs.
 *
 * ```
 *                         core (router, no NAT)
 *    198.51.100.0/28  .16/28        .32/28           .64/28         .48/28          (2001:db8:{1,2,3,5,4}::/64)
 *    relay .2 .3      portal .18    natc .34         natc2 .66      natg .50
 *                                   |192.168.77.1    |192.168.99.1  |192.168.88.1   (2001:db8:77::, :99::, :88::)
 *                                   client wifi0 .2  client cell0 .2  gateway wan .2
 *                                                                     gateway lan (bridge) 10.50.0.1 fd50::1
 *                                                                     res 10.50.0.2 fd50::2 | res2 10.50.0.3 fd50::3
 * ```
 * Resources have no route back to the tunnel ranges: answers arrive only when the gateway masquerades. IPv6 is routed
 * without translation, behind a stateful firewall. The client has two uplinks and uses `wifi0` until it roams.
 */
import {
  blockUdp,
  type CableEnd,
  type Host,
  type NatKind,
  type NatOptions,
  setLoss,
  setNat,
  Testbed,
  unblockUdp,
} from "../../mod/embedded/testbed/mod.ts";
import { delayedLink, type Impairment } from "./delay_pipe.ts";

export type CustomerNat = "natc" | "natc2" | "natg";

const HOSTS = ["relay", "portal", "client", "res", "res2"] as const;
const ROUTERS = ["core", "natc", "natc2", "natg", "gateway"] as const;
export type HostName = typeof HOSTS[number] | typeof ROUTERS[number];

interface Customer {
  readonly subnet: number;
  readonly publicAddress: string;
  readonly core: number;
  readonly net: number;
}

const CUSTOMERS: Readonly<Record<CustomerNat, Customer>> = {
  natc: { subnet: 77, publicAddress: "198.51.100.34", core: 33, net: 3 },
  natc2: { subnet: 99, publicAddress: "198.51.100.66", core: 65, net: 5 },
  natg: { subnet: 88, publicAddress: "198.51.100.50", core: 49, net: 4 },
};

export const RELAYS = ["198.51.100.2", "198.51.100.3", "2001:db8:1::2"] as const;

/** What is between a customer's router and the core, by router; absent: a plain cable. */
export type Impairments = Partial<Readonly<Record<CustomerNat, Impairment>>>;

export class Internet implements AsyncDisposable {
  readonly #bed = new Testbed();
  readonly #hosts = new Map<HostName, Host>();
  readonly #impairments: Impairments;

  private constructor(impairments: Impairments) {
    this.#impairments = impairments;
  }

  static async build(impairments: Impairments = {}): Promise<Internet> {
    const internet = new Internet(impairments);
    try {
      await internet.#build();
    } catch (error) {
      await internet[Symbol.asyncDispose]();
      throw error;
    }
    return internet;
  }

  host(name: HostName): Host {
    return this.#hosts.get(name)!;
  }

  /** Makes a customer's router a NAT of this kind. */
  nat(
    router: CustomerNat,
    kind: NatKind,
    more: Pick<NatOptions, "forwards" | "hairpin"> = {},
  ): Promise<void> {
    const { publicAddress, subnet } = CUSTOMERS[router];
    return setNat(this.host(router), { kind, publicAddress, inside: `192.168.${subnet}.2`, ...more });
  }

  /** Whether the client's first network lets UDP out only to the relays. */
  blockUdp(on: boolean): Promise<void> {
    const router = this.host("natc");
    return on ? blockUdp(router, RELAYS, "lan") : unblockUdp(router);
  }

  /** Share of UDP packets lost in the core, 0..100, each direction on its own. */
  loss(percent: number): Promise<void> {
    return setLoss(this.host("core"), percent);
  }

  /** The largest packet on the link between the core and the client's first network. */
  async mtu(bytes: number): Promise<void> {
    await this.host("core").ip(`link set natc mtu ${bytes}`);
    await this.host("natc").ip(`link set wan mtu ${bytes}`);
  }

  /** The client leaves one network for the other, as a phone does. Link down loses routes and IPv6 addresses. */
  async roam(to: "wifi" | "cell"): Promise<void> {
    const client = this.host("client");
    if (to === "cell") {
      await client.ip(
        "link set wifi0 down",
        "route replace default via 192.168.99.1",
        "-6 route replace default via 2001:db8:99::1",
      );
    } else {
      await client.ip("link set wifi0 up", "addr replace 2001:db8:77::2/64 dev wifi0 nodad");
      for (const table of ["main", "77"]) {
        await client.ip(
          `route replace default via 192.168.77.1 table ${table}`,
          `-6 route replace default via 2001:db8:77::1 table ${table}`,
        );
      }
    }
  }

  /** One host more, at the far end of a cable from one that is there. */
  async attach(name: string, near: CableEnd, far: Omit<CableEnd, "host">): Promise<Host> {
    const host = await this.#bed.host(name);
    await this.#bed.link(near, { ...far, host });
    return host;
  }

  /** A cable more. */
  cable(one: CableEnd, other: CableEnd): Promise<void> {
    return this.#bed.link(one, other);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#bed[Symbol.asyncDispose]();
  }

  async #build(): Promise<void> {
    for (const name of HOSTS) this.#hosts.set(name, await this.#bed.host(name));
    for (const name of ROUTERS) this.#hosts.set(name, await this.#bed.host(name, { router: true }));
    await this.#attachServer("relay", 1, 1, ["198.51.100.2/28", "198.51.100.3/28"]);
    await this.#attachServer("portal", 17, 2, ["198.51.100.18/28"]);
    await this.#attachCustomer("natc", "client", "wifi0");
    await this.#attachCustomer("natc2", "client", "cell0");
    await this.#attachCustomer("natg", "gateway", "wan");
    await this.#bed.bridge(
      this.host("gateway"),
      "lan",
      ["10.50.0.1/24", "fd50::1/64"],
      [2, 3].map((number) => ({
        host: this.host(number === 2 ? "res" : "res2"),
        device: "eth0",
        addresses: [`10.50.0.${number}/24`, `fd50::${number}/64`],
      })),
    );
    const client = this.host("client");
    await client.ip("route add default via 192.168.77.1", "-6 route add default via 2001:db8:77::1");
    await this.host("gateway").ip(
      "route add default via 192.168.88.1",
      "-6 route add default via 2001:db8:88::1",
    );
    // A socket bound to the other uplink's address must leave by that uplink.
    for (const subnet of [77, 99]) {
      await client.ip(
        `rule add from 192.168.${subnet}.2 table ${subnet}`,
        `route add default via 192.168.${subnet}.1 table ${subnet}`,
        `-6 rule add from 2001:db8:${subnet}::2 table ${subnet}`,
        `-6 route add default via 2001:db8:${subnet}::1 table ${subnet}`,
      );
    }
    for (const router of ["natc", "natc2", "natg"] as const) await this.nat(router, "cone");
  }

  async #attachServer(
    name: "relay" | "portal",
    core: number,
    net: number,
    addresses: string[],
  ): Promise<void> {
    await this.#bed.link(
      {
        host: this.host("core"),
        device: name,
        addresses: [`198.51.100.${core}/28`, `2001:db8:${net}::1/64`],
      },
      { host: this.host(name), device: "eth0", addresses: [...addresses, `2001:db8:${net}::2/64`] },
    );
    await this.host(name).ip(
      `route add default via 198.51.100.${core}`,
      `-6 route add default via 2001:db8:${net}::1`,
    );
  }

  async #attachCustomer(router: CustomerNat, inside: "client" | "gateway", device: string): Promise<void> {
    const { subnet, publicAddress, core, net } = CUSTOMERS[router];
    const outside = {
      host: this.host("core"),
      device: router,
      addresses: [`198.51.100.${core}/28`, `2001:db8:${net}::1/64`],
    };
    const inner = {
      host: this.host(router),
      device: "wan",
      addresses: [`${publicAddress}/28`, `2001:db8:${net}::2/64`],
    };
    const impairment = this.#impairments[router];
    await (impairment ? delayedLink(this.#bed, outside, inner, impairment) : this.#bed.link(outside, inner));
    await this.#bed.link(
      {
        host: this.host(router),
        device: "lan",
        addresses: [`192.168.${subnet}.1/24`, `2001:db8:${subnet}::1/64`],
      },
      {
        host: this.host(inside),
        device,
        addresses: [`192.168.${subnet}.2/24`, `2001:db8:${subnet}::2/64`],
      },
    );
    await this.host(router).ip(
      `route add default via 198.51.100.${core}`,
      `-6 route add default via 2001:db8:${net}::1`,
    );
    await this.host("core").ip(`-6 route add 2001:db8:${subnet}::/64 via 2001:db8:${net}::2`);
  }
}
