/**
 * The peer's candidates: signalled ones, and those that only a check told us about (peer-reflexive), which a later
 * signalled candidate of the same address replaces in place, so that pairs and their state stay (snownet §2.4, §2.7).
 */
import type { SocketAddress } from "../packet/address.ts";
import {
  type Candidate,
  isUsableAddress,
  matchesRemoval,
  remotePeerReflexiveCandidate,
} from "./candidate.ts";
import type { CandidateEntry } from "./pair.ts";

/** A peer that roams or signals without end stays within this; the least useful entry gives way. */
export const MAX_REMOTE_CANDIDATES = 64;

/** How useful an entry is; lower ones give way first. */
export type Usefulness = (entry: CandidateEntry) => number;

export class RemoteCandidates {
  #entries: CandidateEntry[] = [];

  /** Including withdrawn ones. */
  get isEmpty(): boolean {
    return this.#entries.length === 0;
  }

  get live(): readonly CandidateEntry[] {
    return this.#entries.filter((entry) => !entry.discarded);
  }

  get hasLive(): boolean {
    return this.#entries.some((entry) => !entry.discarded);
  }

  /**
   * Adds a signalled candidate, restores a withdrawn one, or gives a known address its newest description.
   * @returns the entry, and the one that had to give way; undefined when the address is unusable.
   */
  add(
    candidate: Candidate,
    usefulness: Usefulness,
  ): { entry: CandidateEntry; evicted?: CandidateEntry } | undefined {
    if (!isUsableAddress(candidate.address)) return undefined;
    const known = this.#entries.find((entry) =>
      !entry.discovered && matchesRemoval(entry.candidate, candidate)
    );
    const discovered = this.#entries.find((entry) =>
      entry.discovered && entry.candidate.address.key === candidate.address.key
    );
    const entry = known ?? discovered;
    if (!entry) return this.#insert({ candidate, discarded: false, discovered: false }, usefulness);
    entry.candidate = candidate;
    entry.discarded = false;
    entry.discovered = false;
    return { entry };
  }

  /** The address of a check that no live candidate has. */
  discover(
    address: SocketAddress,
    priority: number,
    usefulness: Usefulness,
  ): { entry: CandidateEntry; evicted?: CandidateEntry } {
    const candidate = remotePeerReflexiveCandidate(address, priority);
    return this.#insert({ candidate, discarded: false, discovered: true }, usefulness);
  }

  /** Withdraws the signalled candidate; its entry, or undefined when there is none. */
  discard(candidate: Candidate): CandidateEntry | undefined {
    const entry = this.#entries.find((entry) =>
      !entry.discarded && !entry.discovered && matchesRemoval(entry.candidate, candidate)
    );
    if (entry) entry.discarded = true;
    return entry;
  }

  /** The live candidate of the highest priority with this address. */
  at(address: SocketAddress): CandidateEntry | undefined {
    let best: CandidateEntry | undefined;
    for (const entry of this.#entries) {
      if (entry.discarded || entry.candidate.address.key !== address.key) continue;
      if (!best || entry.candidate.priority > best.candidate.priority) best = entry;
    }
    return best;
  }

  /** True when the address belongs to a withdrawn candidate. */
  isWithdrawn(address: SocketAddress): boolean {
    return this.#entries.some((entry) => entry.discarded && entry.candidate.address.key === address.key);
  }

  #insert(
    entry: CandidateEntry,
    usefulness: Usefulness,
  ): { entry: CandidateEntry; evicted?: CandidateEntry } {
    if (this.#entries.length < MAX_REMOTE_CANDIDATES) {
      this.#entries.push(entry);
      return { entry };
    }
    const ranks = this.#entries.map(usefulness);
    const [evicted] = this.#entries.splice(ranks.indexOf(Math.min(...ranks)), 1, entry);
    evicted!.discarded = true;
    return { entry, evicted: evicted! };
  }
}
