/**
 * The relays we hold allocations on (spec snownet §1.12, §3.11, §3.12).
 *
 * Reconciles the portal's lists with what is there, remembers the sockets of relays that went (late packets from
 * them are not a peer's), and picks a relay for a connection: at random among those whose measured round trip is
 * close to the best, so that load spreads over similar relays and distant ones stay a last resort.
 */
import { ADDRESS_RECORD_SIZE, type SocketAddress } from "../packet/address.ts";
import type { RandomBytes } from "../crypto/types.ts";
import { Allocation } from "../turn/mod.ts";
import type { RelayDescription } from "./types.ts";

const FORMER_RELAYS = 64;
const RECORD_WORDS = ADDRESS_RECORD_SIZE / 4;
/** With one or two relays: usable up to this multiple of the best round trip. */
const CLOSE_RATIO = 1.5;
/** With more: up to the median plus this many median absolute deviations (at least 2 ms each). */
const MAD_FACTOR = 3;
const MIN_MAD = 2;

export interface RelaysOptions {
  readonly random: RandomBytes;
  readonly software: string;
  readonly realm: string;
}

export class Relays {
  readonly #options: RelaysOptions;
  readonly #allocations = new Map<string, Allocation>();
  readonly #descriptions = new Map<string, RelayDescription>();
  readonly #former: string[] = [];
  /** The map's values, renewed with it: the packet path looks at them. */
  #list: readonly Allocation[] = [];

  constructor(options: RelaysOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#allocations.size;
  }

  get(id: string | undefined): Allocation | undefined {
    return id === undefined ? undefined : this.#allocations.get(id);
  }

  all(): readonly Allocation[] {
    return this.#list;
  }

  /** The allocation whose relay has exactly the socket of this address record (index of its first word). */
  at(words: Uint32Array, record: number): Allocation | undefined {
    for (const allocation of this.#list) {
      for (const { words: own } of allocation.sockets) {
        let w = 0;
        while (w < RECORD_WORDS && own[w] === words[record + w]) w++;
        if (w === RECORD_WORDS) return allocation;
      }
    }
    return undefined;
  }

  isFormer(from: SocketAddress): boolean {
    return this.#former.includes(from.key);
  }

  /** True when the relay is there already, with the same sockets and credentials. */
  isUnchanged(relay: RelayDescription): boolean {
    const known = this.#descriptions.get(relay.id);
    return known !== undefined && known.username === relay.username && known.password === relay.password &&
      known.v4?.key === relay.v4?.key && known.v6?.key === relay.v6?.key;
  }

  /** Starts an allocation; the previous one of this id must have been removed. */
  add(relay: RelayDescription, now: number): Allocation {
    const allocation = new Allocation({
      relayId: relay.id,
      addresses: { v4: relay.v4, v6: relay.v6 },
      username: relay.username,
      password: relay.password,
      realm: this.#options.realm,
      software: this.#options.software,
      random: this.#options.random,
      now,
    });
    this.#allocations.set(relay.id, allocation);
    this.#descriptions.set(relay.id, relay);
    for (const key of socketsOf(relay)) {
      const at = this.#former.indexOf(key);
      if (at >= 0) this.#former.splice(at, 1);
    }
    this.#list = [...this.#allocations.values()];
    return allocation;
  }

  remove(id: string): Allocation | undefined {
    const allocation = this.#allocations.get(id);
    const description = this.#descriptions.get(id);
    this.#allocations.delete(id);
    this.#descriptions.delete(id);
    if (description) {
      for (const key of socketsOf(description)) {
        this.#former.push(key);
        if (this.#former.length > FORMER_RELAYS) this.#former.shift();
      }
    }
    this.#list = [...this.#allocations.values()];
    return allocation;
  }

  /** A relay for a new connection; one that has answered if there is any. Undefined only when there is none. */
  sample(): string | undefined {
    const measured = [...this.#allocations].filter(([, a]) => a.rtt !== undefined);
    const candidates = measured.length > 0
      ? measured.filter(([, a]) => a.rtt! <= this.#worstAcceptable(measured.map(([, m]) => m.rtt!)))
      : [...this.#allocations];
    if (candidates.length === 0) return undefined;
    const [b0, b1] = this.#options.random(2) as unknown as [number, number];
    return candidates[((b0 << 8) | b1) % candidates.length]![0];
  }

  #worstAcceptable(rtts: number[]): number {
    if (rtts.length <= 2) return Math.min(...rtts) * CLOSE_RATIO;
    const middle = median(rtts);
    return middle + MAD_FACTOR * Math.max(MIN_MAD, median(rtts.map((r) => Math.abs(r - middle))));
  }
}

function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2;
}

function socketsOf(relay: RelayDescription): string[] {
  return [relay.v4, relay.v6].flatMap((a) => (a ? [a.key] : []));
}
