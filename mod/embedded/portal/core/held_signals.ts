/**
 * Candidates for a device whose connection to the portal is down for a moment. No device announces a candidate twice,
 * so one that is lost here is lost for good: it waits, with the last word about each candidate, until the receiver is
 * back. What it is told then is only of use to the processes that the candidates were meant for and came from, which
 * the keys tell.
 */
import { candidateKey, type Signal, type SignalKind } from "../../../portal/candidate_outbox.ts";
import type { Id } from "../../../portal/types.ts";

/** Longer than a device's longest pause between two attempts to reconnect. */
export const HOLD_TIME = 120_000;
const MAX_PER_PAIR = 64;
const MAX_HELD = 20_000;

/** One process of a device. */
export interface Party {
  readonly id: Id;
  readonly publicKey: string;
}

interface Held {
  readonly from: Party;
  readonly to: Party;
  readonly since: number;
  readonly words: Map<string, { readonly kind: SignalKind; readonly text: string }>;
}

export class HeldSignals {
  /** By receiver, then by sender, the oldest pair first. */
  readonly #held = new Map<Id, Map<Id, Held>>();
  #count = 0;

  hold(from: Party, to: Party, kind: SignalKind, candidates: readonly string[], now: number): void {
    const held = this.#pair(from, to, now);
    for (const text of candidates) {
      const key = candidateKey(text);
      if (held.words.delete(key)) this.#count--;
      held.words.set(key, { kind, text });
      this.#count++;
      if (held.words.size <= MAX_PER_PAIR) continue;
      held.words.delete(held.words.keys().next().value!);
      this.#count--;
    }
    this.#makeRoom();
  }

  /** What waits for a receiver that is back; additions first. Signals name the sender. */
  take(receiver: Party, now: number): (Signal & { readonly from: Party })[] {
    const pairs = [...this.#held.get(receiver.id)?.values() ?? []];
    for (const held of pairs) this.#forget(held);
    return pairs
      .filter(({ to, since }) => to.publicKey === receiver.publicKey && now - since < HOLD_TIME)
      .flatMap(({ from, words }) =>
        (["add", "remove"] as const).flatMap((kind) => {
          const candidates = [...words.values()].filter((one) => one.kind === kind).map((one) => one.text);
          return candidates.length === 0 ? [] : [{ peerId: from.id, from, kind, candidates }];
        })
      );
  }

  handleTimeout(now: number): void {
    for (const senders of this.#held.values()) {
      for (const held of senders.values()) if (now - held.since >= HOLD_TIME) this.#forget(held);
    }
  }

  #pair(from: Party, to: Party, now: number): Held {
    const known = this.#held.get(to.id)?.get(from.id);
    if (known?.from.publicKey === from.publicKey && known.to.publicKey === to.publicKey) return known;
    if (known) this.#forget(known);
    const fresh = { from, to, since: now, words: new Map() };
    const senders = this.#held.get(to.id);
    if (senders) senders.set(from.id, fresh);
    else this.#held.set(to.id, new Map([[from.id, fresh]]));
    return fresh;
  }

  #makeRoom(): void {
    while (this.#count > MAX_HELD) {
      const [senders] = this.#held.values();
      const [oldest] = senders!.values();
      this.#forget(oldest!);
    }
  }

  #forget({ from, to, words }: Held): void {
    const senders = this.#held.get(to.id);
    if (!senders?.delete(from.id)) return;
    this.#count -= words.size;
    if (senders.size === 0) this.#held.delete(to.id);
  }
}
