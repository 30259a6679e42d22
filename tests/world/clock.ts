/** Virtual time: a heap of events in order of time, then of scheduling. Ms, monotonic. */

interface Event {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
}

export class Clock {
  #now: number;
  #order = 0;
  readonly #heap: Event[] = [];

  constructor(start: number) {
    this.#now = start;
  }

  get now(): number {
    return this.#now;
  }

  /** Time of the next event; undefined when nothing is scheduled. */
  get next(): number | undefined {
    return this.#heap[0]?.at;
  }

  /** Runs `run` at `time`, or now when that has passed. */
  at(time: number, run: () => void): void {
    const event = { at: Math.max(time, this.#now), order: this.#order++, run };
    const heap = this.#heap;
    let i = heap.push(event) - 1;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (!before(event, heap[parent]!)) break;
      heap[i] = heap[parent]!;
      i = parent;
    }
    heap[i] = event;
  }

  /** Goes to the next event and runs it; the caller has looked at {@link next}. */
  step(): void {
    const event = this.#pop();
    if (!event) return;
    this.#now = event.at;
    event.run();
  }

  /** Lets time pass without events. */
  advanceTo(time: number): void {
    this.#now = Math.max(this.#now, time);
  }

  #pop(): Event | undefined {
    const heap = this.#heap;
    const top = heap[0], last = heap.pop();
    if (heap.length === 0 || !last) return top;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child++;
      if (!before(heap[child]!, last)) break;
      heap[i] = heap[child]!;
      i = child;
    }
    heap[i] = last;
    return top;
  }
}

function before(a: Event, b: Event): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}
