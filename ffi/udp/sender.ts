/**
 * Sending: the entries of a {@link TransmitQueue} leave by `sendmmsg`, up to {@link BATCH} of them in a call, each one
 * a datagram or, with `UDP_SEGMENT`, a train of them that the kernel or the NIC cuts.
 *
 * The message headers are laid out once in the slab; per entry only address, length and control data are patched.
 * Control messages always come in the order packet information (all zero: the kernel chooses the source), ECN, and
 * last the segment size, which a single datagram leaves out by a shorter control length.
 *
 * An entry that fails is counted by reason and never stops the others. A full socket buffer (EAGAIN) does: that is
 * the back-pressure. A source address that this host no longer has is given up at once, and the kernel chooses: what
 * arrives from another address is better than what does not arrive. When the kernel or the NIC refuses segmentation, the train leaves as single datagrams and the
 * socket stays in that mode.
 */
import {
  EACCES,
  EADDRNOTAVAIL,
  EAGAIN,
  EHOSTUNREACH,
  EINTR,
  EINVAL,
  EIO,
  EMSGSIZE,
  ENETDOWN,
  ENETUNREACH,
  EPERM,
  errno,
} from "../errno.ts";
import { AF_INET, AF_INET6, type Libc, libc, MSG_DONTWAIT } from "../libc.ts";
import { SlabPointers } from "../slab_pointers.ts";
import {
  CMSGHDR,
  cmsgSpace,
  IN6_PKTINFO,
  IN_PKTINFO,
  IOVEC,
  MMSGHDR,
  SOCKADDR_IN,
  SOCKADDR_IN6,
} from "../structs.ts";
import {
  IP_PKTINFO,
  IP_TOS,
  IPV6_PKTINFO,
  IPV6_TCLASS,
  SOL_IP,
  SOL_IPV6,
  SOL_UDP,
  UDP_SEGMENT,
} from "./options.ts";
import { ADDRESS_RECORD_SIZE, type IpFamily } from "../../mod/packet/address.ts";
import type { Counters } from "../../mod/packet/counters.ts";
import type { Slab } from "../../mod/packet/slab.ts";
import { MAX_GSO_SEGMENTS, MAX_UDP_PAYLOAD, type TransmitQueue } from "../../mod/packet/transmit_queue.ts";

/** Messages per system call. */
export const BATCH = 64;
const BLOCKED = -1;
const NAME_SIZE = 32;
const CONTROL_SIZE = 96;
const SOURCE_WORDS = ADDRESS_RECORD_SIZE / 4;

export interface SenderOptions {
  readonly fd: number;
  readonly family: IpFamily;
  readonly slab: Slab;
  readonly counters: Counters;
}

export class Sender {
  /** Slab bytes that one sender takes. */
  static readonly SLAB_BYTES = BATCH * (MMSGHDR.size + IOVEC.size + NAME_SIZE + CONTROL_SIZE) + 4 * 64;

  /** False once the kernel or the NIC has refused UDP_SEGMENT on this socket. */
  segmentation = true;

  readonly #libc: Libc = libc();
  #fd: number;
  readonly #family: IpFamily;
  readonly #slabLength: number;
  readonly #baseLow: number;
  readonly #baseHigh: number;
  readonly #words: Uint32Array<ArrayBuffer>;
  readonly #headers: number;
  readonly #iovecs: number;
  readonly #names: number;
  readonly #controls: number;
  /** Offset in a control buffer of the ECN and of the segment-size message; that one's end. */
  readonly #ecnAt: number;
  readonly #segmentAt: number;
  readonly #controlEnd: number;
  readonly #pointers: Deno.PointerObject[] = [];
  readonly #counters: Counters;
  readonly #reasons: ReturnType<typeof registerReasons>;

