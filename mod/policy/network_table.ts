/**
 * Longest-prefix match, and from there every wider network that also covers the address.
 *
 * Networks are laminar: two of them are disjoint or nested. So the table is a forest (each node knows the
 * narrowest network around it) over a sorted list of disjoint intervals (each knows the narrowest network that
 * covers it). A lookup is one binary search over plain u32 arrays; "all covering networks" is the walk to the root.
 * Tables are immutable; a change builds a new one in O(n log n), on the control path.
 */
import { maskWords, type Words, wordsOf } from "./words.ts";

export interface NetworkEntry<T> {
  /** 4 or 16 bytes; host bits are ignored. */
  readonly ip: Uint8Array;
  readonly prefix: number;
  readonly value: T;
}

/** Networks of one family. */
export class NetworkTable<T> {
  /** Per node: the narrowest node around it, -1 at a root. */
  readonly parents: Int32Array;
  /** Per node: the values of that network, in the order given. */
  readonly values: readonly (readonly T[])[];
  /** First address of each interval, `#width` words each, ascending. */
  readonly #starts: Uint32Array;
  /** Per interval: the narrowest node that covers it, or -1. */
  readonly #nodes: Int32Array;

  /** @param width words per address: 1 for IPv4, 4 for IPv6. Entries of the other family must not be passed. */
  constructor(width: 1 | 4, entries: readonly NetworkEntry<T>[]) {
    const networks = collect(width, entries);
    const parents: number[] = [];
    const intervals: { start: bigint; node: number }[] = [];
    const open: number[] = [];
    const mark = (start: bigint, node: number) => {
      if (intervals.at(-1)?.start === start) intervals.pop();
      intervals.push({ start, node });
    };
    const close = () => {
      const closed = open.pop()!;
      mark(networks[closed]!.last + 1n, open.at(-1) ?? -1);
    };
    networks.forEach((network, index) => {
      while (open.length > 0 && networks[open.at(-1)!]!.last < network.first) close();
      parents.push(open.at(-1) ?? -1);
      open.push(index);
      mark(network.first, index);
    });
    while (open.length > 0) close();

    const limit = 1n << BigInt(32 * width);
    const kept = intervals.filter((interval) => interval.start < limit);
    this.parents = Int32Array.from(parents);
    this.values = networks.map((network) => network.values);
    this.#nodes = Int32Array.from(kept, (interval) => interval.node);
    this.#starts = Uint32Array.from(kept.flatMap((interval) => toWords(interval.start, width)));
  }

  /** The narrowest node that covers the IPv4 address `a`, or -1. */
  find4(a: number): number {
    const starts = this.#starts;
    let low = 0, high = this.#nodes.length;
    a = a >>> 0;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (starts[middle]! <= a) low = middle + 1;
      else high = middle;
    }
    return low === 0 ? -1 : this.#nodes[low - 1]!;
  }

  /** The narrowest node that covers the IPv6 address `a b c d`, or -1. */
  find6(a: number, b: number, c: number, d: number): number {
    const starts = this.#starts;
    let low = 0, high = this.#nodes.length;
    a = a >>> 0, b = b >>> 0, c = c >>> 0, d = d >>> 0;
    while (low < high) {
      const middle = (low + high) >>> 1, at = 4 * middle;
      const x = starts[at]!, y = starts[at + 1]!, z = starts[at + 2]!;
      const before = x !== a ? x < a : y !== b ? y < b : z !== c ? z < c : starts[at + 3]! <= d;
      if (before) low = middle + 1;
      else high = middle;
    }
    return low === 0 ? -1 : this.#nodes[low - 1]!;
  }
}

interface Network<T> {
  readonly first: bigint;
  readonly last: bigint;
  readonly values: T[];
}

/** Distinct networks, outer before inner. */
function collect<T>(width: 1 | 4, entries: readonly NetworkEntry<T>[]): Network<T>[] {
  const bits = 32 * width;
  const known = new Map<string, Network<T>>();
  for (const { ip, prefix, value } of entries) {
    const words = wordsOf(ip);
    if (ip.length !== 4 * width || !words || !(prefix >= 0 && prefix <= bits)) {
      throw new RangeError(`Cannot build the network table: ${ip.length} bytes with prefix ${prefix}.`);
    }
    const first = toBigInt(maskWords(words, prefix), width);
    const key = `${first}/${prefix}`;
    const network = known.get(key);
    if (network) network.values.push(value);
    else known.set(key, { first, last: first + (1n << BigInt(bits - prefix)) - 1n, values: [value] });
  }
  return [...known.values()].sort((a, b) =>
    a.first < b.first ? -1 : a.first > b.first ? 1 : a.last > b.last ? -1 : 1
  );
}

function toBigInt(words: Words, width: 1 | 4): bigint {
  return words.slice(0, width).reduce((value, word) => (value << 32n) | BigInt(word), 0n);
}

function toWords(value: bigint, width: 1 | 4): number[] {
  const words: number[] = [];
  for (let shift = 32 * (width - 1); shift >= 0; shift -= 32) {
    words.push(Number((value >> BigInt(shift)) & 0xffffffffn));
  }
  return words;
}
