/**
 * Where flow records go: a file that grows, or stdout. Writes are asynchronous and never waited for; what can't be
 * written (a full disk) is counted, and said in a line of its own as soon as one can be written again.
 */
import { renderRecord } from "../flows/mod.ts";

const NEWLINE = 10;

/** What the sink writes to. */
export interface Target {
  /** Resolves with the number of bytes taken. */
  write(bytes: Uint8Array): Promise<number>;
  close(): void;
}

export interface SinkListener {
  /** So many records are dealt with: written, or given up. */
  onDone(records: number): void;
  /** So many of them were given up. */
  onLost(records: number, reason: string): void;
}

/**
 * @param destination a path, or "stdout". A file is appended to; a new one is readable by its owner only, since
 *   records tell who visits what.
 * @throws Error with a readable message when the file can't be opened.
 */
export async function openTarget(destination: string): Promise<Target> {
  if (destination === "stdout") {
    return { write: (bytes) => Deno.stdout.write(bytes), close: () => {} };
  }
  try {
    // A named pipe without a reader must not hold up the start: opened for reading too, it never waits.
    return await Deno.open(destination, { create: true, append: true, read: true, mode: 0o600 });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(`Cannot write flow records to ${destination}: ${reason}. Check --flow-logs.`);
  }
}

export class FlowSink {
  readonly #target: Target;
  readonly #listener: SinkListener;
  readonly #encoder = new TextEncoder();
  #waiting: { lines: string; records: number }[] = [];
  #writing: Promise<void> | undefined;
  #lost = 0;
  /** The last line was cut off: the next begins on a line of its own. */
  #isTorn = false;

  constructor(target: Target, listener: SinkListener) {
    this.#target = target;
    this.#listener = listener;
  }

  /** Queues complete lines, one per record. */
  write(lines: string, records: number): void {
    this.#waiting.push({ lines, records });
    this.#writing ??= this.#writeAll();
  }

  /** Waits for what is queued, at most `timeoutMs`, and closes the target. */
  async close(timeoutMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, timeoutMs);
    await Promise.race([this.#writing, promise]);
    clearTimeout(timer);
    this.#target.close();
  }

  async #writeAll(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batches = this.#waiting;
      this.#waiting = [];
      const records = batches.reduce((sum, batch) => sum + batch.records, 0);
      const reason = await this.#writeText(
        this.#prelude() + batches.map(({ lines }) => lines).join(""),
        records,
      );
      if (reason !== undefined) this.#listener.onLost(reason.records, reason.text);
      this.#listener.onDone(records);
    }
    this.#writing = undefined;
  }

  /** What must stand before the next record after a failure. */
  #prelude(): string {
    const start = this.#isTorn ? "\n" : "";
    if (this.#lost === 0) return start;
    const time = new Date().toISOString();
    return start + renderRecord({ record: "lost", time, records: this.#lost, untracked_packets: 0 });
  }

  /** Undefined when all is written; else why not, and how many records are lost by it. */
  async #writeText(text: string, records: number): Promise<{ records: number; text: string } | undefined> {
    const bytes = this.#encoder.encode(text);
    let done = 0;
    try {
      while (done < bytes.length) done += await this.#target.write(bytes.subarray(done));
      this.#lost = 0;
      this.#isTorn = false;
      return undefined;
    } catch (error) {
      // A line is written when its end is. A line about earlier losses is the first; then those are told.
      const complete = bytes.subarray(0, done).filter((byte) => byte === NEWLINE).length;
      const prelude = (this.#isTorn ? 1 : 0) + (this.#lost > 0 ? 1 : 0);
      const missing = records - Math.max(0, complete - prelude);
      this.#lost = (complete >= prelude ? 0 : this.#lost) + missing;
      if (done > 0) this.#isTorn = bytes[done - 1] !== NEWLINE;
      return { records: missing, text: error instanceof Error ? error.message : String(error) };
    }
  }
}
