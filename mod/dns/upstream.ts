/**
 * Asking nameservers (spec policy §5.2, §5.4): one query, one server at a time, the next one when the first is silent
 * or fails, an answer or the end of it all after 5 s. Sans-IO: commands say which exchanges (a socket to one server)
 * to open and close; what they receive comes back by their number.
 *
 *   ask ─► best server ──2 s──► next ──2 s──► next (in a circle) ──► 5 s: no response
 *
 * An answer counts only when its source, id and question are those that were asked (RFC 5452 §9); over UDP others
 * are ignored and counted, since anybody can send them. A server that is asked again over UDP is asked on the same
 * socket, so that a slow first answer still counts.
 *
 * With more than one server, each is probed every minute over both transports; see {@link Nameservers}.
 */
import type { RandomBytes } from "../crypto/types.ts";
import type { SocketAddress } from "../packet/address.ts";
import type { DnsCounts } from "./counts.ts";
import {
  encodeQuery,
  parseQuery,
  parseResponse,
  type Query,
  RCODE_OK,
  type Response,
  responseId,
  sameQuestion,
  TYPE_A,
} from "./message.ts";
import { Nameservers, type Transport } from "./nameservers.ts";

export const ASK_TIMEOUT = 5000;
const ATTEMPT_TIMEOUT = 2000;
const PROBE_INTERVAL = 60_000;
const PROBE_TIMEOUT = 2000;
const MAX_PROBES = 20;
/** What upstream asks for; that it exists does not matter. */
const PROBE_NAME = "firezone.dev";

export type ExchangeCommand =
  | {
    readonly type: "open";
    readonly exchange: number;
    readonly server: SocketAddress;
    readonly transport: Transport;
    readonly payload: Uint8Array;
  }
  /** Send the same datagram once more. */
  | { readonly type: "repeat"; readonly exchange: number; readonly payload: Uint8Array }
  | { readonly type: "close"; readonly exchange: number };

/** How an ask ended; no response: no server gave one that makes sense in time. */
export interface Outcome {
  readonly ask: number;
  readonly response: Response | undefined;
}

interface Ask {
  readonly id: number;
  readonly query: Query;
  readonly transport: Transport;
  readonly servers: readonly SocketAddress[];
  readonly deadline: number;
  attempt: number;
  failures: number;
  retryAt: number;
  exchange: number;
}

interface Exchange {
  readonly query: Query;
  readonly server: SocketAddress;
  readonly transport: Transport;
  readonly startedAt: number;
  /** Undefined: a probe. */
  readonly ask: Ask | undefined;
}

export class Upstream {
  readonly #servers = new Nameservers();
  readonly #random: RandomBytes;
  readonly #counts: DnsCounts;
  readonly #asks = new Map<number, Ask>();
  readonly #exchanges = new Map<number, Exchange>();
  readonly #commands: ExchangeCommand[] = [];
  readonly #outcomes: Outcome[] = [];
  #lastId = 0;
  #probes = 0;
  #nextProbeAt = Infinity;

  constructor(random: RandomBytes, counts: DnsCounts) {
    this.#random = random;
    this.#counts = counts;
  }

  /** Replaces the nameservers; queries under way go on with those that they have. */
  setServers(servers: readonly SocketAddress[], now: number): void {
    this.#servers.set(servers);
    // With one there is nothing to choose.
    this.#nextProbeAt = servers.length > 1 ? now : Infinity;
  }

  get servers(): readonly SocketAddress[] {
    return this.#servers.all;
  }

  /**
   * Asks; exactly one outcome with the returned number follows unless it is cancelled.
   * @param servers whom to ask, in this order; the nameservers when absent
   */
  ask(
    query: Query,
    transport: Transport,
    now: number,
    servers: readonly SocketAddress[] = this.#servers.ranked(transport),
  ): number {
    const id = ++this.#lastId;
    if (servers.length === 0) {
      this.#outcomes.push({ ask: id, response: undefined });
      return id;
    }
    const ask = {
      id,
      query,
      transport,
      servers,
      deadline: now + ASK_TIMEOUT,
      attempt: 0,
      failures: 0,
      retryAt: 0,
      exchange: 0,
    };
    this.#asks.set(id, ask);
    this.#attempt(ask, now);
    return id;
  }

  cancel(id: number): void {
    const ask = this.#asks.get(id);
    if (!ask) return;
    this.#asks.delete(id);
    this.#close(ask.exchange);
  }

