/**
 * Clients that wait for a name to be resolved (spec policy §4.3): one resolution per name serves everyone who asks
 * meanwhile, and a client that repeats itself is answered once, with what it asked last.
 */
import type { Peer } from "./peer.ts";
import type { Id } from "./types.ts";

/** Waiting requests of all clients together; more are dropped, the clients ask again. */
const MAX_PENDING = 1000;

export interface NameRequest {
  readonly peer: Peer;
  readonly resourceId: Id;
  readonly domain: string;
  readonly proxyIps: readonly Uint8Array[];
}

export class PendingNames {
  /** By name in lower case, then by client and resource. */
  readonly #names = new Map<string, Map<string, NameRequest>>();
  #count = 0;

  /** "resolve": nobody resolves this name yet. "wait": somebody does. "full": dropped. */
  add(request: NameRequest): "resolve" | "wait" | "full" {
    const name = request.domain.toLowerCase();
    const who = `${request.peer.slot} ${request.peer.clientId} ${request.resourceId}`;
    const known = this.#names.get(name);
    const repeated = known?.has(who) ?? false;
    if (!repeated && this.#count >= MAX_PENDING) return "full";
    const requests = known ?? new Map<string, NameRequest>();
    this.#names.set(name, requests.set(who, request));
    if (!repeated) this.#count++;
    return known ? "wait" : "resolve";
  }

  /** Everyone who waits for `domain`; they wait no longer. */
  take(domain: string): NameRequest[] {
    const name = domain.toLowerCase();
    const requests = [...this.#names.get(name)?.values() ?? []];
    this.#names.delete(name);
    this.#count -= requests.length;
    return requests;
  }
}
