/**
 * The NAT sessions of one client (spec policy §3.3, §3.4 [H]): a bidirectional map
 *   inside (kind, client's port or echo id, proxy address) <-> outside (kind, port or id, real address).
 * The other port is no part of it: one mapping serves all ports of a host.
 *
 * Records lie in one typed array and keep their index for life; two open-addressed indices (linear probing, deletion
 * by shifting back) find them from either side. A record costs 44 bytes plus its share of the indices, at most 84
 * bytes in all, and the array grows by a quarter.
 *
 * A session that ends leaves an *expired* record behind, found from outside only: a late reply must be dropped and not
 * be taken for traffic without NAT. The oldest of them go when there are too many.
 *
 * A session whose inside and outside are equal (`identity`) reserves a port for a flow that needs no translation.
 */

/** Kinds of sessions, the same values as CLASS_TCP, CLASS_UDP, CLASS_ICMP; plus {@link NAT_V6} for IPv6. */
export const NAT_TCP = 1, NAT_UDP = 2, NAT_ICMP = 3, NAT_V6 = 4;
const KEY_MASK = 7;
const FIN_OUT = 1 << 3, FIN_IN = 1 << 4, RESET = 1 << 5, CONFIRMED = 1 << 6, EXPIRED = 1 << 7, LIVE = 1 << 8;
const CLOSING = FIN_OUT | FIN_IN;

const TCP_TTL = 7_440_000, UDP_TTL = 120_000, ICMP_TTL = 120_000;
/** Before the first packet from outside. */
const UNCONFIRMED_TTL = 60_000;
/** After FIN in both directions. */
const FIN_LINGER = 5_000;

export const MAX_SESSIONS = 131_072;
export const MAX_EXPIRED = 4096;
const FIRST_CAPACITY = 64;

/** Record layout in words: meta · ports (inside high, outside low) · last packet (ms, modulo 2^32) · addresses. */
const META = 0, PORTS = 1, LAST = 2, INSIDE = 3, OUTSIDE = 7, STRIDE = 11;
/** Of an expired record: its neighbours in the queue, oldest first (record + 1, 0 = none). Of a free one: the next. */
const NEWER = INSIDE, OLDER = INSIDE + 1;

const FIN = 1, SYN = 2, RST = 4, ACK = 16;

export class NatTable {
  #words = new Uint32Array(FIRST_CAPACITY * STRIDE);
  #inside = new Int32Array(2 * FIRST_CAPACITY);
  #outside = new Int32Array(2 * FIRST_CAPACITY);
  readonly #seed: number;
  #live = 0;
  #expired = 0;
  /** Records ever used; all free ones below it are in the free list. */
  #top = 0;
  #free = 0;
  #oldest = 0;
  #newest = 0;
  /** Ports found taken by the last search: `#takenCount` of them from `#takenFrom` on, for one kind and address. */
  readonly #takenAddress = new Uint32Array(4);
  #takenKey = 0;
  #takenFrom = 0;
  #takenCount = 0;

  constructor(seed: number) {
    this.#seed = seed | 0;
  }

  /** Sessions. */
  get size(): number {
    return this.#live;
  }

  get expired(): number {
    return this.#expired;
  }

  get byteLength(): number {
    return this.#words.byteLength + this.#inside.byteLength + this.#outside.byteLength;
  }

