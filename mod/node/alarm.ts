/**
 * The alarm clock of many sleepers (connections): who wants to be driven next, and when. A binary heap in which every
 * sleeper knows its own place, so that asking costs nothing and setting costs log n: the packet path asks several
 * times per batch, and a thousand idle connections mean some hundred wake-ups a second, none of which may look at all.
 */
export interface Sleeper {
  /** Absolute ms; undefined = wants nothing. Whoever changes it calls {@link Alarm.set}. */
  readonly wakeAt: number | undefined;
  /** The alarm's own: place in the heap, -1 = not in it. */
  alarmSlot: number;
}

export class Alarm<S extends Sleeper> {
  readonly #heap: S[] = [];
  /** `wakeAt` of the sleeper in the same place. */
  readonly #times: number[] = [];

  /** The earliest wake-up, absolute ms; Infinity = nobody wants anything. */
  get at(): number {
    return this.#times[0] ?? Infinity;
  }

  get size(): number {
    return this.#heap.length;
  }

  /** Takes over a sleeper's `wakeAt`, whether it is new here, has changed it, or wants nothing any more. */
  set(sleeper: S): void {
    const { wakeAt, alarmSlot } = sleeper;
    if (wakeAt === undefined) return this.remove(sleeper);
    const slot = alarmSlot < 0 ? this.#heap.length : alarmSlot;
    if (alarmSlot >= 0 && this.#times[slot] === wakeAt) return;
    this.#place(slot, sleeper, wakeAt);
    this.#settle(slot);
  }

  /** Does nothing when it is not here. */
  remove(sleeper: S): void {
    const slot = sleeper.alarmSlot;
    if (slot < 0) return;
    sleeper.alarmSlot = -1;
    const last = this.#heap.pop()!, time = this.#times.pop()!;
    if (last === sleeper) return;
    this.#place(slot, last, time);
    this.#settle(slot);
  }

  /** Who has waited longest of those that are due; it stays until its `wakeAt` is changed. */
  due(now: number): S | undefined {
    return this.at <= now ? this.#heap[0] : undefined;
  }

  #place(slot: number, sleeper: S, time: number): void {
    this.#heap[slot] = sleeper;
    this.#times[slot] = time;
    sleeper.alarmSlot = slot;
  }

  /** Moves what is in `slot` up or down to where it belongs. */
  #settle(slot: number): void {
    const sleeper = this.#heap[slot]!, time = this.#times[slot]!;
    while (slot > 0) {
      const parent = (slot - 1) >>> 1;
      if (this.#times[parent]! <= time) break;
      this.#place(slot, this.#heap[parent]!, this.#times[parent]!);
      slot = parent;
    }
    for (;;) {
      let child = 2 * slot + 1;
      if (child >= this.#heap.length) break;
      if (child + 1 < this.#heap.length && this.#times[child + 1]! < this.#times[child]!) child++;
      if (this.#times[child]! >= time) break;
      this.#place(slot, this.#heap[child]!, this.#times[child]!);
      slot = child;
    }
    this.#place(slot, sleeper, time);
  }
}
