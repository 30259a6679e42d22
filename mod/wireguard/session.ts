/**
 * One session: the pair of transport keys that a handshake made, the counters, and the replay window
 * (paper §5.4.5 and §5.4.6). This is the packet path: it works in place in the slab and allocates nothing.
 *
 * A transport message in the slab, `offset` 4-aligned for sealing:
 *
 *     offset + 0   u32 type 4 · u32 receiver index · u64 counter          all little-endian
 *     offset + 16  plaintext, then ciphertext · 16-byte tag
 */
import type { Aead, AeadKey } from "../crypto/types.ts";
import type { Slab } from "../packet/slab.ts";
import { REJECT_AFTER_MESSAGES_HIGH, REJECT_AFTER_MESSAGES_LOW, TAG_LENGTH } from "./constants.ts";
import type { TransportKeys } from "./handshake.ts";
import { KEEPALIVE_LENGTH, MessageType, TRANSPORT, TRANSPORT_HEADER_LENGTH } from "./messages.ts";
import { ReplayWindow } from "./replay.ts";

/** Why `Session.open` refused a message. All negative. */
export const OPEN_TOO_SHORT = -1;
/** The session was replaced or closed. */
export const OPEN_CLOSED = -2;
/** Counter at or above REJECT_AFTER_MESSAGES. */
export const OPEN_EXHAUSTED = -3;
/** Counter seen before, or too old for the window. */
export const OPEN_REPLAYED = -4;
/** Not authentic. */
export const OPEN_FORGED = -5;

export class Session {
  /** Our receiver index, the one that the peer writes on what it sends. */
  readonly index: number;
  readonly remoteIndex: number;
  /** True when we sent the initiation. */
  readonly initiator: boolean;
  readonly establishedAt: number;
  /** Order of establishment within the tunnel. */
  readonly sequence: number;
  /** Next counter to send, u64 as two u32 words. */
  sendCounterLow = 0;
  sendCounterHigh = 0;
  /** Non-empty packets went out, came in. */
  sentData = false;
  receivedData = false;
  /** Where the plaintext of the last successful `open` starts. */
  openedAt = 0;

  readonly #slab: Slab;
  readonly #sendKey: AeadKey;
  readonly #receiveKey: AeadKey;
  readonly #window = new ReplayWindow();
  #closed = false;

  /** Takes the keys over and wipes the ones in `transport`. */
  constructor(
    slab: Slab,
    aead: Aead,
    transport: TransportKeys,
    about: { index: number; initiator: boolean; establishedAt: number; sequence: number },
  ) {
    this.#slab = slab;
    this.#sendKey = aead.createKey(transport.sendKey);
    this.#receiveKey = aead.createKey(transport.receiveKey);
    transport.sendKey.fill(0);
    transport.receiveKey.fill(0);
    this.remoteIndex = transport.remoteIndex;
    this.index = about.index;
    this.initiator = about.initiator;
    this.establishedAt = about.establishedAt;
    this.sequence = about.sequence;
  }

  /**
   * Seals `count` packets that lie at `offset + i * stride + 16`, all `plaintextLength` long but the last, which has
   * `lastPlaintextLength`. Lengths are already padded; each message grows by 32 bytes (header and tag).
   * `offset` and `stride` are multiples of 4, `stride` at least `plaintextLength + 32`.
   * A session that the tunnel just gave out has room for 8192 more messages. Throws when it was closed since.
   */
  seal(
    offset: number,
    stride: number,
    plaintextLength: number,
    lastPlaintextLength: number,
    count: number,
  ): void {
    if (this.#closed) {
      throw new Error("Cannot seal: the session is closed. Ask the tunnel for one before each run.");
    }
    const words = this.#slab.words, key = this.#sendKey, remoteIndex = this.remoteIndex;
    const last = count - 1;
    let low = this.sendCounterLow, high = this.sendCounterHigh;
    for (let i = 0, at = offset; i <= last; i++, at += stride) {
      const word = at >>> 2;
      words[word] = MessageType.Transport;
      words[word + 1] = remoteIndex;
      words[word + 2] = low;
      words[word + 3] = high;
      key.seal(at + TRANSPORT_HEADER_LENGTH, i === last ? lastPlaintextLength : plaintextLength, low, high);
      low = (low + 1) >>> 0;
      if (low === 0) high = (high + 1) >>> 0;
    }
    this.sendCounterLow = low;
    this.sendCounterHigh = high;
  }

  /**
   * Opens the transport message slab[offset, offset + length) in place: the length of the plaintext, which starts
   * at `openedAt`, or an OPEN_* reason. Padding is still part of it. The caller found this session by the index in
   * the message. `offset` may have any alignment: if need be the ciphertext first moves down by 1..3 bytes.
   */
  open(offset: number, length: number): number {
    if (length < KEEPALIVE_LENGTH) return OPEN_TOO_SHORT;
    if (this.#closed) return OPEN_CLOSED;
    const view = this.#slab.view;
    const low = view.getUint32(offset + TRANSPORT.counter, true);
    const high = view.getUint32(offset + TRANSPORT.counter + 4, true);
    if (isExhausted(low, high)) return OPEN_EXHAUSTED;
    if (!this.#window.check(low, high)) return OPEN_REPLAYED;
    const from = offset + TRANSPORT_HEADER_LENGTH, at = from & ~3;
    if (at !== from) this.#slab.bytes.copyWithin(at, from, offset + length);
    if (!this.#receiveKey.open(at, length - TRANSPORT_HEADER_LENGTH, low, high)) return OPEN_FORGED;
    if (!this.#window.accept(low, high)) return OPEN_REPLAYED;
    this.openedAt = at;
    return length - TRANSPORT_HEADER_LENGTH - TAG_LENGTH;
  }

  /** True when the next counter to send is at or above REJECT_AFTER_MESSAGES. */
  get exhausted(): boolean {
    return isExhausted(this.sendCounterLow, this.sendCounterHigh);
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Wipes the keys and frees their native memory. Nothing can be sealed or opened afterwards. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#sendKey.free();
    this.#receiveKey.free();
  }
}

function isExhausted(low: number, high: number): boolean {
  return high === REJECT_AFTER_MESSAGES_HIGH && low >= REJECT_AFTER_MESSAGES_LOW;
}
