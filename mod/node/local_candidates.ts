/**
 * The local candidates that all connections share: where our socket is reachable (spec snownet §2.2).
 *
 * Host candidates are the local addresses at which answers of relays arrived; server-reflexive ones are what relays
 * say they saw. No interfaces are enumerated. Per IP family the newest server-reflexive address wins; host addresses
 * accumulate, up to a bound, because a host may well have several. Neither is ever withdrawn: stale ones die in
 * the checks (§6.1, 2026-01-27).
 */
import { type Candidate, hostCandidate, serverReflexiveCandidate } from "../ice/mod.ts";
import type { SocketAddress } from "../packet/address.ts";

const MAX_HOSTS = 16;

export class LocalCandidates {
  readonly #hosts = new Map<string, Candidate>();
  readonly #reflexive = new Map<number, Candidate>();

  /** The new candidate, or undefined when it is known. Whether an address is usable is for the agents to say. */
  addHost(address: SocketAddress): Candidate | undefined {
    if (this.#hosts.has(address.key)) return undefined;
    if (this.#hosts.size >= MAX_HOSTS) this.#hosts.delete(this.#hosts.keys().next().value!);
    const candidate = hostCandidate(address);
    this.#hosts.set(address.key, candidate);
    return candidate;
  }

  addServerReflexive(address: SocketAddress, base: SocketAddress): Candidate | undefined {
    if (this.#reflexive.get(address.family)?.address.equals(address)) return undefined;
    const candidate = serverReflexiveCandidate(address, base);
    this.#reflexive.set(address.family, candidate);
    return candidate;
  }

  all(): Candidate[] {
    return [...this.#hosts.values(), ...this.#reflexive.values()];
  }
}
