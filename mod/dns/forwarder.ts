/**
 * The forwarder (spec policy §5.2): a client's query goes to a nameserver byte for byte, and the answer comes back
 * byte for byte, cut to 1200 bytes over UDP. It answers nothing itself but SERVFAIL.
 */
import type { SocketAddress } from "../packet/address.ts";
import type { DnsCounts } from "./counts.ts";
import { parseQuery, type Query, servfail, truncate } from "./message.ts";
import type { Transport } from "./nameservers.ts";
import type { Outcome, Upstream } from "./upstream.ts";

const MAX_IN_FLIGHT = 1000;
/** Of one client: nobody takes the service away from everybody. */
const MAX_IN_FLIGHT_PER_CLIENT = 250;
/** Larger UDP answers would not fit into the tunnel's packets. */
export const MAX_UDP_ANSWER = 1200;

/** The bytes for the client whose query got this number. */
export interface Reply {
  readonly number: number;
  readonly bytes: Uint8Array;
}

interface Pending {
  readonly number: number;
  readonly query: Query;
  readonly transport: Transport;
  readonly client: string;
}

export class Forwarder {
  readonly #upstream: Upstream;
  readonly #counts: DnsCounts;
  /** By ask. */
  readonly #pending = new Map<number, Pending>();
  readonly #perClient = new Map<string, number>();
  readonly #replies: Reply[] = [];
  #lastNumber = 0;

  constructor(upstream: Upstream, counts: DnsCounts) {
    this.#upstream = upstream;
    this.#counts = counts;
  }

  /**
   * @param client who asks; an IP address as text
   * @param servers whom to ask instead of the nameservers
   * @returns the number of the one reply that will follow, or undefined when this is no query: it gets no answer
   */
  handleQuery(
    bytes: Uint8Array,
    transport: Transport,
    client: string,
    now: number,
    servers?: readonly SocketAddress[],
  ): number | undefined {
    const query = parseQuery(bytes);
    if (!query) {
      this.#counts.add(this.#counts.malformedQueries);
      return undefined;
    }
    const number = ++this.#lastNumber;
    const own = this.#perClient.get(client) ?? 0;
    if (this.#pending.size >= MAX_IN_FLIGHT || own >= MAX_IN_FLIGHT_PER_CLIENT) {
      this.#counts.add(this.#counts.refusedBusy);
      this.#fail(number, query);
      return number;
    }
    this.#perClient.set(client, own + 1);
    const ask = this.#upstream.ask(query, transport, now, servers);
    this.#pending.set(ask, { number, query, transport, client });
    return number;
  }

  /** True when the outcome was for one of these queries. */
  handleOutcome({ ask, response }: Outcome): boolean {
    const pending = this.#pending.get(ask);
    if (!pending) return false;
    this.#pending.delete(ask);
    const left = this.#perClient.get(pending.client)! - 1;
    if (left === 0) this.#perClient.delete(pending.client);
    else this.#perClient.set(pending.client, left);
    if (!response) this.#fail(pending.number, pending.query);
    else {
      this.#counts.add(this.#counts.forwarded);
      const bytes = pending.transport === "udp" ? truncate(response, MAX_UDP_ANSWER) : response.bytes;
      this.#replies.push({ number: pending.number, bytes });
    }
    return true;
  }

  pollReply(): Reply | undefined {
    return this.#replies.shift();
  }

  #fail(number: number, query: Query): void {
    this.#counts.add(this.#counts.failed);
    this.#replies.push({ number, bytes: servfail(query) });
  }
}
