/**
 * Counters of the packet path: fields of one typed array in shared memory, so that counting is one store and
 * another thread can read them on scrape. A mechanism registers its names at start and keeps the indices.
 */
export class Counters {
  static readonly CAPACITY = 512;
  readonly values: Float64Array<ArrayBufferLike>;
  readonly #names: string[] = [];

  constructor(buffer: ArrayBufferLike = new SharedArrayBuffer(Counters.CAPACITY * 8)) {
    this.values = new Float64Array(buffer);
  }

  /** Index of the counter called `name` (snake_case; registered once, the same index afterwards). */
  register(name: string): number {
    const known = this.#names.indexOf(name);
    if (known >= 0) return known;
    if (this.#names.length >= Counters.CAPACITY) {
      throw new RangeError(`Cannot register counter ${name}: table full.`);
    }
    return this.#names.push(name) - 1;
  }

  add(index: number, amount = 1): void {
    this.values[index]! += amount;
  }

  get names(): readonly string[] {
    return this.#names;
  }

  /** Value by name; 0 when it was never registered. For tests and scrapes. */
  get(name: string): number {
    const index = this.#names.indexOf(name);
    return index < 0 ? 0 : this.values[index]!;
  }
}
