/**
 * The flows that are followed: a hash table over typed arrays, of fixed size. A record keeps its index for life; an
 * open-addressed index (linear probing, deletion by shifting back) finds it by client address, remote address, ports
 * and protocol. The flow of the last packet is looked at first, since packets come in trains.
 */

/** Meta word: protocol and family, part of the key, below; state above. */
export const FLOW_TCP = 1, FLOW_UDP = 2, FLOW_V6 = 4;
export const FIN_TX = 1 << 4, FIN_RX = 1 << 5, SENT_NON_SYN = 1 << 6;
const KEY_MASK = 7, LIVE = 1 << 3;

/** Words of a record: meta · ports (client's high, remote's low; of a free record the next one) · addresses. */
const META = 0, PORTS = 1, CLIENT = 2, REMOTE = 6, STRIDE = 10;
/** Numbers of a record. */
export const START = 0, LAST = 1, TX_PACKETS = 2, RX_PACKETS = 3, TX_BYTES = 4, RX_BYTES = 5;
const NUMBERS = 6;

export class FlowTable {
  readonly #words: Uint32Array;
  readonly #numbers: Float64Array;
  readonly #index: Int32Array;
  readonly #seed: number;
  #size = 0;
  /** Records ever used. */
  #top = 0;
  /** First free record + 1; 0 = none below `#top`. */
  #free = 0;
  #lastFound = 0;

  /** @param capacity a power of two. @param seed 32 random bits: nobody can aim at a chain of collisions. */
  constructor(readonly capacity: number, seed: number) {
    this.#seed = seed | 0;
    this.#words = new Uint32Array(capacity * STRIDE);
    this.#numbers = new Float64Array(capacity * NUMBERS);
    this.#index = new Int32Array(2 * capacity);
  }

  get size(): number {
    return this.#size;
  }

  /** Every living record is below. */
  get top(): number {
    return this.#top;
  }

