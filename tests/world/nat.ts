/**
 * A NAT in the terms of RFC 4787: how it maps and how it filters are separate choices.
 *
 *     inside network ── [nat] ── link ── outside network
 *
 * IPv4 is translated to the NAT's one outside address. IPv6 keeps its addresses and meets a stateful firewall with
 * the same filtering. Mappings and filter entries expire unless used.
 */
import { SocketAddress } from "../../mod/packet/address.ts";
import type { Clock } from "./clock.ts";
import type { Datagram } from "./datagram.ts";
import type { Link } from "./link.ts";
import type { Member, Network } from "./network.ts";
import type { Random } from "./random.ts";
import type { Trace } from "./trace.ts";

/** What of the remote end a mapping or a filter entry depends on. */
export type Dependence = "endpoint-independent" | "address-dependent" | "address-and-port-dependent";

export interface NatOptions {
  readonly mapping: Dependence;
  readonly filtering: Dependence;
  /** Ms without use after which a mapping is forgotten. */
  readonly expiry: number;
  /** Inbound datagrams keep a mapping alive, too. */
  readonly inboundRefreshes: boolean;
  /** Outside port: the inside one where it is free, or a random one. */
  readonly ports: "preserved" | "random";
  /** Inside hosts reach each other through their outside addresses. */
  readonly hairpin: boolean;
}

const BASE = { expiry: 120_000, inboundRefreshes: true, ports: "preserved", hairpin: false } as const;

/** The kinds that people talk about, by name. */
export const NAT_KINDS = {
  "full cone": { ...BASE, mapping: "endpoint-independent", filtering: "endpoint-independent" },
  "restricted cone": { ...BASE, mapping: "endpoint-independent", filtering: "address-dependent" },
  "port-restricted cone": {
    ...BASE,
    mapping: "endpoint-independent",
    filtering: "address-and-port-dependent",
  },
  symmetric: {
    ...BASE,
    mapping: "address-and-port-dependent",
    filtering: "address-and-port-dependent",
    ports: "random",
  },
} as const satisfies Record<string, NatOptions>;

export type NatKind = keyof typeof NAT_KINDS;

interface Mapping {
  readonly inside: SocketAddress;
  readonly outsidePort: number;
  expiresAt: number;
  /** Remote ends that may send in, with the time until when. */
  readonly contacted: Map<string, number>;
}

export class Nat implements Member {
  /** By inside address and what the mapping depends on. */
  readonly #mappings = new Map<string, Mapping>();
  readonly #byPort = new Map<number, Mapping>();
  readonly #forwarded = new Map<number, SocketAddress>();
  /** IPv6: the same book-keeping without translation. */
  readonly #flows6 = new Map<string, Mapping>();

  constructor(
    readonly name: string,
    readonly options: NatOptions,
    readonly address4: string | undefined,
    readonly inside: Network,
    readonly outside: Network,
    readonly link: Link,
    readonly clock: Clock,
    readonly random: Random,
    readonly trace: Trace,
  ) {
    inside.gateway = (datagram) => this.#leave(datagram);
    inside.onChange = (ip, joined) => {
      if (!ip.includes(":")) return;
      if (joined) outside.join(ip, this);
      else outside.leave(ip);
    };
    if (address4 !== undefined) outside.join(address4, this);
  }

  /**
   * Port forwarding: `outsidePort` always leads to `inside` (`ip:port`), whoever sends; what `inside` sends to that
   * remote end leaves from `outsidePort` from then on.
   */
  forward(outsidePort: number, inside: string): void {
    this.#forwarded.set(outsidePort, SocketAddress.parse(inside)!);
  }

  /** Forgets everything but what is configured, as after a power cut. */
  reboot(): void {
    this.#mappings.clear();
    this.#byPort.clear();
    this.#flows6.clear();
  }

  /** From outside. */
  receive(datagram: Datagram): void {
    const inside = datagram.destination.family === 4 && this.#forwarded.get(datagram.destination.port);
    if (inside) {
      const flow = { inside, outsidePort: datagram.destination.port, expiresAt: 0, contacted: new Map() };
      this.#mappings.set(this.#mappingKey(inside, datagram.source), flow);
      this.#touch(flow, datagram.source);
      return this.inside.route({ ...datagram, destination: inside });
    }
    const mapping = this.#inboundMapping(datagram);
    if (!mapping) return this.trace.drop("no mapping", this.name, datagram);
    const allowedUntil = mapping.contacted.get(this.#remoteKey(datagram.source, this.options.filtering));
    if (allowedUntil === undefined || allowedUntil <= this.clock.now) {
      return this.trace.drop("filtered", this.name, datagram);
    }
    if (this.options.inboundRefreshes) this.#touch(mapping, datagram.source);
    this.inside.route({ ...datagram, destination: mapping.inside });
  }

  /** From inside, for somewhere else. */
  #leave(datagram: Datagram): void {
    const { source, destination } = datagram;
    if (source.family === 4 && this.address4 === undefined) {
      return this.trace.drop("no IPv4", this.name, datagram);
    }
    const mapping = this.#outboundMapping(source, destination);
    this.#touch(mapping, destination);
    const translated = source.family === 4
      ? { ...datagram, source: SocketAddress.of(this.address4!, mapping.outsidePort)! }
      : datagram;
    if (destination.ip === this.address4) {
      if (this.options.hairpin) this.receive(translated);
      else this.trace.drop("no hairpin", this.name, datagram);
      return;
    }
    this.link.cross(translated, "out", (arrived) => this.outside.route(arrived));
  }

  #inboundMapping({ destination }: Datagram): Mapping | undefined {
    const mapping = destination.family === 4
      ? this.#byPort.get(destination.port)
      : this.#flows6.get(destination.key);
    return mapping && mapping.expiresAt > this.clock.now ? mapping : undefined;
  }

  #outboundMapping(inside: SocketAddress, remote: SocketAddress): Mapping {
    const isV4 = inside.family === 4;
    const key = isV4 ? this.#mappingKey(inside, remote) : inside.key;
    const table = isV4 ? this.#mappings : this.#flows6;
    const known = table.get(key);
    if (known && known.expiresAt > this.clock.now) return known;
    if (known && isV4) this.#byPort.delete(known.outsidePort);
    const outsidePort = isV4 ? this.#freePort(inside.port) : inside.port;
    const mapping: Mapping = { inside, outsidePort, expiresAt: 0, contacted: new Map() };
    table.set(key, mapping);
    if (isV4) this.#byPort.set(outsidePort, mapping);
    return mapping;
  }

  #touch(mapping: Mapping, remote: SocketAddress): void {
    mapping.expiresAt = this.clock.now + this.options.expiry;
    mapping.contacted.set(this.#remoteKey(remote, this.options.filtering), mapping.expiresAt);
  }

  #mappingKey(inside: SocketAddress, remote: SocketAddress): string {
    return `${inside.key} ${this.#remoteKey(remote, this.options.mapping)}`;
  }

  #remoteKey(remote: SocketAddress, dependence: Dependence): string {
    if (dependence === "endpoint-independent") return "*";
    return dependence === "address-dependent" ? remote.ip : remote.key;
  }

  #freePort(wanted: number): number {
    let port = this.options.ports === "preserved" ? wanted : this.random.integer(20_000, 60_000);
    while (this.#forwarded.has(port) || (this.#byPort.get(port)?.expiresAt ?? 0) > this.clock.now) {
      port = this.random.integer(20_000, 60_000);
    }
    return port;
  }
}
