/**
 * Offers of clients older than 1.4 that wait until the name they are about is resolved (spec portal §3.2.8). Of one
 * client and resource the last offer counts, and a revocation that comes meanwhile ends the waiting.
 */
import type { AccessOffer, ConnectionOffer, Id } from "../portal/types.ts";

export type Offer = AccessOffer | ConnectionOffer;

/** Of all clients together; more are dropped, the clients ask again. */
const MAX_PENDING = 1000;

export class PendingOffers {
  /** By client and resource. */
  readonly #offers = new Map<string, { readonly domain: string; readonly offer: Offer }>();

  /** False: there is no room. */
  add(domain: string, offer: Offer): boolean {
    const key = keyOf(offer.client.id, offer.resource.id);
    if (this.#offers.size >= MAX_PENDING && !this.#offers.has(key)) return false;
    this.#offers.delete(key);
    this.#offers.set(key, { domain: domain.toLowerCase(), offer });
    return true;
  }

  /** Those that wait for this name, in the order in which they came; they wait no longer. */
  take(domain: string): Offer[] {
    const name = domain.toLowerCase();
    const ready: Offer[] = [];
    for (const [key, waiting] of this.#offers) {
      if (waiting.domain !== name) continue;
      this.#offers.delete(key);
      ready.push(waiting.offer);
    }
    return ready;
  }

  withdraw(clientId: Id, resourceId: Id): void {
    this.#offers.delete(keyOf(clientId, resourceId));
  }

  /** Withdraws all but those of these pairs. */
  keepOnly(pairs: readonly { readonly clientId: Id; readonly resourceId: Id }[]): void {
    if (this.#offers.size === 0) return;
    const kept = new Set(pairs.map(({ clientId, resourceId }) => keyOf(clientId, resourceId)));
    for (const key of [...this.#offers.keys()]) if (!kept.has(key)) this.#offers.delete(key);
  }
}

function keyOf(clientId: Id, resourceId: Id): string {
  return `${clientId} ${resourceId}`;
}