  /** Entry, first byte in it, and bytes of each filled message. */
  readonly #entryOf = new Uint32Array(BATCH);
  readonly #byteOf = new Uint32Array(BATCH);
  readonly #lengthOf = new Uint32Array(BATCH);
  /** Where the next fill goes on. */
  #nextEntry = 0;
  #nextByte = 0;
  /** Where a train that was cut short by a full socket buffer goes on. */
  #resumeEntry = -1;
  #resumeByte = 0;
  #resumeGeneration = 0;

  constructor({ fd, family, slab, counters }: SenderOptions) {
    this.#fd = fd;
    this.#family = family;
    this.#slabLength = slab.bytes.length;
    this.#words = slab.words;
    const pointers = SlabPointers.of(slab);
    this.#baseLow = slab.baseLow;
    this.#baseHigh = slab.baseHigh;
    this.#headers = slab.reserve(BATCH * MMSGHDR.size);
    this.#iovecs = slab.reserve(BATCH * IOVEC.size);
    this.#names = slab.reserve(BATCH * NAME_SIZE);
    this.#controls = slab.reserve(BATCH * CONTROL_SIZE);
    const v4 = family === 4, infoSize = v4 ? IN_PKTINFO.size : IN6_PKTINFO.size;
    this.#ecnAt = cmsgSpace(infoSize);
    this.#segmentAt = this.#ecnAt + cmsgSpace(4);
    this.#controlEnd = this.#segmentAt + cmsgSpace(2);
    const cmsg = (at: number, length: number, level: number, type: number) => {
      slab.words[at >>> 2] = CMSGHDR.size + length;
      slab.words[(at + CMSGHDR.level) >>> 2] = level;
      slab.words[(at + CMSGHDR.type) >>> 2] = type;
    };
    for (let i = 0; i < BATCH; i++) {
      const header = this.#headers + i * MMSGHDR.size, control = this.#controls + i * CONTROL_SIZE;
      this.#pointers.push(pointers.at(header));
      pointers.write(header + MMSGHDR.name, this.#names + i * NAME_SIZE);
      slab.words[(header + MMSGHDR.nameLength) >>> 2] = v4 ? SOCKADDR_IN.size : SOCKADDR_IN6.size;
      pointers.write(header + MMSGHDR.iov, this.#iovecs + i * IOVEC.size);
      slab.words[(header + MMSGHDR.iovLength) >>> 2] = 1;
      pointers.write(header + MMSGHDR.control, control);
      cmsg(control, infoSize, v4 ? SOL_IP : SOL_IPV6, v4 ? IP_PKTINFO : IPV6_PKTINFO);
      cmsg(control + this.#ecnAt, 4, v4 ? SOL_IP : SOL_IPV6, v4 ? IP_TOS : IPV6_TCLASS);
      cmsg(control + this.#segmentAt, 2, SOL_UDP, UDP_SEGMENT);
    }
    this.#counters = counters;
    this.#reasons = registerReasons(counters);
  }

  /** Sends by this socket of the same family from now on. What another one could not send is not resumed. */
  target(fd: number): void {
    if (fd !== this.#fd) this.#resumeEntry = -1;
    this.#fd = fd;
  }

  /**
   * Sends this family's entries of `queue` from entry `start` up to (not including) `end`, by default all that are
   * left; other families' entries are passed over. Returns `end` when done, else the entry to go on with once the
   * socket is writable: pass it as `start` then. (After a `clear()` instead, the rest is forgotten.)
   */
  send(queue: TransmitQueue, start: number, end = queue.count): number {
    this.#nextEntry = start;
    this.#nextByte = start === this.#resumeEntry && queue.generation === this.#resumeGeneration
      ? this.#resumeByte
      : 0;
    this.#resumeEntry = -1;
    for (;;) {
      const filled = this.#fill(queue, end);
      if (filled === 0) return end;
      let sent = 0;
      while (sent < filled) {
        const result = this.#libc.sendmmsg(this.#fd, this.#pointers[sent]!, filled - sent, MSG_DONTWAIT);
        if (result > 0) {
          sent += result;
          continue;
        }
        const error = errno();
        if (error === EINTR || (isAboutSource(error) && this.#freeSource(sent, filled))) continue;
        const entry = this.#entryOf[sent]!, byte = this.#byteOf[sent]!;
        const next = error === EAGAIN ? BLOCKED : this.#afterFailure(queue, sent, error);
        if (next === BLOCKED) {
          this.#counters.add(this.#reasons.full);
          this.#resumeEntry = entry;
          this.#resumeByte = byte;
          this.#resumeGeneration = queue.generation;
          return entry;
        }
        if (next === byte + this.#lengthOf[sent]!) {
          sent++;
          continue;
        }
        // The rest of this entry, and everything behind it, is laid out anew.
        this.#nextEntry = entry;
        this.#nextByte = next;
        break;
      }
    }
  }

  /** Lays out messages from where the last fill ended; how many. */
  #fill(queue: TransmitQueue, end: number): number {
    let entry = this.#nextEntry, byte = this.#nextByte, filled = 0;
    while (entry < end && filled < BATCH) {
      const length = queue.lengthOf(entry);
      const ours = (queue.words[queue.wordsOffset(entry)]! & 0xffff) === this.#family;
      if (!ours || (byte >= length && byte > 0)) {
        entry++;
        byte = 0;
        continue;
      }
      const offset = queue.offsetOf(entry), segment = queue.segmentOf(entry), rest = length - byte;
      if (offset + length > this.#slabLength) {
        throw new RangeError("Cannot send: an entry is outside the slab.");
      }
      const most = this.segmentation ? trainLimit(segment) : segment;
      const part = segment === 0 || rest < most ? rest : most;
      this.#patch(filled, offset + byte, part, segment < part ? segment : 0);
      this.#address(filled, queue.words, queue.wordsOffset(entry), queue.ecnOf(entry));
      this.#entryOf[filled] = entry;
      this.#byteOf[filled] = byte;
      this.#lengthOf[filled] = part;
      filled++;
      byte += part;
      if (byte >= length) {
        entry++;
        byte = 0;
      }
    }
    this.#nextEntry = entry;
    this.#nextByte = byte;
    return filled;
  }

  /** Payload of message `i`, and its segment size (0: one datagram). */
  #patch(i: number, offset: number, length: number, segment: number): void {
    const words = this.#words;
    const iovec = (this.#iovecs + i * IOVEC.size) >>> 2;
    const low = this.#baseLow + offset;
    words[iovec] = low;
    words[iovec + 1] = this.#baseHigh + (low > 0xffffffff ? 1 : 0);
    words[iovec + (IOVEC.length >>> 2)] = length;
    words[(this.#headers + i * MMSGHDR.size + MMSGHDR.controlLength) >>> 2] = segment > 0
      ? this.#controlEnd
      : this.#segmentAt;
    words[(this.#controls + i * CONTROL_SIZE + this.#segmentAt + CMSGHDR.data) >>> 2] = segment;
  }

  /** Destination, source and ECN of message `i` from the path words of an entry. */
  #address(i: number, path: Uint32Array<ArrayBuffer>, at: number, ecn: number): void {
    const words = this.#words;
    const name = (this.#names + i * NAME_SIZE) >>> 2, control = (this.#controls + i * CONTROL_SIZE) >>> 2;
    const port = path[at]! >>> 16, networkPort = ((port & 0xff) << 24) | ((port >>> 8) << 16);
    const source = at + SOURCE_WORDS, bound = (path[source]! & 0xffff) === this.#family;
    const info = control + (CMSGHDR.data >>> 2);
    words[(this.#controls + i * CONTROL_SIZE + this.#ecnAt + CMSGHDR.data) >>> 2] = ecn & 3;
    if (this.#family === 4) {
      words[name] = AF_INET | networkPort;
      words[name + (SOCKADDR_IN.address >>> 2)] = path[at + 1]!;
      words[info + (IN_PKTINFO.specDst >>> 2)] = bound ? path[source + 1]! : 0;
    } else {
      words[name] = AF_INET6 | networkPort;
      for (let k = 0; k < 4; k++) {
        words[name + (SOCKADDR_IN6.address >>> 2) + k] = path[at + 1 + k]!;
        words[info + k] = bound ? path[source + 1 + k]! : 0;
      }
    }
  }

  /**
   * The kernel refuses message `i`, perhaps since the source that it wants is no longer an address of this host: lets
   * the kernel choose, for all messages up to `end` that want the same. False when it may choose already.
   */
  #freeSource(i: number, end: number): boolean {
    const words = this.#words, v4 = this.#family === 4;
    const at = (message: number) =>
      (this.#controls + message * CONTROL_SIZE + CMSGHDR.data + (v4 ? IN_PKTINFO.specDst : 0)) >>> 2;
    const source = words.slice(at(i), at(i) + (v4 ? 1 : 4));
    if (source.every((word) => word === 0)) return false;
    for (let message = i; message < end; message++) {
      if (!source.every((word, k) => words[at(message) + k] === word)) continue;
      words.fill(0, at(message), at(message) + source.length);
      this.#counters.add(this.#reasons.otherSource);
    }
    return true;
  }

  /**
   * Message `i` failed with `error`: counts what is lost, and returns the byte of its entry to go on with: behind
   * the message, at its first byte (again, as single datagrams), at a last datagram that may still fit, or BLOCKED.
   */
  #afterFailure(queue: TransmitQueue, i: number, error: number): number {
    const entry = this.#entryOf[i]!, byte = this.#byteOf[i]!, length = this.#lengthOf[i]!;
    const segment = queue.segmentOf(entry);
    if (segment >= length) {
      this.#lost(error, 1);
      return byte + length;
    }
    if (error === EIO) {
      this.#refused();
      return byte;
    }
    if (error === EINVAL) {
      // Either segmentation is refused, or the datagrams themselves are: the first one alone tells.
      this.#patch(i, queue.offsetOf(entry) + byte, segment, 0);
      if (this.#libc.sendmmsg(this.#fd, this.#pointers[i]!, 1, MSG_DONTWAIT) === 1) {
        this.#refused();
        return byte + segment;
      }
      error = errno();
      if (error === EAGAIN) return BLOCKED;
    }
    const tail = length % segment;
    this.#lost(error, Math.floor(length / segment) + (tail > 0 && error !== EMSGSIZE ? 1 : 0));
    return tail > 0 && error === EMSGSIZE ? byte + length - tail : byte + length;
  }

  #refused(): void {
    this.segmentation = false;
    this.#counters.add(this.#reasons.refused);
  }

  #lost(error: number, datagrams: number): void {
    const reasons = this.#reasons;
    const reason =
      error === ENETUNREACH || error === EHOSTUNREACH || error === EADDRNOTAVAIL || error === ENETDOWN
        ? reasons.unreachable
        : error === EMSGSIZE
        ? reasons.tooBig
        : error === EPERM || error === EACCES
        ? reasons.denied
        : reasons.failed;
    this.#counters.add(reason, datagrams);
  }
}

/** EINVAL: not our address. The others: no way from it, but perhaps from another. */
function isAboutSource(error: number): boolean {
  return error === EINVAL || error === EADDRNOTAVAIL || error === ENETUNREACH;
}

/** Bytes of the longest train of `segment`-byte datagrams that one send takes. */
function trainLimit(segment: number): number {
  const most = (MAX_UDP_PAYLOAD / segment) | 0;
  return segment * (most < 1 ? 1 : most > MAX_GSO_SEGMENTS ? MAX_GSO_SEGMENTS : most);
}

function registerReasons(counters: Counters) {
  return {
    full: counters.register("udp_send_buffer_full"),
    refused: counters.register("udp_send_segmentation_refused"),
    otherSource: counters.register("udp_send_other_source"),
    unreachable: counters.register("udp_send_unreachable"),
    tooBig: counters.register("udp_send_too_big"),
    denied: counters.register("udp_send_denied"),
    failed: counters.register("udp_send_failed"),
  };
}
