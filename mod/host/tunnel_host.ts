/**
 * The host's side of the tunnel (spec policy §6.2): the TUN device's addresses and MTU, the routes into it in a table
 * of their own, and the rule that sends everything there except our own, marked packets.
 *
 * The kernel removes addresses and routes together with the device; rules outlive it and are deleted at the end.
 * A host without one of the two IP families gets the other.
 */
import { formatPrefix, parsePrefix, type Prefix, RouteSocket } from "../../ffi/netlink/mod.ts";
import type { IpFamily } from "../packet/address.ts";
import { Forwarding } from "./forwarding.ts";

/** Our own packets carry it, so that they never follow the tunnel's routes. */
export const FIREWALL_MARK = 0xfd002021;
export const ROUTING_TABLE = 0x2021fd00;
export const TUN_NAME = "tun-firezone";
const MTU = 1280;
const TX_QUEUE_LENGTH = 10_000;
/** With it one read of the device fills exactly one UDP GSO send (spec dataplane §3). */
export const GSO_MAX_SIZE = 60_224;
/** Where peers' tunnel addresses come from. */
export const PEER_RANGES: Readonly<Record<IpFamily, string>> = {
  4: "100.64.0.0/11",
  6: "fd00:2021:1111::/107",
};
const FAMILIES: readonly IpFamily[] = [4, 6];

/** 4 and 16 bytes, network order. */
export interface TunnelAddresses {
  readonly ipv4: Uint8Array;
  readonly ipv6: Uint8Array;
}

export interface TunnelHostOptions {
  readonly tunName?: string;
  /** Forward and masquerade the packets of the peer ranges. */
  readonly masquerade?: boolean;
  /**
   * Largest super-packet that the kernel hands to the device. {@link GSO_MAX_SIZE} suits a device that carries the
   * host's own traffic. A host that forwards must leave it alone: the kernel cuts every forwarded super-packet that
   * is larger into single packets.
   */
  readonly gsoMaxSize?: number;
  /** IPv4 addresses that this host answers itself on the device, besides the tunnel's own: `100.100.111.1`. */
  readonly localAddresses?: readonly string[];
}

export class TunnelHost {
  readonly #socket = new RouteSocket();
  readonly #tunName: string;
  readonly #masquerade: boolean;
  readonly #local: readonly Prefix[];
  readonly #gsoMaxSize: number | undefined;
  readonly #ownRules: IpFamily[] = [];
  #routed = new Map<string, Prefix>();
  #forwarding: Forwarding | undefined;
  #closed = false;

  constructor(
    { tunName = TUN_NAME, masquerade = false, gsoMaxSize, localAddresses = [] }: TunnelHostOptions = {},
  ) {
    this.#local = localAddresses.map(parsePrefix);
    this.#gsoMaxSize = gsoMaxSize;
    this.#tunName = tunName;
    this.#masquerade = masquerade;
  }

  /**
   * Idempotent: what is already so stays untouched, what is no longer wanted goes.
   * @param networks further CIDRs to route into the tunnel
   * @throws Error when the device is missing or neither IP family could be set up
   */
  configure(addresses: TunnelAddresses, networks: readonly string[]): void {
    const link = this.#socket.link(this.#tunName);
    if (!link) throw new Error(`Cannot configure ${this.#tunName}: there is no such interface. Start again.`);
    const wanted: Record<IpFamily, Prefix> = {
      4: { address: addresses.ipv4, length: 32 },
      6: { address: addresses.ipv6, length: 128 },
    };
    this.#settle(() => this.#socket.changeLink(link.index, { linkLocal: false }));
    this.#settle(() =>
      this.#socket.changeLink(link.index, {
        txQueueLength: TX_QUEUE_LENGTH,
        ...(this.#gsoMaxSize === undefined ? {} : { gsoMaxSize: this.#gsoMaxSize }),
      })
    );
    this.#socket.changeLink(link.index, { mtu: MTU });
    const present = this.#socket.addresses(link.index);
    const isOwn = (address: Prefix) => FAMILIES.some((family) => samePrefix(address, wanted[family]));
    // The kernel sends from the address that came first: that has to be the tunnel's own.
    const isSettled = present.some((address) => samePrefix(address, wanted[4]));
    for (const address of present) {
      const stays = isOwn(address) || (isSettled && this.#local.some((local) => samePrefix(address, local)));
      if (!stays) this.#socket.deleteAddress(link.index, address);
    }
    const available = FAMILIES.filter((family) =>
      this.#socket.addAddress(link.index, wanted[family]) !== "unsupported"
    );
    if (available.includes(4)) {
      for (const address of this.#local) this.#socket.addAddress(link.index, address);
    }
    if (available.length === 0) {
      throw new Error(`Cannot configure ${this.#tunName}: this host has neither IPv4 nor IPv6. Enable one.`);
    }
    this.#socket.changeLink(link.index, { up: true });
    this.#route(link.index, [...available.map((family) => PEER_RANGES[family]), ...networks], available);
    for (const family of available) this.#addRule(family);
    if (this.#masquerade && !this.#forwarding) {
      this.#forwarding = Forwarding.start(this.#tunName, available.map((family) => PEER_RANGES[family]));
    }
  }

  /** Undoes what outlives the device: rules, forwarding. Idempotent, never throws: it runs while the process ends. */
  restore(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#forwarding?.stop();
    for (const family of this.#ownRules) {
      this.#settle(() => this.#socket.deleteRule({ family, mark: FIREWALL_MARK, table: ROUTING_TABLE }));
    }
    this.#socket.close();
  }

  #route(link: number, networks: readonly string[], available: readonly IpFamily[]): void {
    const wanted = new Map(
      networks.map(parsePrefix).filter(({ address }) => available.includes(address.length === 4 ? 4 : 6))
        .map((prefix) => [formatPrefix(prefix), prefix]),
    );
    for (const [key, destination] of this.#routed) {
      if (!wanted.has(key)) this.#socket.deleteRoute({ destination, link, table: ROUTING_TABLE });
    }
    for (const destination of wanted.values()) {
      this.#socket.addRoute({ destination, link, table: ROUTING_TABLE });
    }
    this.#routed = wanted;
  }

  /** A rule that is there already was left behind by another run: it is adopted, so that it goes with us. */
  #addRule(family: IpFamily): void {
    const outcome = this.#socket.addRule({ family, mark: FIREWALL_MARK, table: ROUTING_TABLE });
    if (outcome !== "unsupported" && !this.#ownRules.includes(family)) this.#ownRules.push(family);
  }

  /** For what may fail without harm: old kernels lack the setting, or it is gone already. */
  #settle(change: () => unknown): void {
    try {
      change();
    } catch {
      // The device works without it.
    }
  }
}

function samePrefix(a: Prefix, b: Prefix): boolean {
  return formatPrefix(a) === formatPrefix(b);
}
