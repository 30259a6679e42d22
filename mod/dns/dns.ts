/**
 * Forwarder and resolver on one set of nameservers, as one state machine: queries, names and answers in; exchanges,
 * replies and resolutions out. `now` is monotonic milliseconds; after any `handle…` drain the polls.
 */
import type { RandomBytes } from "../crypto/types.ts";
import type { SocketAddress } from "../packet/address.ts";
import { DnsCounts } from "./counts.ts";
import { Forwarder, type Reply } from "./forwarder.ts";
import type { Transport } from "./nameservers.ts";
import { type Resolution, Resolver } from "./resolver.ts";
import type { SystemConfig } from "./system_config.ts";
import { type ExchangeCommand, Upstream } from "./upstream.ts";

export interface DnsOptions {
  readonly random: RandomBytes;
  /** This host's configuration, followed while it changes. */
  readonly config: SystemConfig;
  readonly now: number;
}

export class Dns {
  readonly counts = new DnsCounts();
  readonly #upstream: Upstream;
  readonly #forwarder: Forwarder;
  readonly #resolver: Resolver;
  readonly #config: SystemConfig;

  constructor({ random, config, now }: DnsOptions) {
    this.#config = config;
    this.#upstream = new Upstream(random, this.counts);
    this.#forwarder = new Forwarder(this.#upstream, this.counts);
    this.#resolver = new Resolver(this.#upstream, config, random, this.counts);
    this.#upstream.setServers(config.resolvConf.nameservers, now);
  }

  get servers(): readonly SocketAddress[] {
    return this.#upstream.servers;
  }

  /** See {@link Forwarder.handleQuery}. */
  handleQuery(bytes: Uint8Array, transport: Transport, client: string, now: number): number | undefined {
    this.#refresh(now);
    const number = this.#forwarder.handleQuery(bytes, transport, client, now);
    this.#settle(now);
    return number;
  }

  /** See {@link Resolver.resolve}. */
  resolve(domain: string, now: number): void {
    this.#refresh(now);
    this.#resolver.resolve(domain, now);
    this.#settle(now);
  }

  handleAnswer(exchange: number, from: SocketAddress, bytes: Uint8Array, now: number): void {
    this.#upstream.handleAnswer(exchange, from, bytes, now);
    this.#settle(now);
  }

  handleFailure(exchange: number, now: number): void {
    this.#upstream.handleFailure(exchange, now);
    this.#settle(now);
  }

  handleTimeout(now: number): void {
    this.#upstream.handleTimeout(now);
    this.#resolver.handleTimeout(now);
    this.#settle(now);
  }

  pollTimeout(): number | undefined {
    const next = Math.min(this.#upstream.pollTimeout() ?? Infinity, this.#resolver.pollTimeout() ?? Infinity);
    return next === Infinity ? undefined : next;
  }

  pollCommand(): ExchangeCommand | undefined {
    return this.#upstream.pollCommand();
  }

  pollReply(): Reply | undefined {
    return this.#forwarder.pollReply();
  }

  pollResolution(): Resolution | undefined {
    return this.#resolver.pollResolution();
  }

  #refresh(now: number): void {
    if (!this.#config.refresh(now)) return;
    const { nameservers } = this.#config.resolvConf;
    const keys = (servers: readonly SocketAddress[]) => servers.map(({ key }) => key).join(" ");
    if (keys(nameservers) !== keys(this.servers)) this.#upstream.setServers(nameservers, now);
  }

  /** Hands outcomes to whom they belong, until there are no more. */
  #settle(now: number): void {
    for (let outcome = this.#upstream.pollOutcome(); outcome; outcome = this.#upstream.pollOutcome()) {
      if (!this.#forwarder.handleOutcome(outcome)) this.#resolver.handleOutcome(outcome, now);
    }
  }
}
