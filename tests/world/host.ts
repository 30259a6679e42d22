/**
 * A host: interfaces into networks, and machines bound to UDP ports (both families, like a pair of sockets).
 *
 * The host is the loop around the machine: it hands over what arrives, sends what the machine has to send, and wakes
 * it when it asked for it. It also enforces the contract: a wake-up time in the past right after `handleTimeout`, or a
 * machine that never comes to rest, is an error.
 */
import { SocketAddress } from "../../mod/packet/address.ts";
import type { Clock } from "./clock.ts";
import type { Datagram } from "./datagram.ts";
import type { Link, LinkConditions } from "./link.ts";
import type { Machine, Outgoing } from "./machine.ts";
import { isUnspecified, type Member, type Network } from "./network.ts";
import type { Trace } from "./trace.ts";

/** Passes of `handleTimeout` at one instant before the machine counts as stuck. */
const MAX_PASSES = 1_000;

export interface Addresses {
  readonly v4?: string;
  readonly v6?: string;
}

interface Interface extends Member {
  readonly network: Network;
  readonly addresses: Addresses;
}

interface Process {
  readonly machine: Machine;
  /** In the order of binding; the first is the default source port. */
  readonly ports: number[];
  /** The wake-up already scheduled. */
  wakeAt: number;
}

export class Host {
  readonly #interfaces: Interface[] = [];
  readonly #processes: Process[] = [];
  readonly #byPort = new Map<number, Process>();
  /** Hosts that this one can't hear. */
  readonly deafTo = new Set<string>();

  constructor(
    readonly name: string,
    readonly clock: Clock,
    readonly trace: Trace,
    readonly makeLink: (name: string, conditions: Partial<LinkConditions>) => Link,
  ) {}

  /** Joins `network`; the newest interface is the default route. */
  connect(network: Network, addresses: Addresses, conditions: Partial<LinkConditions> = {}): this {
    const link = this.makeLink(`${this.name}/${network.name}`, conditions);
    const self: Interface = { network, addresses, link, receive: (datagram) => this.#receive(datagram) };
    for (const ip of ipsOf(addresses)) network.join(ip, self);
    this.#interfaces.unshift(self);
    return this;
  }

  /** Leaves `network`, or all of them: a cable pulled, Wi-Fi lost. */
  disconnect(network?: Network): this {
    for (const self of this.#interfaces.slice()) {
      if (network && self.network !== network) continue;
      for (const ip of ipsOf(self.addresses)) self.network.leave(ip);
      this.#interfaces.splice(this.#interfaces.indexOf(self), 1);
    }
    return this;
  }

  /** The address of the default interface in this family. */
  ip(family: 4 | 6): string | undefined {
    for (const { addresses } of this.#interfaces) {
      const ip = family === 4 ? addresses.v4 : addresses.v6;
      if (ip !== undefined) return ip;
    }
    return undefined;
  }

  /** The link of the default interface. */
  get link(): Link {
    const [first] = this.#interfaces;
    if (!first) throw new Error(`${this.name} is not connected.`);
    return first.link;
  }

  /** Runs `machine` on `port`. A machine may have several ports. */
  bind(port: number, machine: Machine): this {
    if (this.#byPort.has(port)) throw new Error(`Port ${port} of ${this.name} is taken.`);
    let process = this.#processes.find((known) => known.machine === machine);
    if (!process) this.#processes.push(process = { machine, ports: [], wakeAt: Infinity });
    process.ports.push(port);
    this.#byPort.set(port, process);
    return this;
  }

  /** Closes one port; the machine goes on with its others. */
  unbind(port: number): void {
    const process = this.#byPort.get(port);
    if (!process) return;
    this.#byPort.delete(port);
    process.ports.splice(process.ports.indexOf(port), 1);
  }

  /** Ends a machine as SIGKILL does: nothing more is asked of it. */
  kill(machine: Machine): void {
    const at = this.#processes.findIndex((process) => process.machine === machine);
    if (at < 0) return;
    for (const port of this.#processes[at]!.ports) this.#byPort.delete(port);
    this.#processes.splice(at, 1);
  }

  /** Collects what the machines want after somebody touched them from outside. */
  poll(): void {
    for (const process of this.#processes.slice()) this.#drain(process);
  }

  #receive(datagram: Datagram): void {
    if (this.deafTo.has(datagram.origin)) return this.trace.drop("partition", this.name, datagram);
    const process = this.#byPort.get(datagram.destination.port);
    if (!process) return this.trace.drop("port closed", this.name, datagram);
    this.trace.deliver(this.name, datagram);
    process.machine.handleDatagram(datagram, this.clock.now);
    this.#drain(process);
  }

  #wake(process: Process): void {
    if (process.wakeAt !== this.clock.now) return;
    process.wakeAt = Infinity;
    if (this.#processes.includes(process)) this.#drain(process);
  }

  #drain(process: Process): void {
    const { machine } = process;
    const now = this.clock.now;
    for (let pass = 0;; pass++) {
      for (let transmit = machine.pollTransmit(); transmit; transmit = machine.pollTransmit()) {
        this.#send(process, transmit);
      }
      const due = machine.pollTimeout();
      if (due === undefined || due > now) {
        if (due !== undefined && due < process.wakeAt) {
          process.wakeAt = due;
          this.clock.at(due, () => this.#wake(process));
        }
        return;
      }
      if (pass === MAX_PASSES) throw new Error(`A machine on ${this.name} does not come to rest at ${now}.`);
      machine.handleTimeout(now);
      const next = machine.pollTimeout();
      if (next !== undefined && next < now) {
        throw new Error(`A machine on ${this.name} wants to be woken at ${next}, which is before ${now}.`);
      }
    }
  }

  #send(process: Process, { src, dst, payload, ecn = 0 }: Outgoing): void {
    const wanted = src && !isUnspecified(src) ? src.ip : undefined;
    const port = src && process.ports.includes(src.port) ? src.port : process.ports[0];
    const out = this.#interfaces.find(({ addresses }) =>
      wanted === undefined
        ? (dst.family === 4 ? addresses.v4 : addresses.v6) !== undefined
        : ipsOf(addresses).includes(wanted)
    );
    const ip = wanted ?? (dst.family === 4 ? out?.addresses.v4 : out?.addresses.v6);
    const source = ip !== undefined && port !== undefined ? SocketAddress.of(ip, port) : undefined;
    if (!out || !source || source.family !== dst.family) {
      this.trace.note(`${this.name} cannot send from ${src?.key ?? "anywhere"} to ${dst}`);
      this.trace.drops.set("unroutable", (this.trace.drops.get("unroutable") ?? 0) + 1);
      return;
    }
    const datagram = { source, destination: dst, payload: payload.slice(), ecn, origin: this.name };
    out.link.cross(datagram, "out", (arrived) => out.network.route(arrived));
  }
}

function ipsOf({ v4, v6 }: Addresses): string[] {
  return [v4, v6].filter((ip) => ip !== undefined);
}