  /** What an exchange received; over TCP one whole message. */
  handleAnswer(exchangeId: number, from: SocketAddress, bytes: Uint8Array, now: number): void {
    const exchange = this.#exchanges.get(exchangeId);
    if (!exchange) return;
    const { query, server, transport, ask } = exchange;
    const isFromServer = from.key === server.key && responseId(bytes) === query.id;
    const response = isFromServer ? parseResponse(bytes) : undefined;
    if (!response || !sameQuestion(response.question, query.question)) {
      this.#counts.add(this.#counts.ignoredAnswers);
      // Broken, but from the server itself: waiting for a better one is in vain.
      if (transport === "tcp" || (isFromServer && !response)) this.handleFailure(exchangeId, now);
      return;
    }
    const roundTrip = now - exchange.startedAt;
    this.#close(exchangeId);
    if (!ask) return this.#servers.noteProbe(server, transport, roundTrip, response.rcode === RCODE_OK);
    this.#servers.noteAnswer(server, transport, roundTrip);
    this.#asks.delete(ask.id);
    this.#outcomes.push({ ask: ask.id, response });
  }

  /** An exchange could not be opened, was refused or ended without an answer. */
  handleFailure(exchangeId: number, now: number): void {
    const exchange = this.#exchanges.get(exchangeId);
    if (!exchange) return;
    const { server, transport, ask } = exchange;
    this.#close(exchangeId);
    this.#servers.noteFailure(server, transport);
    if (!ask) return;
    if (++ask.failures >= ask.servers.length) this.#fail(ask);
    else this.#attempt(ask, now);
  }

  handleTimeout(now: number): void {
    for (const ask of [...this.#asks.values()]) {
      if (now >= ask.deadline) {
        this.#noteSilence(ask);
        this.#fail(ask);
      } else if (now >= ask.retryAt) {
        this.#noteSilence(ask);
        this.#attempt(ask, now);
      }
    }
    for (const [id, { ask, startedAt }] of [...this.#exchanges]) {
      if (!ask && now >= startedAt + PROBE_TIMEOUT) this.handleFailure(id, now);
    }
    if (now >= this.#nextProbeAt) this.#probe(now);
  }

  pollTimeout(): number | undefined {
    let next = this.#nextProbeAt;
    for (const { retryAt, deadline } of this.#asks.values()) next = Math.min(next, retryAt, deadline);
    if (this.#probes > 0) {
      for (const { ask, startedAt } of this.#exchanges.values()) {
        if (!ask) next = Math.min(next, startedAt + PROBE_TIMEOUT);
      }
    }
    return next === Infinity ? undefined : next;
  }

  pollCommand(): ExchangeCommand | undefined {
    return this.#commands.shift();
  }

  pollOutcome(): Outcome | undefined {
    return this.#outcomes.shift();
  }

  #attempt(ask: Ask, now: number): void {
    const server = ask.servers[ask.attempt++ % ask.servers.length]!;
    ask.retryAt = now + ATTEMPT_TIMEOUT;
    const present = this.#exchanges.get(ask.exchange);
    if (present?.server.key === server.key) {
      if (ask.transport === "udp") {
        this.#commands.push({ type: "repeat", exchange: ask.exchange, payload: ask.query.bytes });
      }
      return;
    }
    this.#close(ask.exchange);
    ask.exchange = this.#open(ask.query, server, ask.transport, ask, now);
  }

  #fail(ask: Ask): void {
    this.#asks.delete(ask.id);
    this.#close(ask.exchange);
    this.#outcomes.push({ ask: ask.id, response: undefined });
  }

  #noteSilence(ask: Ask): void {
    const exchange = this.#exchanges.get(ask.exchange);
    if (exchange) this.#servers.noteFailure(exchange.server, exchange.transport);
  }

  #probe(now: number): void {
    this.#nextProbeAt = now + PROBE_INTERVAL;
    for (const server of this.#servers.all) {
      for (const transport of ["udp", "tcp"] as const) {
        if (this.#probes >= MAX_PROBES) return;
        const id = this.#random(2);
        const query = parseQuery(encodeQuery(id[0]! << 8 | id[1]!, PROBE_NAME, TYPE_A)!)!;
        this.#open(query, server, transport, undefined, now);
      }
    }
  }

  #open(
    query: Query,
    server: SocketAddress,
    transport: Transport,
    ask: Ask | undefined,
    now: number,
  ): number {
    const exchange = ++this.#lastId;
    this.#exchanges.set(exchange, { query, server, transport, startedAt: now, ask });
    if (!ask) this.#probes++;
    this.#commands.push({ type: "open", exchange, server, transport, payload: query.bytes });
    return exchange;
  }

  #close(exchangeId: number): void {
    const exchange = this.#exchanges.get(exchangeId);
    if (!exchange) return;
    this.#exchanges.delete(exchangeId);
    if (!exchange.ask) this.#probes--;
    this.#commands.push({ type: "close", exchange: exchangeId });
  }
}
