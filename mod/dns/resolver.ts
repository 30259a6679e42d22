/**
 * The resolver for DNS resources (spec policy §5.5): the addresses of a name as this host sees it.
 *
 *   cache ─► hosts file ─► name and search suffixes in turn: A and AAAA at once (TCP when cut) ─► cache
 *
 * Who asks for a name that is being looked up gets the same answer. A name that does not exist, or a family that it
 * lacks, is an answer like others and is remembered for a second. When no nameserver answers, what was true before
 * stands in; otherwise the name has no addresses. After 10 s without an end there is no outcome.
 */
import type { RandomBytes } from "../crypto/types.ts";
import type { DnsCounts } from "./counts.ts";
import {
  CLASS_IN,
  encodeQuery,
  parseQuery,
  type Query,
  RCODE_NXDOMAIN,
  RCODE_OK,
  type Response,
  TYPE_A,
  TYPE_AAAA,
  TYPE_CNAME,
} from "./message.ts";
import type { Transport } from "./nameservers.ts";
import { NameCache } from "./name_cache.ts";
import { candidateNames } from "./resolv_conf.ts";
import type { SystemConfig } from "./system_config.ts";
import type { Outcome, Upstream } from "./upstream.ts";

export const RESOLVE_TIMEOUT = 10_000;
/** Look-ups at once (two sockets each); the others wait their turn. */
const MAX_LOOKUPS = 200;
const MAX_CHAIN = 16;

export interface Resolution {
  /** As it was asked for. */
  readonly name: string;
  /** 4 or 16 bytes each; undefined: no outcome in time. */
  readonly addresses: readonly Uint8Array[] | undefined;
}

interface Lookup {
  readonly name: string;
  readonly deadline: number;
  candidates: readonly string[] | undefined;
  /** Asks under way. */
  readonly asks: Map<number, { readonly query: Query; readonly transport: Transport }>;
  addresses: Uint8Array[];
  /** Seconds. */
  ttl: number;
  hasFailed: boolean;
}

export class Resolver {
  readonly #upstream: Upstream;
  readonly #config: SystemConfig;
  readonly #random: RandomBytes;
  readonly #counts: DnsCounts;
  readonly #cache = new NameCache();
  /** By name in lower case; the first {@link MAX_LOOKUPS} that are not waiting have asks. */
  readonly #lookups = new Map<string, Lookup>();
  readonly #byAsk = new Map<number, Lookup>();
  readonly #waiting: Lookup[] = [];
  readonly #resolutions: Resolution[] = [];
  #active = 0;

  constructor(upstream: Upstream, config: SystemConfig, random: RandomBytes, counts: DnsCounts) {
    this.#upstream = upstream;
    this.#config = config;
    this.#random = random;
    this.#counts = counts;
  }

