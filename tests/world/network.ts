/**
 * A network: members with addresses, each behind its link, and perhaps a way out. Datagrams for a member go over the
 * member's link; the rest goes to the gateway, or is dropped where there is none (the internet).
 */
import type { SocketAddress } from "../../mod/packet/address.ts";
import type { Datagram } from "./datagram.ts";
import type { Link } from "./link.ts";
import type { Trace } from "./trace.ts";

/** What stands at the network's end of a link: a host or a NAT. */
export interface Member {
  readonly link: Link;
  /** A datagram that crossed the link towards this member. */
  receive(datagram: Datagram): void;
}

export class Network {
  readonly #members = new Map<string, Member>();
  /** Takes datagrams for addresses that nobody here has. */
  gateway: ((datagram: Datagram) => void) | undefined;
  /** Told of each address that appears (true) or disappears. */
  onChange: ((ip: string, joined: boolean) => void) | undefined;

  constructor(readonly name: string, readonly trace: Trace) {}

  has(ip: string): boolean {
    return this.#members.has(ip);
  }

  join(ip: string, member: Member): void {
    if (this.#members.has(ip)) throw new Error(`Cannot give out ${ip} twice in ${this.name}.`);
    this.#members.set(ip, member);
    this.onChange?.(ip, true);
  }

  leave(ip: string): void {
    if (this.#members.delete(ip)) this.onChange?.(ip, false);
  }

  /** Sends a datagram that has arrived in this network on to where it belongs. */
  route(datagram: Datagram): void {
    const member = this.#members.get(datagram.destination.ip);
    if (member) return member.link.cross(datagram, "in", (arrived) => member.receive(arrived));
    if (this.gateway) return this.gateway(datagram);
    this.trace.drop("no route", this.name, datagram);
  }
}

/** True for the unspecified address, which stands for "the host decides". */
export function isUnspecified(address: SocketAddress): boolean {
  return address.bytes.every((byte) => byte === 0);
}
