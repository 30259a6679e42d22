/**
 * Lets few through at a time. Hashing a password takes memory and a processor's full attention on purpose; so that a
 * thousand attempts at once can't eat the process, some run, some wait, and the rest is told to come back.
 */
export interface TurnstileLimits {
  readonly running: number;
  readonly waiting: number;
}

export class Turnstile {
  readonly #limits: TurnstileLimits;
  readonly #queue: (() => void)[] = [];
  #running = 0;

  constructor(limits: TurnstileLimits) {
    this.#limits = limits;
  }

  /** @returns undefined, and does nothing, when too many wait already */
  async pass<T>(work: () => Promise<T>): Promise<T | undefined> {
    if (this.#running >= this.#limits.running) {
      if (this.#queue.length >= this.#limits.waiting) return undefined;
      await new Promise<void>((resolve) => this.#queue.push(resolve));
    } else {
      this.#running++;
    }
    try {
      return await work();
    } finally {
      // Whoever waits takes the place over.
      const next = this.#queue.shift();
      if (next) next();
      else this.#running--;
    }
  }
}