  /** The session of a flow from inside, or -1. The address is four words of `address` from `at`. */
  findInside(key: number, port: number, address: Uint32Array, at: number): number {
    const index = this.#inside, mask = index.length - 1;
    for (let slot = this.#hash(key, port, address, at) & mask;; slot = (slot + 1) & mask) {
      const record = index[slot]! - 1;
      if (record < 0) return -1;
      if (this.#isInside(record * STRIDE, key, port, address, at)) return record;
    }
  }

  /** The session of a flow from outside, or the expired record of one ({@link isExpired}), or -1. */
  findOutside(key: number, port: number, address: Uint32Array, at: number): number {
    const index = this.#outside, mask = index.length - 1;
    for (let slot = this.#hash(key, port, address, at) & mask;; slot = (slot + 1) & mask) {
      const record = index[slot]! - 1;
      if (record < 0) return -1;
      if (this.#isOutside(record * STRIDE, key, port, address, at)) return record;
    }
  }

  isExpired(record: number): boolean {
    return (this.#words[record * STRIDE]! & EXPIRED) !== 0;
  }

  /** Inside and outside are equal: packets of this session need no change. */
  isIdentity(record: number): boolean {
    const at = record * STRIDE, words = this.#words, ports = words[at + PORTS]!;
    return ports >>> 16 === (ports & 0xffff) && sameAddress(words, at + INSIDE, words, at + OUTSIDE);
  }

  insidePort(record: number): number {
    return this.#words[record * STRIDE + PORTS]! >>> 16;
  }

  outsidePort(record: number): number {
    return this.#words[record * STRIDE + PORTS]! & 0xffff;
  }

  /** The memory of the records; another one after every `create` and `sweep`. */
  get words(): Uint32Array {
    return this.#words;
  }

  /** Where the four words of the proxy address are in `words`. */
  insideAt(record: number): number {
    return record * STRIDE + INSIDE;
  }

  /** Where the four words of the real address are in `words`. */
  outsideAt(record: number): number {
    return record * STRIDE + OUTSIDE;
  }

  /**
   * A new session from `inside` to the address in `outside`, on the client's own port if it is free, else on the next
   * free one (cyclically, never 0). Replaces an expired record there. -1 when no port or no room is left.
   */
  create(
    key: number,
    port: number,
    inside: Uint32Array,
    insideAt: number,
    outside: Uint32Array,
    outsideAt: number,
    now: number,
  ): number {
    if (this.#live >= MAX_SESSIONS) return -1;
    const outsidePort = this.#freePort(key, port, outside, outsideAt);
    if (outsidePort < 0) return -1;
    const stale = this.findOutside(key, outsidePort, outside, outsideAt);
    if (stale >= 0) this.forget(stale);
    const record = this.#allocate(), at = record * STRIDE;
    const words = this.#words;
    words[at + META] = key | LIVE;
    words[at + PORTS] = port << 16 | outsidePort;
    words[at + LAST] = now;
    for (let i = 0; i < 4; i++) {
      words[at + INSIDE + i] = inside[insideAt + i]!;
      words[at + OUTSIDE + i] = outside[outsideAt + i]!;
    }
    this.#live++;
    this.#insert(this.#inside, this.#hash(key, port, words, at + INSIDE), record);
    this.#insert(this.#outside, this.#hash(key, outsidePort, words, at + OUTSIDE), record);
    return record;
  }

  /** A packet from inside; a SYN opens a closed session again. */
  noteOut(record: number, tcpFlags: number, now: number): void {
    const at = record * STRIDE;
    let meta = this.#words[at]!;
    if ((tcpFlags & (SYN | ACK)) === SYN) meta &= ~(CLOSING | RESET);
    if (tcpFlags & FIN) meta |= FIN_OUT;
    if (tcpFlags & RST) meta |= RESET;
    this.#words[at] = meta;
    this.#words[at + LAST] = now;
  }

  /** A packet from outside. */
  noteIn(record: number, tcpFlags: number, now: number): void {
    const at = record * STRIDE;
    let meta = this.#words[at]! | CONFIRMED;
    if (tcpFlags & FIN) meta |= FIN_IN;
    if (tcpFlags & RST) meta |= RESET;
    this.#words[at] = meta;
    this.#words[at + LAST] = now;
  }

  /** Ends the sessions that are due; to be called about every second. */
  sweep(now: number): void {
    const words = this.#words;
    for (let record = 0, at = 0; record < this.#top; record++, at += STRIDE) {
      const meta = words[at]!;
      if ((meta & LIVE) !== 0 && ((now - words[at + LAST]!) >>> 0) >= lifetime(meta)) this.#expire(record);
    }
    const used = this.#live + this.#expired, capacity = words.length / STRIDE;
    if (capacity > 16 * FIRST_CAPACITY && used < capacity >> 2) this.#shrink();
  }

  /** Drops an expired record: its port may serve other flows. */
  forget(record: number): void {
    const at = record * STRIDE, words = this.#words;
    const newer = words[at + NEWER]!, older = words[at + OLDER]!;
    if (older === 0) this.#oldest = newer;
    else words[(older - 1) * STRIDE + NEWER] = newer;
    if (newer === 0) this.#newest = older;
    else words[(newer - 1) * STRIDE + OLDER] = older;
    this.#expired--;
    this.#removeOutside(record);
    this.#release(record);
  }

  clear(): void {
    this.#words = new Uint32Array(FIRST_CAPACITY * STRIDE);
    this.#inside = new Int32Array(2 * FIRST_CAPACITY);
    this.#outside = new Int32Array(2 * FIRST_CAPACITY);
    this.#live =
      this.#expired =
      this.#top =
      this.#free =
      this.#oldest =
      this.#newest =
      this.#takenCount =
        0;
  }

  #expire(record: number): void {
    const at = record * STRIDE, words = this.#words;
    const meta = words[at]!, key = meta & KEY_MASK;
    const slot = this.#slotOf(
      this.#inside,
      this.#hash(key, words[at + PORTS]! >>> 16, words, at + INSIDE),
      record,
    );
    this.#remove(this.#inside, slot);
    this.#live--;
    this.#takenCount = 0;
    if (this.isIdentity(record)) {
      this.#removeOutside(record);
      return this.#release(record);
    }
    words[at] = key | EXPIRED;
    words[at + NEWER] = 0;
    words[at + OLDER] = this.#newest;
    if (this.#newest === 0) this.#oldest = record + 1;
    else words[(this.#newest - 1) * STRIDE + NEWER] = record + 1;
    this.#newest = record + 1;
    if (++this.#expired > MAX_EXPIRED) this.forget(this.#oldest - 1);
  }

  /**
   * port, port + 1, … 65535, 1, … port - 1: the first that no session uses, or -1. What the last search found taken
   * is not searched again as long as no session ended, so that many flows of one host don't make it quadratic.
   */
  #freePort(key: number, port: number, address: Uint32Array, at: number): number {
    if (this.#isFree(key, port, address, at)) return port;
    const from = port === 0 ? 1 : port;
    let skip = 0;
    if (this.#takenCount > 0 && this.#takenKey === key && sameAddress(this.#takenAddress, 0, address, at)) {
      const distance = (from - this.#takenFrom + 65535) % 65535;
      if (distance < this.#takenCount) skip = this.#takenCount - distance;
    }
    for (let i = 0; i < 4; i++) this.#takenAddress[i] = address[at + i]!;
    this.#takenKey = key;
    for (; skip < 65535; skip++) {
      const candidate = (from - 1 + skip) % 65535 + 1;
      if (this.#isFree(key, candidate, address, at)) break;
    }
    this.#takenFrom = from;
    this.#takenCount = Math.min(65535, skip + 1);
    return skip === 65535 ? -1 : (from - 1 + skip) % 65535 + 1;
  }

  #isFree(key: number, port: number, address: Uint32Array, at: number): boolean {
    const record = this.findOutside(key, port, address, at);
    return record < 0 || this.isExpired(record);
  }

  #allocate(): number {
    if (3 * (this.#live + this.#expired + 1) > 2 * this.#inside.length) this.#rehash(2 * this.#inside.length);
    if (this.#free !== 0) {
      const record = this.#free - 1;
      this.#free = this.#words[record * STRIDE + NEWER]!;
      return record;
    }
    const capacity = this.#words.length / STRIDE;
    if (this.#top === capacity) {
      const words = new Uint32Array(STRIDE * (capacity + (capacity >> 2)));
      words.set(this.#words);
      this.#words = words;
    }
    return this.#top++;
  }

  #release(record: number): void {
    this.#words[record * STRIDE] = 0;
    this.#words[record * STRIDE + NEWER] = this.#free;
    this.#free = record + 1;
  }

  #rehash(size: number): void {
    this.#inside = new Int32Array(size);
    this.#outside = new Int32Array(size);
    for (let record = 0; record < this.#top; record++) {
      const meta = this.#words[record * STRIDE]!;
      if ((meta & (LIVE | EXPIRED)) === 0) continue;
      if ((meta & LIVE) !== 0) this.#insert(this.#inside, this.#insideHash(record), record);
      this.#insert(this.#outside, this.#outsideHash(record), record);
    }
  }

  /** Moves what is left into as little memory as it needs: the expired in their order, then the sessions. */
  #shrink(): void {
    const old = this.#words, top = this.#top;
    const used = this.#live + this.#expired;
    const order: number[] = [];
    for (let next = this.#oldest; next !== 0; next = old[(next - 1) * STRIDE + NEWER]!) order.push(next - 1);
    const expired = order.length;
    for (let record = 0; record < top; record++) if ((old[record * STRIDE]! & LIVE) !== 0) order.push(record);
    const words = new Uint32Array(STRIDE * Math.max(FIRST_CAPACITY, used + (used >> 2)));
    order.forEach((record, i) => {
      words.set(old.subarray(record * STRIDE, (record + 1) * STRIDE), i * STRIDE);
      if (i >= expired) return;
      words[i * STRIDE + OLDER] = i;
      words[i * STRIDE + NEWER] = i + 1 < expired ? i + 2 : 0;
    });
    this.#words = words;
    this.#top = used;
    this.#free = 0;
    this.#oldest = expired > 0 ? 1 : 0;
    this.#newest = expired;
    let size = 2 * FIRST_CAPACITY;
    while (2 * size < 3 * (used + 1)) size *= 2;
    this.#rehash(size);
  }

  #removeOutside(record: number): void {
    const slot = this.#slotOf(this.#outside, this.#outsideHash(record), record);
    this.#remove(this.#outside, slot);
  }

  #insert(index: Int32Array, hash: number, record: number): void {
    const mask = index.length - 1;
    let slot = hash & mask;
    while (index[slot] !== 0) slot = (slot + 1) & mask;
    index[slot] = record + 1;
  }

  #slotOf(index: Int32Array, hash: number, record: number): number {
    const mask = index.length - 1;
    let slot = hash & mask;
    while (index[slot] !== record + 1) slot = (slot + 1) & mask;
    return slot;
  }

  /** Empties a slot and closes the gap (Knuth 6.4, algorithm R). */
  #remove(index: Int32Array, slot: number): void {
    const mask = index.length - 1, isInside = index === this.#inside;
    let gap = slot;
    for (let next = (slot + 1) & mask; index[next] !== 0; next = (next + 1) & mask) {
      const record = index[next]! - 1;
      const home = (isInside ? this.#insideHash(record) : this.#outsideHash(record)) & mask;
      if (((next - home) & mask) < ((next - gap) & mask)) continue;
      index[gap] = index[next]!;
      gap = next;
    }
    index[gap] = 0;
  }

  #isInside(base: number, key: number, port: number, address: Uint32Array, at: number): boolean {
    const words = this.#words;
    return words[base + PORTS]! >>> 16 === port && (words[base]! & KEY_MASK) === key &&
      sameAddress(words, base + INSIDE, address, at);
  }

  #isOutside(base: number, key: number, port: number, address: Uint32Array, at: number): boolean {
    const words = this.#words;
    return (words[base + PORTS]! & 0xffff) === port && (words[base]! & KEY_MASK) === key &&
      sameAddress(words, base + OUTSIDE, address, at);
  }

  #insideHash(record: number): number {
    const at = record * STRIDE, words = this.#words;
    return this.#hash(words[at]! & KEY_MASK, words[at + PORTS]! >>> 16, words, at + INSIDE);
  }

  #outsideHash(record: number): number {
    const at = record * STRIDE, words = this.#words;
    return this.#hash(words[at]! & KEY_MASK, words[at + PORTS]! & 0xffff, words, at + OUTSIDE);
  }

  #hash(key: number, port: number, address: Uint32Array, at: number): number {
    let hash = Math.imul(this.#seed ^ (port << 3 | key), 0x9e3779b1);
    hash = Math.imul((hash ^ (hash >>> 15)) + address[at]!, 0x2c1b3c6d);
    hash = Math.imul(hash ^ (hash >>> 13) ^ address[at + 3]!, 0x297a2d39);
    hash = Math.imul(
      hash ^ (hash >>> 16) ^ address[at + 1]! ^ Math.imul(address[at + 2]!, 0xc2b2ae35),
      0x85ebca6b,
    );
    return hash ^ (hash >>> 15);
  }
}

function lifetime(meta: number): number {
  if ((meta & RESET) !== 0) return 0;
  const kind = meta & 3;
  let ttl = kind === NAT_TCP ? TCP_TTL : kind === NAT_UDP ? UDP_TTL : ICMP_TTL;
  if ((meta & CONFIRMED) === 0) ttl = Math.min(ttl, UNCONFIRMED_TTL);
  return (meta & CLOSING) === CLOSING ? Math.min(ttl, FIN_LINGER) : ttl;
}

function sameAddress(a: Uint32Array, at: number, b: Uint32Array, bt: number): boolean {
  return a[at] === b[bt] && a[at + 3] === b[bt + 3] && a[at + 1] === b[bt + 1] && a[at + 2] === b[bt + 2];
}