  /** One resolution of this name follows, for everyone who asked for it meanwhile. */
  resolve(domain: string, now: number): void {
    const name = domain.toLowerCase();
    if (this.#lookups.has(name)) return;
    this.#counts.add(this.#counts.lookups);
    const known = this.#cache.fresh(name, now) ?? this.#config.hosts.get(name);
    if (known) {
      this.#counts.add(this.#counts.lookupsKnown);
      this.#resolutions.push({ name, addresses: known });
      return;
    }
    const lookup = {
      name,
      deadline: now + RESOLVE_TIMEOUT,
      candidates: undefined,
      asks: new Map(),
      addresses: [],
      ttl: Infinity,
      hasFailed: false,
    };
    this.#lookups.set(name, lookup);
    this.#waiting.push(lookup);
    this.#startWaiting(now);
  }

  /** True when the outcome was for one of these look-ups. */
  handleOutcome({ ask, response }: Outcome, now: number): boolean {
    const lookup = this.#byAsk.get(ask);
    if (!lookup) return false;
    const { query, transport } = lookup.asks.get(ask)!;
    this.#forgetAsk(lookup, ask);
    if (response?.truncated && transport === "udp") this.#ask(lookup, query, "tcp", now);
    else if (!response || (response.rcode !== RCODE_OK && response.rcode !== RCODE_NXDOMAIN)) {
      lookup.hasFailed = true;
    } else {
      const { addresses, ttl } = addressesIn(response);
      lookup.addresses.push(...addresses);
      lookup.ttl = Math.min(lookup.ttl, ttl);
    }
    if (lookup.asks.size === 0) this.#proceed(lookup, now);
    return true;
  }

  handleTimeout(now: number): void {
    for (const lookup of [...this.#lookups.values()]) {
      // In the order of their deadlines.
      if (now < lookup.deadline) break;
      lookup.hasFailed = true;
      this.#finish(lookup, this.#cache.stale(lookup.name, now), now);
    }
  }

  pollTimeout(): number | undefined {
    return this.#lookups.values().next().value?.deadline;
  }

  pollResolution(): Resolution | undefined {
    return this.#resolutions.shift();
  }

  #startWaiting(now: number): void {
    while (this.#active < MAX_LOOKUPS && this.#waiting.length > 0) {
      const lookup = this.#waiting.shift()!;
      this.#active++;
      lookup.candidates = candidateNames(lookup.name, this.#config.resolvConf);
      this.#proceed(lookup, now);
    }
  }

  /** Ends with what was found, or goes on to the next candidate. */
  #proceed(lookup: Lookup, now: number): void {
    const { name, addresses, ttl, hasFailed } = lookup;
    if (addresses.length > 0) {
      // A family whose answer is missing is asked for again soon.
      this.#cache.set(name, addresses, hasFailed ? 0 : ttl * 1000, now);
      return this.#finish(lookup, addresses, now);
    }
    // Nobody answers: other names will not either.
    if (hasFailed) return this.#finish(lookup, this.#cache.stale(name, now) ?? [], now);
    const [candidate, ...others] = lookup.candidates!;
    if (candidate === undefined) {
      this.#cache.set(name, [], 0, now);
      return this.#finish(lookup, [], now);
    }
    lookup.candidates = others;
    lookup.ttl = Infinity;
    const queries = [TYPE_A, TYPE_AAAA].map((type) => {
      const id = this.#random(2);
      return encodeQuery(id[0]! << 8 | id[1]!, candidate, type);
    }).filter((bytes) => bytes !== undefined);
    if (queries.length === 0) return this.#proceed(lookup, now);
    for (const bytes of queries) this.#ask(lookup, parseQuery(bytes)!, "udp", now);
  }

  #ask(lookup: Lookup, query: Query, transport: Transport, now: number): void {
    const ask = this.#upstream.ask(query, transport, now);
    lookup.asks.set(ask, { query, transport });
    this.#byAsk.set(ask, lookup);
  }

  #finish(lookup: Lookup, addresses: readonly Uint8Array[] | undefined, now: number): void {
    if (lookup.hasFailed && lookup.addresses.length === 0) {
      if (addresses && addresses.length > 0) this.#counts.add(this.#counts.lookupsStale);
      else this.#counts.add(this.#counts.lookupsFailed);
    }
    for (const ask of [...lookup.asks.keys()]) {
      this.#upstream.cancel(ask);
      this.#forgetAsk(lookup, ask);
    }
    this.#lookups.delete(lookup.name);
    if (lookup.candidates) this.#active--;
    else this.#waiting.splice(this.#waiting.indexOf(lookup), 1);
    this.#resolutions.push({ name: lookup.name, addresses });
    this.#startWaiting(now);
  }

  #forgetAsk(lookup: Lookup, ask: number): void {
    lookup.asks.delete(ask);
    this.#byAsk.delete(ask);
  }
}

/** The addresses that the question's name leads to, aliases followed, and the shortest TTL on the way in seconds. */
function addressesIn({ question, answers }: Response): { addresses: Uint8Array[]; ttl: number } {
  const length = question.type === TYPE_A ? 4 : 16;
  let name = question.name, ttl = Infinity;
  for (let step = 0; step <= MAX_CHAIN; step++) {
    const own = answers.filter((record) => record.name === name && record.class === CLASS_IN);
    const found = own.filter(({ type, data }) => type === question.type && data.length === length);
    if (found.length > 0) {
      return {
        addresses: found.map(({ data }) => data.slice()),
        ttl: Math.min(ttl, ...found.map((record) => record.ttl)),
      };
    }
    const alias = own.find(({ type }) => type === TYPE_CNAME);
    if (!alias) break;
    name = alias.target!;
    ttl = Math.min(ttl, alias.ttl);
  }
  return { addresses: [], ttl: Infinity };
}
