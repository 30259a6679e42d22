/**
 * Our own candidates (snownet §2.2, §2.5, §2.9): adopted with a local preference, never two for the same address and
 * base, withdrawn ones remembered so that re-adding them restores the same candidate.
 */
import type { SocketAddress } from "../packet/address.ts";
import { type Candidate, isUsableAddress } from "./candidate.ts";
import type { CandidateEntry } from "./pair.ts";
import { candidatePriority, localPreference } from "./priority.ts";

/** More than a host with many interfaces and a few changes of relay ever has. */
export const MAX_LOCAL_CANDIDATES = 32;

export class LocalCandidates {
  #entries: CandidateEntry[] = [];

  /** Including withdrawn ones. */
  get isEmpty(): boolean {
    return this.#entries.length === 0;
  }

  get live(): readonly CandidateEntry[] {
    return this.#entries.filter((entry) => !entry.discarded);
  }

  /** The adopted candidate's entry, or undefined when it is unusable, redundant or there are too many. */
  adopt(candidate: Candidate): CandidateEntry | undefined {
    const { kind, address, base } = candidate;
    if (kind === "prflx" || address.family !== base.family) return undefined;
    if (!isUsableAddress(address) || !isUsableAddress(base)) return undefined;
    const twin = this.#find(candidate);
    if (twin) {
      if (!twin.discarded) return undefined;
      twin.discarded = false;
      return twin;
    }
    const adopted = this.#withPreference(candidate);
    const rival = this.live.find(({ candidate: other }) =>
      other.address.key === address.key && other.base.key === base.key
    );
    if (rival) {
      if (rival.candidate.priority >= adopted.priority) return undefined;
      rival.candidate = adopted;
      return rival;
    }
    if (!this.#makeRoom()) return undefined;
    const entry = { candidate: adopted, discarded: false, discovered: false };
    this.#entries.push(entry);
    return entry;
  }

  /** Withdraws the candidate of the same kind, address and base; its entry, or undefined when there is none. */
  discard(candidate: Candidate): CandidateEntry | undefined {
    const entry = this.#find(candidate);
    if (!entry || entry.discarded) return undefined;
    entry.discarded = true;
    return entry;
  }

  /** The host or relay candidate that receives datagrams sent to `destination`. */
  receiving(destination: SocketAddress): CandidateEntry | undefined {
    return this.#entries.find(({ candidate, discarded }) =>
      !discarded && candidate.kind !== "srflx" && candidate.address.key === destination.key
    );
  }

  #find({ kind, address, base }: Candidate): CandidateEntry | undefined {
    return this.#entries.find(({ candidate: other }) =>
      other.kind === kind && other.address.key === address.key && other.base.key === base.key
    );
  }

  #withPreference(candidate: Candidate): Candidate {
    const { kind, address, crossFamily } = candidate;
    const siblings =
      this.#entries.filter(({ candidate: other }) =>
        other.kind === kind && other.address.family === address.family
      ).length;
    const preference = localPreference(kind, address.family, siblings, crossFamily === true);
    return { ...candidate, priority: candidatePriority(kind, preference) };
  }

  #makeRoom(): boolean {
    if (this.#entries.length < MAX_LOCAL_CANDIDATES) return true;
    const oldest = this.#entries.findIndex((entry) => entry.discarded);
    if (oldest < 0) return false;
    this.#entries.splice(oldest, 1);
    return true;
  }
}
