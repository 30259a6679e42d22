/**
 * The pairs of an agent (RFC 8445 §6.1.2, snownet §2.9): one per base and peer address, at most 100.
 *
 * Two candidate combinations that would send the same datagrams are redundant: one pair stands for both and carries
 * the better description, keeping its checks and nomination when that changes.
 */
import type { SocketAddress } from "../packet/address.ts";
import { type CandidateEntry, CandidatePair } from "./pair.ts";

export const MAX_PAIRS = 100;

export class CheckList {
  #pairs: CandidatePair[] = [];
  #controlling: boolean;

  constructor(controlling: boolean) {
    this.#controlling = controlling;
  }

  get pairs(): readonly CandidatePair[] {
    return this.#pairs;
  }

  /** The pair of the two candidates, old or new; undefined when they can't be paired or the list is full of better ones. */
  form(local: CandidateEntry, remote: CandidateEntry): CandidatePair | undefined {
    const base = local.candidate.base, address = remote.candidate.address;
    if (local.discarded || remote.discarded || base.family !== address.family) return undefined;
    const candidate = new CandidatePair(local, remote);
    candidate.prioritise(this.#controlling);
    const existing = this.find(base, address);
    if (existing) {
      if (candidate.priority > existing.priority) this.#describe(existing, local, remote);
      return existing;
    }
    this.#pairs.push(candidate);
    return this.#enforceLimit() === candidate ? undefined : candidate;
  }

  find(base: SocketAddress, remote: SocketAddress): CandidatePair | undefined {
    return this.#pairs.find((pair) => pair.connects(base, remote));
  }

  /** Computes the priorities of the pairs of a candidate whose description changed. */
  reprioritise(entry: CandidateEntry): void {
    for (const pair of this.#pairs) {
      if (pair.local === entry || pair.remote === entry) pair.prioritise(this.#controlling);
    }
  }

  /** Drops the pairs of a withdrawn candidate, unless `heir` (same base or address) can take its place. */
  withdraw(entry: CandidateEntry, heir?: CandidateEntry): void {
    this.#pairs = this.#pairs.filter((pair) => {
      if (pair.local !== entry && pair.remote !== entry) return true;
      if (!heir) return false;
      this.#describe(
        pair,
        pair.local === entry ? heir : pair.local,
        pair.remote === entry ? heir : pair.remote,
      );
      return true;
    });
  }

  remove(pair: CandidatePair): void {
    this.#pairs = this.#pairs.filter((other) => other !== pair);
  }

  /** After a role switch: who controls decides the priorities, and nominations of the old role are void. */
  switchRole(controlling: boolean): void {
    this.#controlling = controlling;
    for (const pair of this.#pairs) {
      pair.nomination = "none";
      pair.prioritise(controlling);
    }
  }

  #describe(pair: CandidatePair, local: CandidateEntry, remote: CandidateEntry): void {
    pair.local = local;
    pair.remote = remote;
    pair.prioritise(this.#controlling);
  }

  /** Drops the lowest pair that is not nominated; the dropped one. */
  #enforceLimit(): CandidatePair | undefined {
    if (this.#pairs.length <= MAX_PAIRS) return undefined;
    let lowest: CandidatePair | undefined;
    for (const pair of this.#pairs) {
      if (!pair.isNominated && (!lowest || pair.priority < lowest.priority)) lowest = pair;
    }
    if (lowest) this.remove(lowest);
    return lowest;
  }
}
