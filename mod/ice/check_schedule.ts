/**
 * When the next connectivity check of one pair is due, and whether the pair has been silent for too long
 * (snownet §2.8).
 *
 * Each check is a transaction of its own; the last `maxAttempts` are remembered. The due time is computed after each
 * check, answer or change of timing. While answers come, the gap grows with the number of remembered checks up to
 * `maxRto`. Once checks stay unanswered for more than `maxRto / 2`, the gap is that of a row starting with the first
 * unanswered one: a few quick tries, then slowly again.
 */
import { checkGap, type IceTiming } from "./timing.ts";

export interface Attempt {
  /** `transactionKey` of the check. */
  readonly key: string;
  readonly sentAt: number;
  /** The role the check claimed. */
  readonly controlling: boolean;
  /** The check carried USE-CANDIDATE. */
  readonly nominating: boolean;
  answered: boolean;
}

export class CheckSchedule {
  #attempts: Attempt[] = [];
  #due = 0;
  #expedited = true;

  /** Absolute ms of the next check (or of the pair's end), undefined when it is due at once. */
  get due(): number | undefined {
    return this.#expedited ? undefined : this.#due;
  }

  get lastSentAt(): number | undefined {
    return this.#attempts.at(-1)?.sentAt;
  }

  /** Number of checks since the last one that was answered. */
  get unanswered(): number {
    let count = 0;
    while (count < this.#attempts.length && !this.#attempts[this.#attempts.length - 1 - count]!.answered) {
      count++;
    }
    return count;
  }

  /** Makes the next check due at once, whatever is answered or retimed before it is sent. */
  expedite(): void {
    this.#expedited = true;
  }

  /** Starts over with a quick row of checks; what the earlier ones have shown, and late answers to them, no longer count. */
  restart(): void {
    this.#attempts = [];
    this.#expedited = true;
  }

  record(attempt: Attempt, timing: IceTiming): void {
    this.#attempts.push(attempt);
    this.#expedited = false;
    this.retime(timing, attempt.sentAt);
  }

  find(key: string): Attempt | undefined {
    return this.#attempts.findLast((attempt) => attempt.key === key);
  }

  answer(attempt: Attempt, timing: IceTiming, now: number): void {
    attempt.answered = true;
    this.retime(timing, now);
  }

  /** Computes the due time anew. */
  retime(timing: IceTiming, now: number): void {
    if (this.#attempts.length > timing.maxAttempts) {
      this.#attempts = this.#attempts.slice(-timing.maxAttempts);
    }
    const last = this.#attempts.at(-1);
    if (!last) return;
    const unanswered = this.unanswered;
    const silentFor = unanswered === 0 ? 0 : now - this.#attempts.at(-unanswered)!.sentAt;
    const row = silentFor > timing.maxRto / 2 ? unanswered : this.#attempts.length;
    this.#due = last.sentAt + checkGap(timing, row);
  }

  /** True when the last `maxAttempts` checks went unanswered and the gap behind the last one is over. */
  isExhausted(timing: IceTiming, now: number): boolean {
    return this.unanswered >= timing.maxAttempts &&
      now >= this.lastSentAt! + checkGap(timing, timing.maxAttempts);
  }
}
