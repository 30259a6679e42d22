/**
 * Datagrams on their way to the UDP sockets: a bump area in the slab that is filled front to back, and a table of
 * entries, each one `sendmsg` (with `UDP_SEGMENT` when it holds more than one segment).
 *
 * The data path reserves room, builds and seals its segments there, and pushes them; nothing is copied afterwards.
 * A push whose bytes follow the last entry's, on the same path with the same ECN and segment size, extends that
 * entry: this is how the packets of several reads become one system call (spec policy §7.6, snownet §5.2). The
 * limits are those of Linux UDP GSO: equal segments of which only the last may be shorter, at most 64 of them,
 * at most 65,507 bytes. A run over the limits is cut into several entries. Only the *last* entry is ever extended,
 * so datagrams leave in exactly the order in which they were pushed.
 *
 * Where the kernel or NIC refuses GSO, the I/O layer sends an entry's segments one by one.
 *
 * An entry holds a copy of its path: a path that changes later can't misdirect what is already queued.
 */
import { Path, PATH_WORDS } from "./path.ts";
import type { Slab } from "./slab.ts";
import type { Transmit } from "./transmit.ts";

/** Segments that one `UDP_SEGMENT` send takes on every kernel (`UDP_MAX_SEGMENTS` before Linux 6.9). */
export const MAX_GSO_SEGMENTS = 64;
/** Payload bytes of the largest UDP datagram over IPv4, which also bounds one GSO send. */
export const MAX_UDP_PAYLOAD = 65507;
/** What the smallest possible tunnelled datagrams (32 bytes, 64 an entry) need of the table. */
const MIN_ENTRY_BYTES = 32 * MAX_GSO_SEGMENTS;

export interface TransmitQueueOptions {
  /** Bytes of the area; a multiple of 64. */
  readonly areaLength: number;
  /** Entries, i.e. sends between two `clear()`s. */
  readonly capacity: number;
}

export class TransmitQueue {
  /** Address words of all entries, {@link PATH_WORDS} each: see {@link wordsOffset}. */
  readonly words: Uint32Array<ArrayBuffer>;

  readonly #slab: Slab;
  readonly #start: number;
  readonly #end: number;
  readonly #capacity: number;
  readonly #offsets: Uint32Array<ArrayBuffer>;
  readonly #lengths: Uint32Array<ArrayBuffer>;
  readonly #segments: Uint32Array<ArrayBuffer>;
  readonly #ecns: Uint8Array<ArrayBuffer>;
  readonly #datagramPath = new Path();
  #count = 0;
  #generation = 0;
  #next: number;
  #lastReservation: number;

  constructor(slab: Slab, { areaLength, capacity }: TransmitQueueOptions) {
    this.#slab = slab;
    this.#start = this.#next = this.#lastReservation = slab.reserve(areaLength);
    this.#end = this.#start + areaLength;
    this.#capacity = capacity;
    this.#offsets = new Uint32Array(capacity);
    this.#lengths = new Uint32Array(capacity);
    this.#segments = new Uint32Array(capacity);
    this.#ecns = new Uint8Array(capacity);
    this.words = new Uint32Array(capacity * PATH_WORDS);
  }