  /**
   * The record, or -1. The addresses are four words of `addresses` each; `ports` has the client's in the high half.
   * @param key FLOW_TCP or FLOW_UDP, plus FLOW_V6.
   */
  find(key: number, ports: number, addresses: Uint32Array, client: number, remote: number): number {
    if (this.#matches(this.#lastFound, key, ports, addresses, client, remote)) return this.#lastFound;
    const index = this.#index, mask = index.length - 1;
    for (let slot = this.#hash(key, ports, addresses, client, remote) & mask;; slot = (slot + 1) & mask) {
      const record = index[slot]! - 1;
      if (record < 0) return -1;
      if (this.#matches(record, key, ports, addresses, client, remote)) return this.#lastFound = record;
    }
  }

  /** A new record for a key that `find` does not know; all its numbers are 0. -1 when the table is full. */
  add(key: number, ports: number, addresses: Uint32Array, client: number, remote: number): number {
    if (this.#size >= this.capacity) return -1;
    let record = this.#free - 1;
    if (record < 0) record = this.#top++;
    else this.#free = this.#words[record * STRIDE + PORTS]!;
    const words = this.#words, at = record * STRIDE;
    words[at + META] = key | LIVE;
    words[at + PORTS] = ports;
    for (let i = 0; i < 4; i++) {
      words[at + CLIENT + i] = addresses[client + i]!;
      words[at + REMOTE + i] = addresses[remote + i]!;
    }
    this.#numbers.fill(0, record * NUMBERS, (record + 1) * NUMBERS);
    const index = this.#index, mask = index.length - 1;
    let slot = this.#hash(key, ports, addresses, client, remote) & mask;
    while (index[slot] !== 0) slot = (slot + 1) & mask;
    index[slot] = record + 1;
    this.#size++;
    return record;
  }

  remove(record: number): void {
    const index = this.#index, mask = index.length - 1;
    let hole = this.#hashOf(record) & mask;
    while (index[hole] !== record + 1) hole = (hole + 1) & mask;
    for (let slot = (hole + 1) & mask; index[slot] !== 0; slot = (slot + 1) & mask) {
      const home = this.#hashOf(index[slot]! - 1) & mask;
      // It may move up to the hole unless its home lies behind the hole.
      if (((slot - home) & mask) < ((slot - hole) & mask)) continue;
      index[hole] = index[slot]!;
      hole = slot;
    }
    index[hole] = 0;
    this.#words[record * STRIDE + META] = 0;
    this.#words[record * STRIDE + PORTS] = this.#free;
    this.#free = record + 1;
    this.#size--;
  }

  /** Key and state; 0 when the record is free. */
  meta(record: number): number {
    return this.#words[record * STRIDE]!;
  }

  setState(record: number, bits: number): void {
    this.#words[record * STRIDE]! |= bits;
  }

  get(record: number, number: number): number {
    return this.#numbers[record * NUMBERS + number]!;
  }

  set(record: number, number: number, value: number): void {
    this.#numbers[record * NUMBERS + number] = value;
  }

  /** Adds to a pair of counters: TX_ or RX_PACKETS with its bytes, and stamps the packet's time. */
  count(record: number, packetsAt: number, packets: number, bytes: number, now: number): void {
    const at = record * NUMBERS, numbers = this.#numbers;
    numbers[at + LAST] = now;
    numbers[at + packetsAt]! += packets;
    numbers[at + packetsAt + 2]! += bytes;
  }

  clientPort(record: number): number {
    return this.#words[record * STRIDE + PORTS]! >>> 16;
  }

  remotePort(record: number): number {
    return this.#words[record * STRIDE + PORTS]! & 0xffff;
  }

  /** Four words, or one for IPv4. */
  clientWords(record: number): Uint32Array {
    return this.#address(record, CLIENT);
  }

  remoteWords(record: number): Uint32Array {
    return this.#address(record, REMOTE);
  }

  #address(record: number, field: number): Uint32Array {
    const at = record * STRIDE + field;
    return this.#words.slice(at, at + (this.meta(record) & FLOW_V6 ? 4 : 1));
  }

  #matches(
    record: number,
    key: number,
    ports: number,
    addresses: Uint32Array,
    client: number,
    remote: number,
  ): boolean {
    const words = this.#words, at = record * STRIDE;
    const meta = words[at]!;
    return (meta & KEY_MASK) === key && (meta & LIVE) !== 0 && words[at + PORTS] === ports >>> 0 &&
      words[at + REMOTE] === addresses[remote] && words[at + CLIENT] === addresses[client] &&
      words[at + REMOTE + 3] === addresses[remote + 3] && words[at + CLIENT + 3] === addresses[client + 3] &&
      words[at + REMOTE + 1] === addresses[remote + 1] && words[at + REMOTE + 2] === addresses[remote + 2] &&
      words[at + CLIENT + 1] === addresses[client + 1] && words[at + CLIENT + 2] === addresses[client + 2];
  }

  #hashOf(record: number): number {
    const words = this.#words, at = record * STRIDE;
    return this.#hash(words[at]! & KEY_MASK, words[at + PORTS]!, words, at + CLIENT, at + REMOTE);
  }

  /** A client is told from the others by the first (IPv4) or last (IPv6) word of its address. */
  #hash(key: number, ports: number, addresses: Uint32Array, client: number, remote: number): number {
    const mine = addresses[client]! ^ addresses[client + 3]!;
    let hash = Math.imul(this.#seed ^ ports ^ Math.imul(mine, 0x85ebca6b), 0x9e3779b1);
    hash = Math.imul((hash ^ (hash >>> 15)) + key ^ addresses[remote]!, 0x2c1b3c6d);
    hash = Math.imul(hash ^ (hash >>> 13) ^ addresses[remote + 3]!, 0x297a2d39);
    const rest = addresses[remote + 1]! ^ Math.imul(addresses[remote + 2]!, 0xc2b2ae35);
    hash = Math.imul(hash ^ (hash >>> 16) ^ rest, 0x85ebca6b);
    return hash ^ (hash >>> 15);
  }
}
