/**
 * A hash table from (number, address record) to a value, for the packet path: looks up by words where they lie,
 * without making a key. Open addressing with linear probing and backward-shift deletion, at most half full; the hash
 * is seeded, since clients choose what is stored.
 */
import { ADDRESS_RECORD_SIZE } from "../../packet/address.ts";

const RECORD_WORDS = ADDRESS_RECORD_SIZE / 4;
const KEY_WORDS = 1 + RECORD_WORDS;

export class AddressTable<T> {
  readonly #seed: number;
  #mask = 15;
  #keys = new Uint32Array(16 * KEY_WORDS);
  #values: (T | undefined)[] = new Array<T | undefined>(16).fill(undefined);
  #size = 0;

  /** @param seed u32, secret. */
  constructor(seed: number) {
    this.#seed = seed;
  }

  get size(): number {
    return this.#size;
  }

  /** The value of (`prefix`, the address record at words[at..at+5)), or undefined. */
  get(prefix: number, words: Uint32Array, at: number): T | undefined {
    const keys = this.#keys, values = this.#values, mask = this.#mask;
    for (let i = this.#hash(prefix, words, at) & mask;; i = (i + 1) & mask) {
      const value = values[i];
      if (value === undefined || equalKeys(keys, i * KEY_WORDS, prefix, words, at)) return value;
    }
  }

  set(prefix: number, words: Uint32Array, at: number, value: T): void {
    if ((this.#size + 1) * 2 > this.#mask) this.#grow();
    const keys = this.#keys, values = this.#values, mask = this.#mask;
    let i = this.#hash(prefix, words, at) & mask;
    while (values[i] !== undefined && !equalKeys(keys, i * KEY_WORDS, prefix, words, at)) i = (i + 1) & mask;
    if (values[i] === undefined) this.#size++;
    keys[i * KEY_WORDS] = prefix;
    for (let k = 0; k < RECORD_WORDS; k++) keys[i * KEY_WORDS + 1 + k] = words[at + k]!;
    values[i] = value;
  }

  delete(prefix: number, words: Uint32Array, at: number): void {
    const keys = this.#keys, values = this.#values, mask = this.#mask;
    let hole = this.#hash(prefix, words, at) & mask;
    while (!equalKeys(keys, hole * KEY_WORDS, prefix, words, at)) {
      if (values[hole] === undefined) return;
      hole = (hole + 1) & mask;
    }
    if (values[hole] === undefined) return;
    this.#size--;
    for (let i = (hole + 1) & mask; values[i] !== undefined; i = (i + 1) & mask) {
      const home = this.#hash(keys[i * KEY_WORDS]!, keys, i * KEY_WORDS + 1) & mask;
      // Entry i may fill the hole unless its home lies cyclically behind it.
      if (((i - home) & mask) < ((i - hole) & mask)) continue;
      keys.copyWithin(hole * KEY_WORDS, i * KEY_WORDS, (i + 1) * KEY_WORDS);
      values[hole] = values[i];
      hole = i;
    }
    values[hole] = undefined;
  }

  #grow(): void {
    const keys = this.#keys, values = this.#values;
    const capacity = 2 * (this.#mask + 1);
    this.#mask = capacity - 1;
    this.#keys = new Uint32Array(capacity * KEY_WORDS);
    this.#values = new Array<T | undefined>(capacity).fill(undefined);
    this.#size = 0;
    values.forEach((value, i) => {
      if (value !== undefined) this.set(keys[i * KEY_WORDS]!, keys, i * KEY_WORDS + 1, value);
    });
  }

  #hash(prefix: number, words: Uint32Array, at: number): number {
    let hash = Math.imul(this.#seed ^ prefix, 0x9e3779b1);
    for (let k = 0; k < RECORD_WORDS; k++) {
      hash = Math.imul(hash ^ words[at + k]!, 0x85ebca6b);
      hash ^= hash >>> 15;
    }
    return hash ^ (hash >>> 13);
  }
}

function equalKeys(keys: Uint32Array, i: number, prefix: number, words: Uint32Array, at: number): boolean {
  if (keys[i] !== prefix) return false;
  for (let k = 0; k < RECORD_WORDS; k++) if (keys[i + 1 + k] !== words[at + k]) return false;
  return true;
}
