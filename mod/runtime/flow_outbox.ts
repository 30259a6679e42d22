/**
 * Flow records from the data thread to the control thread: rendered as text, in batches, at most so many on the way.
 *
 * The control thread says in shared memory how many it has dealt with (written or given up). While too many are on
 * the way nothing is posted; then the tracker's own queue fills, and what it can't hold is lost and counted there.
 * Packets never wait for a sink.
 */
import { type FlowTracker, renderRecord } from "../flows/mod.ts";
import type { FromData } from "./messages.ts";

/** Counter of records that the control thread could not write; registered by the data thread, as all are. */
export const FLOW_RECORDS_UNWRITTEN = "flow_records_unwritten";

/** Records on the way, some five megabytes of text. */
const MAX_ON_THE_WAY = 16_384;

/** How many records the control thread has dealt with; shared by both threads. */
export class FlowReceipt {
  readonly #dealtWith: Int32Array;

  constructor(readonly buffer: SharedArrayBuffer = new SharedArrayBuffer(4)) {
    this.#dealtWith = new Int32Array(buffer);
  }

  add(records: number): void {
    Atomics.add(this.#dealtWith, 0, records);
  }

  get count(): number {
    return Atomics.load(this.#dealtWith, 0);
  }
}

/** The data thread's side. */
export class FlowOutbox {
  readonly #tracker: FlowTracker;
  readonly #receipt: FlowReceipt;
  readonly #post: (message: FromData) => void;
  #posted = 0;

  constructor(tracker: FlowTracker, receipt: FlowReceipt, post: (message: FromData) => void) {
    this.#tracker = tracker;
    this.#receipt = receipt;
    this.#post = post;
  }

  /** Posts a batch if there is one. */
  flush(): void {
    // Both wrap around at 2^31; so does their difference.
    if (((this.#posted - this.#receipt.count) | 0) >= MAX_ON_THE_WAY) return;
    this.#postBatch();
  }

  /** Posts everything there is, after the tracker's shutdown. */
  flushAll(): void {
    while (this.#postBatch());
  }

  #postBatch(): boolean {
    const batch = this.#tracker.pollRecords();
    if (batch === undefined) return false;
    let lines = "";
    for (const record of batch) lines += renderRecord(record);
    this.#posted = (this.#posted + batch.length) | 0;
    this.#post({ type: "flows", lines, records: batch.length });
    return true;
  }
}
