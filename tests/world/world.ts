/**
 * A simulated internet in virtual time: hosts, links, NATs, partitions. Everything random comes from one seed, so that
 * a world with the same seed and script runs the same way to the last datagram.
 *
 *     const world = new World({ seed: 1 });
 *     const home = world.nat("home", "symmetric", { v4: "203.0.113.1" });
 *     const client = world.host("client").connect(home.inside, { v4: "192.168.1.2" }, { latency: 5 });
 *     client.bind(52625, machine);
 *     world.runUntil(() => connected, 5_000);
 */
import { Clock } from "./clock.ts";
import { type Addresses, Host } from "./host.ts";
import { Link, type LinkConditions } from "./link.ts";
import { Nat, NAT_KINDS, type NatKind, type NatOptions } from "./nat.ts";
import { Network } from "./network.ts";
import { Random } from "./random.ts";
import { Trace } from "./trace.ts";

export interface WorldOptions {
  readonly seed?: number;
  /** First value of the clock, ms. */
  readonly start?: number;
  /** Keep a line for every event in `trace.lines`. */
  readonly traced?: boolean;
}

export class World {
  readonly random: Random;
  readonly trace: Trace;
  readonly internet: Network;
  readonly #clock: Clock;
  readonly #hosts = new Map<string, Host>();

  constructor({ seed = 1, start = 1_000, traced = false }: WorldOptions = {}) {
    this.random = new Random(seed);
    this.#clock = new Clock(start);
    this.trace = new Trace(this.#clock);
    if (traced) this.trace.lines = [];
    this.internet = new Network("internet", this.trace);
  }

  /** Monotonic ms. */
  get now(): number {
    return this.#clock.now;
  }

  /** A host without any interface; see `Host.connect`. */
  host(name: string): Host {
    if (this.#hosts.has(name)) throw new Error(`There is a host called ${name} already.`);
    const host = new Host(name, this.#clock, this.trace, (link, conditions) => this.#link(link, conditions));
    this.#hosts.set(name, host);
    return host;
  }

  /** A network of its own, e.g. the one behind a NAT is made by {@link nat}. */
  network(name: string): Network {
    return new Network(name, this.trace);
  }

  /** A NAT between a new inside network and `outside` (the internet). Without `v4` it carries IPv6 only. */
  nat(
    name: string,
    kind: NatKind | Partial<NatOptions>,
    { v4 }: Addresses,
    { outside = this.internet, ...conditions }: Partial<LinkConditions> & { outside?: Network } = {},
  ): Nat {
    const options = typeof kind === "string"
      ? NAT_KINDS[kind]
      : { ...NAT_KINDS["port-restricted cone"], ...kind };
    const inside = this.network(`${name}/inside`);
    const link = this.#link(name, conditions);
    return new Nat(name, options, v4, inside, outside, link, this.#clock, this.random.fork(), this.trace);
  }

  /** From now on nothing that `a` sends arrives at `b` and vice versa, whichever way it takes. */
  partition(a: Host, b: Host): void {
    a.deafTo.add(b.name);
    b.deafTo.add(a.name);
  }

  heal(a: Host, b: Host): void {
    a.deafTo.delete(b.name);
    b.deafTo.delete(a.name);
  }

  /** Runs `action` at `time`; it may touch any machine. */
  at(time: number, action: () => void): void {
    this.#clock.at(time, () => {
      action();
      this.poll();
    });
  }

  after(ms: number, action: () => void): void {
    this.at(this.now + ms, action);
  }

  /** Collects what machines want that were touched from outside; `run…` and `at` do it by themselves. */
  poll(): void {
    for (const host of this.#hosts.values()) host.poll();
  }

  /** Lets `ms` pass. */
  run(ms: number): void {
    this.runUntil(() => false, ms);
  }

  /** True as soon as `condition` holds, asked after every event; false when `limit` ms have passed. */
  runUntil(condition: () => boolean, limit: number): boolean {
    const end = this.now + limit;
    this.poll();
    while (!condition()) {
      const next = this.#clock.next;
      if (next === undefined || next > end) {
        this.#clock.advanceTo(end);
        return condition();
      }
      this.#clock.step();
    }
    return true;
  }

  /** Runs until nothing is going to happen for `quiet` ms; false when that does not come within `limit` ms. */
  settle(quiet = 200, limit = 20_000): boolean {
    const end = this.now + limit;
    this.poll();
    for (;;) {
      const next = this.#clock.next;
      if (next === undefined || next > this.now + quiet) return true;
      if (next > end) return false;
      this.#clock.step();
    }
  }

  #link(name: string, conditions: Partial<LinkConditions>): Link {
    return new Link(name, conditions, this.#clock, this.random.fork(), this.trace);
  }
}
