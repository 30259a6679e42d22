/**
 * ICE candidates on their way to peers, held back while they can't or mustn't be sent.
 *
 * - While the link is down, what is added and removed collapses per candidate (the last word counts) and leaves
 *   after the next join: a candidate lost on the way is never announced again.
 * - A peer knows us only once it has the portal's grant, and the portal grants when we confirm: between an
 *   authorization and its confirmation the candidates for that peer wait (spec portal §4.1).
 *
 * Removal strings may differ from the announced ones in priority and foundation, so candidates are told apart by
 * address, kind and related address (spec snownet §2.4).
 */

/** How long an unconfirmed authorization may hold candidates back. The owner may rightly never confirm. */
export const CONFIRMATION_TIMEOUT = 2_000;
/** More candidates than this for one peer are a long outage's refuse: the oldest go. */
export const MAX_HELD = 128;

export type SignalKind = "add" | "remove";

export interface Signal {
  readonly peerId: string;
  readonly kind: SignalKind;
  readonly candidates: readonly string[];
}

interface Held {
  readonly kind: SignalKind;
  readonly text: string;
}

interface Unconfirmed {
  readonly ref: string;
  readonly until: number;
}

export class CandidateOutbox {
  readonly #held = new Map<string, Map<string, Held>>();
  readonly #unconfirmed = new Map<string, Unconfirmed>();
  #open = false;

  /** The link is up: what was held leaves. */
  open(): Signal[] {
    this.#open = true;
    return [...this.#held.keys()].flatMap((peerId) => this.#release(peerId));
  }

  /** The link is down: authorizations that were not confirmed never will be. */
  close(): void {
    this.#open = false;
    this.#unconfirmed.clear();
  }

  /** Takes candidates for a peer; returns what may leave now. */
  push(signal: Signal): Signal[] {
    if (this.#open && !this.#unconfirmed.has(signal.peerId) && !this.#held.has(signal.peerId)) {
      return [signal];
    }
    const held = this.#held.get(signal.peerId) ?? new Map<string, Held>();
    this.#held.set(signal.peerId, held);
    for (const text of signal.candidates) {
      const key = candidateKey(text);
      held.delete(key);
      held.set(key, { kind: signal.kind, text });
      if (held.size > MAX_HELD) held.delete(held.keys().next().value!);
    }
    return this.#release(signal.peerId);
  }

  /** An authorization for this peer arrived: hold its candidates until `ref` is confirmed. */
  awaitConfirmation(peerId: string, ref: string, now: number): void {
    this.#unconfirmed.set(peerId, { ref, until: now + CONFIRMATION_TIMEOUT });
  }

  /** The confirmation of `ref` has left. */
  confirm(ref: string): Signal[] {
    for (const [peerId, waiting] of this.#unconfirmed) {
      if (waiting.ref !== ref) continue;
      this.#unconfirmed.delete(peerId);
      return this.#release(peerId);
    }
    return [];
  }

  handleTimeout(now: number): Signal[] {
    const released: Signal[] = [];
    for (const [peerId, waiting] of this.#unconfirmed) {
      if (now < waiting.until) continue;
      this.#unconfirmed.delete(peerId);
      released.push(...this.#release(peerId));
    }
    return released;
  }

  pollTimeout(): number | undefined {
    let earliest: number | undefined;
    for (const { until } of this.#unconfirmed.values()) earliest = Math.min(earliest ?? until, until);
    return earliest;
  }

  /** New candidates first, so that a peer never stands without any. */
  #release(peerId: string): Signal[] {
    const held = this.#held.get(peerId);
    if (!held || !this.#open || this.#unconfirmed.has(peerId)) return [];
    this.#held.delete(peerId);
    return (["add", "remove"] as const).flatMap((kind) => {
      const candidates = [...held.values()].filter((one) => one.kind === kind).map((one) => one.text);
      return candidates.length === 0 ? [] : [{ peerId, kind, candidates }];
    });
  }
}

/** `ip port kind raddr` of a candidate string; the whole text when it has another shape. */
export function candidateKey(text: string): string {
  const words = text.split(" ");
  if (words.length < 8 || words[6] !== "typ") return text;
  const raddr = words.indexOf("raddr", 8);
  return [words[4], words[5], words[7], raddr < 0 ? "" : words[raddr + 1]].join(" ");
}
