/**
 * When to act on the kernel's news that this host's network has changed.
 *
 *     change ──► probe: where are we now? ──2 s without any relay's answer──► doubt everything
 *
 * A change is a dozen messages within some ms, of which the last ones matter; a router's routing daemon may have a
 * thousand a second for hours. So the first is acted on at once, further ones ever more seldom while they go on, and
 * after the last there is one act more. An unchanged address costs the probe and nothing else.
 */

/** Pauses between two probes in a row, doubling from the first to the last, ms. */
export const FIRST_PAUSE = 100, LAST_PAUSE = 1_000;
/** A new row of probes begins when there was none for so long, ms. */
const QUIET = 2_000;
/** How long after the first probe of a row, and after its last one, silence is a bad sign, ms. */
const SILENCE = 2_000, LAST_SILENCE = 1_000;
/** Least time between two doubts, ms. */
const DOUBT_INTERVAL = 10_000;

export class NetworkWatch {
  #hasChanged = false;
  #pause = FIRST_PAUSE;
  #probedAt = -Infinity;
  #verdictAt = Infinity;
  #doubtedAt = -Infinity;

  noteChange(): void {
    this.#hasChanged = true;
  }

  /** When there is something to do, absolute ms; Infinity: not by itself. */
  get dueAt(): number {
    return Math.min(this.#hasChanged ? this.#probedAt + this.#pause : Infinity, this.#verdictAt);
  }

  /** Since when an answer counts. */
  get probedAt(): number {
    return this.#probedAt;
  }

  /** True when it is time to conclude from the answers, or their absence; asked before {@link takeProbe}. */
  takeVerdict(now: number): boolean {
    if (this.#verdictAt > now) return false;
    const earliest = this.#probedAt + LAST_SILENCE;
    this.#verdictAt = earliest > now ? earliest : Infinity;
    return this.#verdictAt === Infinity;
  }

  /** The verdict was that nobody answers. */
  noteDoubt(now: number): void {
    this.#doubtedAt = now;
  }

  /** True when it is time to probe, on behalf of all changes so far. */
  takeProbe(now: number): boolean {
    if (!this.#hasChanged || this.#probedAt + this.#pause > now) return false;
    const isRow = now - this.#probedAt < QUIET;
    this.#pause = isRow ? Math.min(LAST_PAUSE, 2 * this.#pause) : FIRST_PAUSE;
    this.#probedAt = now;
    this.#hasChanged = false;
    if (this.#verdictAt === Infinity) {
      this.#verdictAt = Math.max(now + SILENCE, this.#doubtedAt + DOUBT_INTERVAL);
    }
    return true;
  }
}
