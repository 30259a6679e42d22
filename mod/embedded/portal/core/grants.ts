/**
 * Standing authorizations: one per (client, resource), naming the gateway through which it goes. They are what a
 * gateway's `init` lists, so they outlive the portal's process when there is a store.
 */
import type { Id } from "../../../portal/types.ts";

export interface Grant {
  readonly clientId: Id;
  readonly resourceId: Id;
  readonly gatewayId: Id;
  /** Base64 key of the client process that asked: another key is another process, which knows nothing of this. */
  readonly clientKey: string;
  /** Hashes of the tokens with which both ends had logged in: a removed token takes its grants along. */
  readonly clientToken: string;
  readonly gatewayToken: string;
  /** By which it was granted. */
  readonly policyId: Id;
  /** What the resource was when it was granted; a grant doesn't survive a change of it. */
  readonly target: string;
  readonly expiresAt: number;
  /** The gateway confirmed it, hence the client was told. */
  readonly confirmed: boolean;
}

export class Grants {
  readonly #byClient = new Map<Id, Map<Id, Grant>>();
  readonly #countByGateway = new Map<Id, number>();

  constructor(stored: readonly Grant[]) {
    for (const grant of stored) this.set(grant);
  }

  get(clientId: Id, resourceId: Id): Grant | undefined {
    return this.#byClient.get(clientId)?.get(resourceId);
  }

  /** Number of grants that go through a gateway. */
  countOf(gatewayId: Id): number {
    return this.#countByGateway.get(gatewayId) ?? 0;
  }

  set(grant: Grant): void {
    this.delete(grant.clientId, grant.resourceId);
    this.#count(grant.gatewayId, 1);
    let resources = this.#byClient.get(grant.clientId);
    if (!resources) this.#byClient.set(grant.clientId, resources = new Map());
    resources.set(grant.resourceId, grant);
  }

  delete(clientId: Id, resourceId: Id): void {
    const resources = this.#byClient.get(clientId);
    const grant = resources?.get(resourceId);
    if (!resources || !grant) return;
    this.#count(grant.gatewayId, -1);
    resources.delete(resourceId);
    if (resources.size === 0) this.#byClient.delete(clientId);
  }

  /** All of them; safe to delete from while iterating. */
  *all(): IterableIterator<Grant> {
    for (const resources of this.#byClient.values()) yield* resources.values();
  }

  ofClient(clientId: Id): Grant[] {
    return [...this.#byClient.get(clientId)?.values() ?? []];
  }

  ofGateway(gatewayId: Id): Grant[] {
    return [...this.all()].filter((grant) => grant.gatewayId === gatewayId);
  }

  /** True when the two have any business with each other. */
  connects(clientId: Id, gatewayId: Id): boolean {
    for (const grant of this.#byClient.get(clientId)?.values() ?? []) {
      if (grant.gatewayId === gatewayId) return true;
    }
    return false;
  }

  #count(gatewayId: Id, change: number): void {
    const count = this.countOf(gatewayId) + change;
    if (count === 0) this.#countByGateway.delete(gatewayId);
    else this.#countByGateway.set(gatewayId, count);
  }
}
