/**
 * Optimistic remote candidates (snownet §2.10): a peer behind a symmetric NAT that forwards its usual port is
 * reachable at its server-reflexive IP with its *host* port, which nobody signals.
 */
import { SocketAddress } from "../packet/address.ts";
import { type Candidate, serverReflexiveCandidate } from "./candidate.ts";

/** The guesses are made anew for each added candidate; so few keep the number of checks in bounds. */
const MAX_GUESSES = 2;

/** Candidates to add to an agent besides the peer's `known` ones; IPv4 only, none that is known already. */
export function optimisticCandidates(known: readonly Candidate[]): Candidate[] {
  const addresses = new Set(known.map((candidate) => candidate.address.key));
  const guesses: Candidate[] = [];
  for (const reflexive of known) {
    if (reflexive.kind !== "srflx" || reflexive.address.family !== 4) continue;
    for (const host of known) {
      if (host.kind !== "host" || host.address.family !== 4) continue;
      const guess = SocketAddress.fromBytes(reflexive.address.bytes, host.address.port);
      if (addresses.has(guess.key)) continue;
      addresses.add(guess.key);
      guesses.push(serverReflexiveCandidate(guess, guess));
      if (guesses.length === MAX_GUESSES) return guesses;
    }
  }
  return guesses;
}
