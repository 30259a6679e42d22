/**
 * The channels of one allocation (RFC 8656 §12, spec snownet §3.8): which number stands for which peer, and how long.
 *
 *     bind ──► in flight ──success──► bound ──10 min──► cooling down ──15 min──► number free for another peer
 *                  └──────error─────► forgotten
 *
 * A relay carries data on a channel for 10 minutes after each bind and keeps number and peer reserved for 5 more.
 * Data is sent on a channel while its first bind is still in flight: the relay sees the bind first.
 * A channel on which something arrived since its last bind is bound again half-way; one that only sends is left to
 * run out, except at relays that tie permissions to binds (`refreshesSending`).
 */
import type { SocketAddress } from "../packet/address.ts";

export const FIRST_NUMBER = 0x4000;
export const LAST_NUMBER = 0x4fff;
const NUMBERS = LAST_NUMBER - FIRST_NUMBER + 1;

/** 10 minutes less a margin for the way: what leaves at the last moment must arrive before the relay's own end. */
const USABLE_MS = 595_000;
const RESERVED_MS = 900_000;
const REFRESH_MS = 300_000;
/** RFC 8656 §9: a permission lasts 5 minutes, and only a bind renews it. */
const PERMISSION_REFRESH_MS = 240_000;

export interface Channel {
  readonly number: number;
  readonly peer: SocketAddress;
  confirmed: boolean;
  /** A CHANNEL-BIND for it is pending. */
  binding: boolean;
  /** Time of the last bind: of its success once confirmed. */
  boundAt: number;
  /** Time of the last data from the peer; not above `boundAt` = none since the bind. */
  receivedAt: number;
  /** Time of the last data to the peer, likewise. */
  sentAt: number;
}

export class Channels {
  /** Set for relays that follow RFC 8656 to the letter: what we send on must be re-bound, too, and sooner. */
  refreshesSending = false;
  readonly #byNumber: (Channel | undefined)[] = new Array(NUMBERS).fill(undefined);
  readonly #byPeer = new Map<string, Channel>();
  #next = FIRST_NUMBER;
  #dueAt = Infinity;
  #last: Channel | undefined;

  /** The channel to send to `peer` on, confirmed or in flight. */
  usable(peer: SocketAddress, now: number): Channel | undefined {
    const channel = this.#last?.peer === peer ? this.#last : this.#byPeer.get(peer.key);
    if (!channel || (!channel.binding && (!channel.confirmed || now - channel.boundAt >= USABLE_MS))) {
      return undefined;
    }
    this.#last = channel;
    return channel;
  }

  /** The channel that `number` stands for in received data: any that was ever confirmed. */
  confirmed(number: number): Channel | undefined {
    const channel = this.#byNumber[number - FIRST_NUMBER];
    return channel?.confirmed ? channel : undefined;
  }

  /** The peer that `number` is, or is about to be, bound to. */
  peerOfNumber(number: number): SocketAddress | undefined {
    return this.#byNumber[number - FIRST_NUMBER]?.peer;
  }

  /**
   * The channel by which to bind `peer`, marked as in flight: its reserved number if it has one, else a new one.
   * Undefined when all numbers are taken.
   */
  take(peer: SocketAddress, now: number): Channel | undefined {
    const known = this.#byPeer.get(peer.key);
    if (known?.confirmed && now - known.boundAt < RESERVED_MS) {
      known.binding = true;
      return known;
    }
    const number = this.#freeNumber(now);
    if (number === undefined) return undefined;
    const channel: Channel = {
      number,
      peer,
      confirmed: false,
      binding: true,
      boundAt: now,
      receivedAt: now,
      sentAt: now,
    };
    this.#forget(this.#byNumber[number - FIRST_NUMBER]);
    this.#byNumber[number - FIRST_NUMBER] = channel;
    this.#byPeer.set(peer.key, channel);
    this.#next = number === LAST_NUMBER ? FIRST_NUMBER : number + 1;
    return channel;
  }

  /** The relay has bound it. */
  confirm(number: number, now: number): void {
    const channel = this.#byNumber[number - FIRST_NUMBER];
    if (!channel) return;
    channel.confirmed = true;
    channel.binding = false;
    channel.boundAt = channel.receivedAt = channel.sentAt = now;
    this.#dueAt = Math.min(this.#dueAt, now + this.#refreshAge);
  }

  /** The relay has refused to bind it. */
  fail(number: number): void {
    this.#forget(this.#byNumber[number - FIRST_NUMBER]);
  }

  clear(): void {
    this.#byNumber.fill(undefined);
    this.#byPeer.clear();
    this.#next = FIRST_NUMBER;
    this.#dueAt = Infinity;
    this.#last = undefined;
  }

  noteReceived(channel: Channel, now: number): void {
    channel.receivedAt = now;
    if (now - channel.boundAt >= this.#refreshAge && !channel.binding) {
      this.#dueAt = Math.min(this.#dueAt, now);
    }
  }

  noteSent(channel: Channel, now: number): void {
    channel.sentAt = now;
    if (!this.refreshesSending || channel.binding) return;
    if (now - channel.boundAt >= this.#refreshAge) this.#dueAt = Math.min(this.#dueAt, now);
  }

  /** When {@link due} is worth calling; Infinity = not by itself. */
  get dueAt(): number {
    return this.#dueAt;
  }

  /** The channels to bind again now, marked as in flight. */
  due(now: number): Channel[] {
    if (now < this.#dueAt) return [];
    this.#dueAt = Infinity;
    const due: Channel[] = [];
    for (const channel of this.#byNumber) {
      if (!channel?.confirmed || channel.binding) continue;
      const refreshAt = channel.boundAt + this.#refreshAge;
      if (now < refreshAt) this.#dueAt = Math.min(this.#dueAt, refreshAt);
      else if (this.#isInUse(channel)) {
        channel.binding = true;
        due.push(channel);
      }
    }
    return due;
  }

  #isInUse(channel: Channel): boolean {
    return channel.receivedAt > channel.boundAt ||
      (this.refreshesSending && channel.sentAt > channel.boundAt);
  }

  get #refreshAge(): number {
    return this.refreshesSending ? PERMISSION_REFRESH_MS : REFRESH_MS;
  }

  /** The next number in the cycle that nothing holds; when all are held, the next whose channel has run out. */
  #freeNumber(now: number): number | undefined {
    let expired: number | undefined;
    for (let i = 0; i < NUMBERS; i++) {
      const index = (this.#next - FIRST_NUMBER + i) % NUMBERS;
      const channel = this.#byNumber[index];
      if (!channel) return FIRST_NUMBER + index;
      if (
        expired === undefined && !channel.binding && channel.receivedAt <= channel.boundAt &&
        now - channel.boundAt >= RESERVED_MS
      ) expired = FIRST_NUMBER + index;
    }
    return expired;
  }

  #forget(channel: Channel | undefined): void {
    if (!channel) return;
    this.#byNumber[channel.number - FIRST_NUMBER] = undefined;
    if (this.#byPeer.get(channel.peer.key) === channel) this.#byPeer.delete(channel.peer.key);
    if (this.#last === channel) this.#last = undefined;
  }
}
