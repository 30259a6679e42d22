/**
 * Records on their way out, at most so many: a reader that falls behind costs records, never memory or packets.
 * What was lost is said in a record of its own, at the place where it is missing.
 */
import type { FlowRecord } from "./record.ts";

/** Enough to be worth a message of its own. */
const FULL_BATCH = 64;
export const MAX_BATCH = 256;

export class RecordQueue {
  readonly #limit: number;
  readonly #unixNow: () => number;
  #records: FlowRecord[] = [];
  #lost = 0;
  #untracked = 0;
  #isDue = false;

  /** @param limit records that may wait. @param unixNow Unix milliseconds. */
  constructor(limit: number, unixNow: () => number) {
    this.#limit = limit;
    this.#unixNow = unixNow;
  }

  /** Records that wait, and losses that have not been told. */
  get isEmpty(): boolean {
    return this.#records.length === 0 && this.#lost === 0 && this.#untracked === 0;
  }

  /** Puts a record at the end; `force` means whatever the limit. False: there was no room, it is lost. */
  push(record: FlowRecord, force: boolean): boolean {
    if (!force && this.#records.length >= this.#limit) {
      this.#lost++;
      return false;
    }
    if (this.#lost > 0 || this.#untracked > 0) this.#tellLoss();
    this.#records.push(record);
    return true;
  }

  /** A packet of a flow that is not followed. */
  noteUntracked(packets: number): void {
    this.#untracked += packets;
  }

  /** What waits has waited long enough, however little it is. */
  release(): void {
    this.#isDue = !this.isEmpty;
  }

  /** The oldest records, once they are enough for a batch or {@link release} was called; else undefined. */
  take(): FlowRecord[] | undefined {
    if (!this.#isDue && this.#records.length < FULL_BATCH) return undefined;
    const batch = this.#records.splice(0, MAX_BATCH);
    // Here, behind everything that came before the loss, and before anything that comes after it.
    if (this.#records.length === 0 && (this.#lost > 0 || this.#untracked > 0)) this.#tellLoss();
    this.#isDue &&= this.#records.length > 0;
    return batch.length > 0 ? batch : undefined;
  }

  #tellLoss(): void {
    this.#records.push({
      record: "lost",
      time: new Date(this.#unixNow()).toISOString(),
      records: this.#lost,
      untracked_packets: this.#untracked,
    });
    this.#lost = this.#untracked = 0;
  }
}