  /**
   * Room for `length` bytes: a 4-aligned slab offset, right behind the previous reservation when lengths are
   * multiples of 4. 0 when the area or the table has no room: flush and `clear()` first. What a following
   * {@link push} leaves unused of the newest reservation is given back.
   */
  reserve(length: number): number {
    const offset = this.#next;
    const entries = 1 + ((length + MIN_ENTRY_BYTES - 1) / MIN_ENTRY_BYTES | 0);
    if (offset + length > this.#end || this.#count + entries > this.#capacity) return 0;
    this.#lastReservation = offset;
    this.#next = (offset + length + 3) & ~3;
    return offset;
  }

  /**
   * Queues `length` reserved bytes at `offset`: back-to-back datagrams of `segmentSize` bytes, the last one possibly
   * shorter. One push per reservation. Throws a RangeError when the table is full, which {@link reserve} precludes.
   */
  push(offset: number, length: number, segmentSize: number, path: Path, ecn: number): void {
    if (offset >= this.#lastReservation) this.#next = (offset + length + 3) & ~3;
    if (length === 0) return this.#append(offset, 0, 0, path, ecn);
    const limit = entryLimit(segmentSize);
    const room = this.#roomBehindLast(offset, length, segmentSize, path, ecn);
    let done = 0;
    if (room > 0) {
      done = length < room ? length : room;
      this.#lengths[this.#count - 1]! += done;
    }
    while (done < length) {
      const rest = length - done;
      const part = rest < limit ? rest : limit;
      this.#append(offset + done, part, part < segmentSize ? part : segmentSize, path, ecn);
      done += part;
    }
  }

  /** Copies a control datagram into the area (ECN 0). False when there is no room: flush first, then again. */
  pushDatagram(transmit: Transmit): boolean {
    const { payload, dst, src } = transmit;
    if (payload.length > MAX_UDP_PAYLOAD) {
      throw new RangeError(
        `Cannot send a datagram of ${payload.length} bytes: UDP carries ${MAX_UDP_PAYLOAD}.`,
      );
    }
    const offset = this.reserve(payload.length);
    if (offset === 0) return false;
    this.#slab.bytes.set(payload, offset);
    this.#datagramPath.set(dst, src);
    this.push(offset, payload.length, payload.length, this.#datagramPath, 0);
    return true;
  }

  /** Entries queued. */
  get count(): number {
    return this.#count;
  }

  /** Slab offset of entry `i`'s first byte (4-aligned when its push was). */
  offsetOf(i: number): number {
    return this.#offsets[i]!;
  }

  /** Bytes of entry `i`: all its segments. */
  lengthOf(i: number): number {
    return this.#lengths[i]!;
  }

  /** Segment size of entry `i`; equal to its length when it is a single datagram. */
  segmentOf(i: number): number {
    return this.#segments[i]!;
  }

  /** Outer ECN code point (0-3) of entry `i`. */
  ecnOf(i: number): number {
    return this.#ecns[i]!;
  }

  /** Index in {@link words} of entry `i`'s path: destination record, then source record (family 0: kernel's). */
  wordsOffset(i: number): number {
    return i * PATH_WORDS;
  }

  /** Bytes of the area in use: for flush thresholds. */
  get byteLength(): number {
    return this.#next - this.#start;
  }

  /** Changes with every `clear()`: tells a sender that resumes half an entry whether it is still the same one. */
  get generation(): number {
    return this.#generation;
  }

  /** Forgets everything; the area is reused from its start. */
  clear(): void {
    this.#generation++;
    this.#count = 0;
    this.#next = this.#lastReservation = this.#start;
  }

  /** Bytes of this run that may extend the last entry; 0 when it may not be extended. */
  #roomBehindLast(offset: number, length: number, segmentSize: number, path: Path, ecn: number): number {
    const last = this.#count - 1;
    if (last < 0 || this.#offsets[last]! + this.#lengths[last]! !== offset) return 0;
    const size = this.#segments[last]!;
    // A single shorter datagram may close the entry; anything else must have its segment size.
    if (size === 0 || (size !== segmentSize && (length > size || length > segmentSize))) return 0;
    if (this.#ecns[last] !== ecn || this.#lengths[last]! % size !== 0) return 0;
    const room = entryLimit(size) - this.#lengths[last]!;
    if (room < size) return 0;
    const words = this.words, own = path.words, at = last * PATH_WORDS;
    for (let i = 0; i < PATH_WORDS; i++) if (words[at + i] !== own[i]) return 0;
    return room;
  }

  #append(offset: number, length: number, segmentSize: number, path: Path, ecn: number): void {
    const i = this.#count;
    if (i === this.#capacity) {
      throw new RangeError(
        "Cannot queue a datagram: the transmit table is full. Flush it before pushing more.",
      );
    }
    this.#count = i + 1;
    this.#offsets[i] = offset;
    this.#lengths[i] = length;
    this.#segments[i] = segmentSize;
    this.#ecns[i] = ecn;
    const words = this.words, own = path.words, at = i * PATH_WORDS;
    for (let k = 0; k < PATH_WORDS; k++) words[at + k] = own[k]!;
  }
}

/** Bytes that one entry of `segmentSize` segments may hold. */
function entryLimit(segmentSize: number): number {
  let segments = (MAX_UDP_PAYLOAD / segmentSize) | 0;
  if (segments > MAX_GSO_SEGMENTS) segments = MAX_GSO_SEGMENTS;
  return segments < 1 ? segmentSize : segments * segmentSize;
}
