/** Addresses of names for as long as their records say (spec policy §5.5 [H]); the least recently used go first. */

const MAX_ENTRIES = 512;
const MIN_TTL = 1000;
const MAX_TTL = 86_400_000;
/** How long after its end an entry may still stand in when no nameserver answers (RFC 8767 §4). */
const MAX_STALE = 3_600_000;

interface Entry {
  readonly addresses: readonly Uint8Array[];
  readonly expiresAt: number;
}

export class NameCache {
  readonly #entries = new Map<string, Entry>();

  get size(): number {
    return this.#entries.size;
  }

  /** @param ttl milliseconds; a second at least. */
  set(name: string, addresses: readonly Uint8Array[], ttl: number, now: number): void {
    this.#entries.delete(name);
    if (this.#entries.size >= MAX_ENTRIES) this.#entries.delete(this.#entries.keys().next().value!);
    const expiresAt = now + Math.min(Math.max(ttl, MIN_TTL), MAX_TTL);
    this.#entries.set(name, { addresses, expiresAt });
  }

  fresh(name: string, now: number): readonly Uint8Array[] | undefined {
    const entry = this.#entries.get(name);
    if (!entry || now >= entry.expiresAt) return undefined;
    this.#entries.delete(name);
    this.#entries.set(name, entry);
    return entry.addresses;
  }

  /** What was true before, for when nobody answers. */
  stale(name: string, now: number): readonly Uint8Array[] | undefined {
    const entry = this.#entries.get(name);
    return entry && now < entry.expiresAt + MAX_STALE ? entry.addresses : undefined;
  }
}
