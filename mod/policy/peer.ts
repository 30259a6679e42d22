/**
 * What one client may do: its tunnel addresses, its grants, and the tables compiled from them (spec policy §0).
 *
 * A change of the grants is followed by one {@link Peer.compile}, which gives the peer a new version; verdicts
 * remembered under the old version are thereby forgotten.
 */
import type { FilterSet } from "./filter.ts";
import { NatTable } from "./nat_table.ts";
import { NetworkTable } from "./network_table.ts";
import { TokenBucket } from "./token_bucket.ts";
import { Translations } from "./translations.ts";
import type { Client, Id, Resource } from "./types.ts";
import { type Words, wordsOf } from "./words.ts";

/** ICMP answers to one client; far above what an honest one can provoke. */
const ANSWERS_PER_SECOND = 1000, ANSWER_BURST = 2000;

/** One resource that a client holds. */
export interface Grant {
  readonly resource: Resource;
  readonly filters: FilterSet;
  /** Monotonic milliseconds; access ends when it is reached. */
  readonly deadline: number;
}

export class Peer {
  /** What the owner of the policy ties to this client (its connection); the policy never looks. */
  connection: unknown = undefined;
  /** True once the peer is gone; a packet of it is dropped from then on. */
  removed = false;

  ipv4: Uint8Array;
  ipv6: Uint8Array;
  v4: Words;
  v6: Words;

  readonly grants = new Map<Id, Grant>();
  readonly answers: TokenBucket;

  /** Never 0, and never that of another state of any peer. */
  version = 0;
  /** All grants, larger resource ids first; findings name them by index. */
  list: readonly Grant[] = [];
  internet: Grant | undefined = undefined;
  table4 = new NetworkTable<Grant>(1, []);
  table6 = new NetworkTable<Grant>(4, []);
  /** Proxy addresses; they outlive the grants that opened them (§1.8). */
  readonly translations = new Translations();
  /** Exists once the client set up a DNS resource. */
  nat: NatTable | undefined = undefined;
  /** The first deadline of the grants. */
  nextDeadline = Infinity;

  /** @param slot small, unique among living peers, stable for the life of the peer. */
  constructor(readonly slot: number, readonly clientId: Id, client: Client, now: number) {
    this.answers = new TokenBucket(ANSWERS_PER_SECOND, ANSWER_BURST, now);
    this.ipv4 = client.ipv4.slice();
    this.ipv6 = client.ipv6.slice();
    this.v4 = wordsOf(this.ipv4)!;
    this.v6 = wordsOf(this.ipv6)!;
  }

  /** Starts again from nothing under other tunnel addresses. */
  reset(client: Client): void {
    this.ipv4 = client.ipv4.slice();
    this.ipv6 = client.ipv6.slice();
    this.v4 = wordsOf(this.ipv4)!;
    this.v6 = wordsOf(this.ipv6)!;
    this.grants.clear();
    this.forgetFlows();
  }

  /** Drops all translations and NAT sessions. */
  forgetFlows(): void {
    this.translations.clear();
    this.nat?.clear();
  }

  /** The NAT table, made when it is needed first. */
  openNat(seed: number): NatTable {
    return this.nat ??= new NatTable(seed);
  }

  /** Rebuilds the tables from `grants` under a new version. */
  compile(version: number): void {
    this.version = version;
    // Of equal networks the larger resource id decides whose refusal is told (§1.6 [H]), so it comes first.
    this.list = [...this.grants.values()].sort((a, b) => a.resource.id < b.resource.id ? 1 : -1);
    this.internet = this.list.find((grant) => grant.resource.type === "internet");
    this.nextDeadline = this.list.reduce((least, grant) => Math.min(least, grant.deadline), Infinity);
    this.table4 = new NetworkTable(1, this.#networks(4));
    this.table6 = new NetworkTable(4, this.#networks(16));
    this.translations.compile(this.grants);
  }

  #networks(length: number) {
    return this.list.flatMap((grant) =>
      grant.resource.type === "cidr" && grant.resource.address.ip.length === length
        ? [{ ...grant.resource.address, value: grant }]
        : []
    );
  }
}
