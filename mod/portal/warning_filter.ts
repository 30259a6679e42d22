/**
 * Warnings about what a portal says, each once an hour: the same relay that can't be read comes again with every
 * `init`. A portal that thinks of ever new ones gets so many an hour, and then silence.
 */
const FORGET_AFTER = 3_600_000;
export const MAX_WARNINGS = 64;

export class WarningFilter {
  /** When each was passed on, the oldest first. */
  readonly #passed = new Map<string, number>();
  #hasSaidSo = false;

  /** The warning to pass on, if any. `now` is monotonic milliseconds. */
  pass(text: string, now: number): string | undefined {
    for (const [known, at] of this.#passed) {
      if (now - at < FORGET_AFTER) break;
      this.#passed.delete(known);
      this.#hasSaidSo = false;
    }
    if (this.#passed.has(text)) return undefined;
    if (this.#passed.size < MAX_WARNINGS) {
      this.#passed.set(text, now);
      return text;
    }
    if (this.#hasSaidSo) return undefined;
    this.#hasSaidSo = true;
    return "Further warnings about what the portal says are left out for up to an hour.";
  }
}
