/**
 * Standing authorizations: one per (client, resource), naming the gateway through which it goes. They are what a
 * gateway's `init` lists, so they outlive the portal's process when there is a store.
 *
 * A client doesn't notice that a grant is gone. One that ended is therefore kept on a second list until the client asks
 * for the resource again or is another process: a client that was away when its grant ended, or whose portal was killed
 * before it could say so, is told when it comes back.
 */
import type { Id } from "../../../portal/types.ts";

export interface Grant {
  readonly clientId: Id;
  readonly resourceId: Id;
  readonly gatewayId: Id;
  /** Base64 keys of the processes that it is between: another key is another process, which knows nothing of this. */
  readonly clientKey: string;
  readonly gatewayKey: string;
  /** Hashes of the tokens with which both ends had logged in: a removed token takes its grants along. */
  readonly clientToken: string;
  readonly gatewayToken: string;
  /** By which it was granted. */
  readonly policyId: Id;
  /** What the resource was when it was granted; a grant doesn't survive a change of it. */
  readonly target: string;
  /** Unix seconds. */
  readonly expiresAt: number;
  /** The gateway confirmed it, hence the client was told. */
  readonly confirmed: boolean;
  /** It allows nothing any more; kept for the sake of the client. */
  readonly ended: boolean;
}

type ByResource = Map<Id, Grant>;

export class Grants {
  readonly #live = new Map<Id, ByResource>();
  readonly #ended = new Map<Id, ByResource>();
  readonly #byGateway = new Map<Id, Set<Grant>>();
  /** No live grant expires before; Unix seconds. */
  #earliest = Infinity;

  constructor(stored: readonly Grant[]) {
    for (const grant of stored) this.set(grant);
  }

  get(clientId: Id, resourceId: Id): Grant | undefined {
    return this.#live.get(clientId)?.get(resourceId);
  }

  /** Number of grants that go through a gateway. */
  countOf(gatewayId: Id): number {
    return this.#byGateway.get(gatewayId)?.size ?? 0;
  }

  /** Takes the place of whatever there is for this client and resource. */
  set(grant: Grant): void {
    const { clientId, resourceId, gatewayId } = grant;
    this.delete(clientId, resourceId);
    insert(grant.ended ? this.#ended : this.#live, grant);
    if (grant.ended) return;
    const through = this.#byGateway.get(gatewayId);
    if (through) through.add(grant);
    else this.#byGateway.set(gatewayId, new Set([grant]));
    this.#earliest = Math.min(this.#earliest, grant.expiresAt);
  }

  delete(clientId: Id, resourceId: Id): void {
    remove(this.#ended, clientId, resourceId);
    const grant = remove(this.#live, clientId, resourceId);
    const through = grant && this.#byGateway.get(grant.gatewayId);
    if (through?.delete(grant!) && through.size === 0) this.#byGateway.delete(grant!.gatewayId);
  }

  /** All that allow something; safe to delete from while iterating. */
  *all(): IterableIterator<Grant> {
    for (const resources of this.#live.values()) yield* resources.values();
  }

  *ended(): IterableIterator<Grant> {
    for (const resources of this.#ended.values()) yield* resources.values();
  }

  ofClient(clientId: Id): Grant[] {
    return [...this.#live.get(clientId)?.values() ?? []];
  }

  endedOf(clientId: Id): Grant[] {
    return [...this.#ended.get(clientId)?.values() ?? []];
  }

  ofGateway(gatewayId: Id): Grant[] {
    return [...this.#byGateway.get(gatewayId) ?? []];
  }

  /** Gateways that any grant goes through. */
  gatewayIds(): Id[] {
    return [...this.#byGateway.keys()];
  }

  /** Any one grant between the two, if they have business with each other. */
  between(clientId: Id, gatewayId: Id): Grant | undefined {
    for (const grant of this.#live.get(clientId)?.values() ?? []) {
      if (grant.gatewayId === gatewayId) return grant;
    }
    return undefined;
  }

  /** Those that have run out. Costs nothing as long as none has. */
  expired(unixNow: number): Grant[] {
    if (unixNow < this.#earliest) return [];
    const expired: Grant[] = [];
    this.#earliest = Infinity;
    for (const grant of this.all()) {
      if (grant.expiresAt <= unixNow) expired.push(grant);
      else this.#earliest = Math.min(this.#earliest, grant.expiresAt);
    }
    return expired;
  }
}

function insert(map: Map<Id, ByResource>, grant: Grant): void {
  const resources = map.get(grant.clientId);
  if (resources) resources.set(grant.resourceId, grant);
  else map.set(grant.clientId, new Map([[grant.resourceId, grant]]));
}

function remove(map: Map<Id, ByResource>, clientId: Id, resourceId: Id): Grant | undefined {
  const resources = map.get(clientId), grant = resources?.get(resourceId);
  if (resources?.delete(resourceId) && resources.size === 0) map.delete(clientId);
  return grant;
}
