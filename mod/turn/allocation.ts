/**
 * The TURN client's side of one relay (RFC 8656, spec snownet §3), as a pure state machine.
 *
 *     BINDING to each of the relay's sockets ─ first answer ─► that socket is active ─► ALLOCATE ─► allocated
 *     allocated: REFRESH at half of the lifetime, a BINDING when nothing came for 25 s, CHANNEL-BINDs on demand
 *     437 or an expired lifetime ─► invalidated ─► ALLOCATE again
 *     another refusal ─► suspended ─ after a growing pause ─► from the start
 *     no answer ─► freed("no response received"): the owner drops it
 *
 * Only what arrives shows that a relay lives: sending postpones nothing. An owner who misses something can have a silent
 * relay asked at once (`verify`), and after a change of network where we are now (`probe`).
 *
 * All TURN traffic takes the active socket, also that of the other family's relayed address. BINDING answers yield
 * candidates: the local address they arrived at (host), and what the relay saw (server-reflexive).
 */
import type { RandomBytes } from "../crypto/types.ts";
import type { IpFamily, SocketAddress } from "../packet/address.ts";
import { Path } from "../packet/path.ts";
import type { Transmit } from "../packet/transmit.ts";
import { AttributeType as A, decodeStun, Method, type StunMessage } from "../stun/mod.ts";
import { TRANSACTION_ID_SIZE, transactionKey } from "../stun/mod.ts";
import { Addresses } from "./addresses.ts";
import { Authentication } from "./authentication.ts";
import { Channels } from "./channels.ts";
import type { AllocationEvent, FreedReason } from "./events.ts";
import { type AllocationOptions, isUsable } from "./options.ts";
import { PendingRequests } from "./pending_requests.ts";
import {
  BOTH_FAMILIES,
  encodeRequest,
  FAREWELL,
  PendingRequest,
  probePace,
  type TurnRequest,
} from "./request.ts";
import { RoundTrip } from "./round_trip.ts";

const KEEPALIVE_MS = 25_000;
/** `verify` believes in a relay that was heard from more recently than this. */
const SILENCE_MS = 3_000;
/** Peers that may wait for the allocation to be bound; the oldest gives way. */
const MAX_WAITING = 100;
/** Pause before a suspended allocation starts over: doubles from the first to the last, plus up to a quarter. */
const FIRST_PAUSE_MS = 5_000, LAST_PAUSE_MS = 300_000;
/** Challenges answered at once for one request; further ones wait for its timer. */
const MAX_CHALLENGES = 3;
/** Mismatches in a row after which an allocation is suspended instead of tried again at once. */
const MAX_MISMATCHES = 3;

export class Allocation {
  readonly relayId: string;
  /** The relay's sockets, for comparing with address records: words 0-4 of each path. */
  readonly sockets: readonly Path[];

  readonly #relay: readonly SocketAddress[];
  readonly #software: string;
  readonly #random: RandomBytes;
  readonly #authentication: Authentication;
  readonly #channels = new Channels();
  readonly #roundTrip = new RoundTrip();
  readonly #pending = new PendingRequests();
  readonly #waiting = new Map<string, SocketAddress>();
  readonly #transmits: Transmit[] = [];
  readonly #known = new Addresses();
  #activeSocket: SocketAddress | undefined;
  #isAllocated = false;
  #refreshAt = Infinity;
  #expiresAt = Infinity;
  #keepaliveAt = Infinity;
  #resumeAt = Infinity;
  /** When something last arrived from the relay. */
  #heardAt = -Infinity;
  #pause = FIRST_PAUSE_MS;
  #mismatches = 0;
  #failure: FreedReason | undefined;
  #isReleased = false;

  constructor(options: AllocationOptions) {
    this.relayId = options.relayId;
    const { v4, v6 } = options.addresses;
    this.#relay = [v4, v6].filter((address) => address !== undefined);
    this.sockets = this.#relay.map((address) => Path.of(address));
    this.#software = options.software;
    this.#random = options.random;
    this.#authentication = new Authentication(options);
    if (isUsable(options)) this.#start(options.now);
    else this.#failure = "unusable description";
  }

  // What there is -------------------------------------------------------------------------------------------------

  /** True when `from` is one of the relay's sockets. */
  matches(from: SocketAddress): boolean {
    return this.#relay.some((address) => address.equals(from));
  }

  /** The relay's socket that all our traffic to it goes to; undefined before the first answer and after silence. */
  get activeSocket(): SocketAddress | undefined {
    return this.#activeSocket;
  }

  relayedAddress(family: IpFamily): SocketAddress | undefined {
    return this.#known.relayed(family);
  }

  /** Smoothed round-trip time in ms; undefined before the first answer. */
  get rtt(): number | undefined {
    return this.#roundTrip.value;
  }

  /** When the relay was last heard from; -Infinity: never. */
  get heardAt(): number {
    return this.#heardAt;
  }

  /** Why nothing more will come of it; settled once transmits and events are drained. Undefined = it lives. */
  get freed(): FreedReason | undefined {
    if (this.#failure) return this.#failure;
    if (this.#pending.size > 0 || this.#transmits.length > 0 || this.#known.hasEvents) return undefined;
    if (this.#isReleased) return "released";
    if (!this.#activeSocket) return "no response received";
    return this.#authentication.isRejected ? "authentication error" : undefined;
  }

  // Channels ------------------------------------------------------------------------------------------------------

  /** Makes sure that `peer` has a channel, now or as soon as there is an allocation. */
  bind(peer: SocketAddress, now: number): void {
    if (this.#failure || this.#isReleased || this.#isSuspended || this.#waiting.has(peer.key)) return;
    if (!this.#isAllocated) return this.#wait(peer);
    if (this.#channels.usable(peer, now) || !this.#known.relayed(peer.family)) return;
    const channel = this.#channels.take(peer, now);
    if (channel) this.#sendBind(channel.number, peer, now);
  }

  /**
   * The number of the channel to `peer` for data that is about to be sent; 0 = there is none, the data is lost.
   * Starts a bind where one is needed, so drain `pollTransmit()` before sending: the relay must see the bind first.
   */
  channelTo(peer: SocketAddress, now: number): number {
    if (!this.#activeSocket || !this.#isAllocated) {
      this.bind(peer, now);
      return 0;
    }
    let channel = this.#channels.usable(peer, now);
    if (!channel) {
      this.bind(peer, now);
      channel = this.#channels.usable(peer, now);
      if (!channel) return 0;
    }
    this.#channels.noteSent(channel, now);
    return channel.number;
  }

  /** The peer behind `channel` of a ChannelData message that just arrived; undefined = not bound, drop it. */
  peerOf(channel: number, now: number): SocketAddress | undefined {
    const known = this.#channels.confirmed(channel);
    if (!known) return undefined;
    this.#channels.noteReceived(known, now);
    this.#noteHeard(now);
    return known.peer;
  }

  // Input ---------------------------------------------------------------------------------------------------------

  /**
   * A datagram from `from` that arrived at our address `local` and is no ChannelData. True when it was the expected
   * answer to something.
   */
  handleDatagram(from: SocketAddress, local: SocketAddress, bytes: Uint8Array, now: number): boolean {
    if (!this.matches(from)) return false;
    const answer = decodeStun(bytes);
    if (!answer || (answer.class !== "success" && answer.class !== "error")) return false;
    const key = transactionKey(answer.transactionId);
    const pending = this.#pending.get(key);
    if (!pending || pending.request.method !== answer.method || !pending.request.dst.equals(from)) {
      return false;
    }
    if (answer.class === "error" && !answer.errorCode) return false;
    if (answer.method !== Method.BINDING && !this.#authentication.accepts(answer, pending)) return false;
    this.#channels.refreshesSending = this.#authentication.isPlain;
    this.#pending.delete(key);
    this.#noteHeard(now);
    this.#roundTrip.sample(now - pending.sentAt);
    if (answer.class === "error") this.#handleError(answer, answer.errorCode!.code, pending, now);
    else this.#handleSuccess(answer, pending.request, local, now);
    this.#suspendWhenStuck(now);
    return true;
  }

  /**
   * Checks that the relay is still there; starts over when it was asked to wait. A relay that does not answer a few
   * quick requests takes the allocation with it.
   */
  refresh(now: number): void {
    if (this.#failure || this.#isReleased || this.#authentication.isRejected) return;
    if (this.#isAllocated) {
      if (!this.#pending.includes(Method.REFRESH)) this.#sendRefresh(now, { pace: probePace(this.rtt) });
    } else if (this.#isSuspended) {
      this.#start(now);
    }
  }

  /** Something that ought to come over this relay doesn't: `refresh`, unless the relay has just shown that it lives. */
  verify(now: number): void {
    if (now - this.#heardAt >= SILENCE_MS) this.refresh(now);
  }

  /**
   * Our own address may have changed: asks each of the relay's sockets at once where we are now. Asking again before
   * the answer gives a dead relay no more time.
   */
  probe(now: number): void {
    if (this.#failure || this.#isReleased || this.#authentication.isRejected) return;
    for (const dst of this.#relay) {
      const [key, pending] = this.#pending.bindingTo(dst) ?? [];
      if (pending && pending.isLate(now)) continue;
      if (key !== undefined) this.#pending.delete(key);
      this.#sendBinding(dst, now, pending?.startedAt);
    }
  }

  /** Gives the allocation back to the relay; nothing else happens afterwards. */
  release(now: number): void {
    if (this.#failure || this.#isReleased) return;
    const mayExist = this.#isAllocated || this.#pending.includes(Method.ALLOCATE);
    this.#invalidate();
    this.#waiting.clear();
    this.#isReleased = true;
    if (this.#activeSocket && mayExist) this.#sendRefresh(now, { isDelete: true, pace: FAREWELL });
  }

  handleTimeout(now: number): void {
    if (this.#failure) return;
    for (const [key, pending] of [...this.#pending]) {
      if (pending.timeoutAt > now || this.#pending.get(key) !== pending) continue;
      this.#pending.delete(key);
      if (pending.isExhausted(now)) this.#giveUp(pending.request);
      else this.#send(pending.request, now, pending);
    }
    if (this.#expiresAt <= now) this.#invalidate();
    if (this.#refreshAt <= now) {
      this.#refreshAt = Infinity;
      if (!this.#pending.includes(Method.REFRESH)) this.#sendRefresh(now);
    }
    if (this.#keepaliveAt <= now) {
      this.#keepaliveAt = now + KEEPALIVE_MS;
      if (this.#activeSocket && !this.#pending.includes(Method.BINDING)) {
        this.#sendBinding(this.#activeSocket, now);
      }
    }
    for (const { number, peer } of this.#channels.due(now)) this.#sendBind(number, peer, now);
    if (this.#resumeAt <= now) this.#start(now);
    this.#suspendWhenStuck(now);
  }

  // Output --------------------------------------------------------------------------------------------------------

  /** Absolute ms at which `handleTimeout` is due; undefined = never by itself. */
  pollTimeout(): number | undefined {
    if (this.#failure) return undefined;
    const next = Math.min(
      this.#expiresAt,
      this.#refreshAt,
      this.#keepaliveAt,
      this.#resumeAt,
      this.#channels.dueAt,
      this.#pending.dueAt,
    );
    return next === Infinity ? undefined : next;
  }

  pollTransmit(): Transmit | undefined {
    return this.#transmits.shift();
  }

  pollEvent(): AllocationEvent | undefined {
    return this.#known.pollEvent();
  }

  // Answers -------------------------------------------------------------------------------------------------------

  #handleSuccess(answer: StunMessage, request: TurnRequest, local: SocketAddress, now: number): void {
    switch (request.method) {
      case Method.BINDING:
        return this.#handleBinding(answer, request.dst, local, now);
      case Method.ALLOCATE:
        return this.#handleAllocated(answer, now);
      case Method.REFRESH:
        if (request.isDelete || answer.lifetime === 0) {
          if (this.#isReleased) return;
          this.#invalidate();
          return this.#sendAllocate(now);
        }
        if (answer.lifetime !== undefined) this.#noteLifetime(answer.lifetime, now);
        return;
      case Method.CHANNEL_BIND:
        return this.#channels.confirm(request.channel!, now);
    }
  }

  #handleBinding(answer: StunMessage, socket: SocketAddress, local: SocketAddress, now: number): void {
    const moved = this.#known.noteBinding(socket.family, local, answer.xorMappedAddress);
    if (!this.#activeSocket) {
      this.#activeSocket = socket;
      this.#sendAllocate(now);
    } else if (moved && this.#activeSocket.equals(socket)) this.#handleMove(now);
  }

  /** Our mapping changed, so the relay no longer knows us; only an authenticated answer can tell for sure. */
  #handleMove(now: number): void {
    if (!this.#isAllocated) {
      // What was refused to the old address, or is on its way there, is asked from the new one.
      this.#pending.keepBindings();
      this.#resumeAt = Infinity;
      this.#sendAllocate(now);
    } else if (!this.#pending.includes(Method.REFRESH)) this.#sendRefresh(now);
  }

  #handleAllocated(answer: StunMessage, now: number): void {
    const granted = answer.xorRelayedAddresses.filter((address) => address.port !== 0);
    if (!answer.lifetime || granted.length === 0) return;
    this.#pause = FIRST_PAUSE_MS;
    // Perhaps it was not the relay that forgot us, but we who moved: a BINDING tells.
    this.#keepaliveAt = this.#mismatches > 0 ? now : now + KEEPALIVE_MS;
    this.#mismatches = 0;
    this.#known.noteRelayed(granted);
    this.#isAllocated = true;
    this.#noteLifetime(answer.lifetime, now);
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const peer of waiting) this.bind(peer, now);
  }

  #noteLifetime(seconds: number, now: number): void {
    this.#refreshAt = now + seconds * 500;
    this.#expiresAt = now + seconds * 1000;
  }

  #handleError(answer: StunMessage, code: number, pending: PendingRequest, now: number): void {
    const { request } = pending;
    if (request.method === Method.BINDING) return; // nobody has signed it
    switch (code) {
      case 400:
        // A plain relay wants to be asked for its challenge without a credential (`authentication.ts`).
        if (this.#authentication.asksForChallenge && !pending.isBare) return this.#send(request, now);
        break;
      case 401:
        if (pending.nonce === undefined) return this.#answerChallenge(answer, pending, now);
        this.#authentication.reject();
        this.#invalidate();
        return;
      case 438:
        return this.#answerChallenge(answer, pending, now);
      case 420:
        this.#invalidate();
        this.#failure = "protocol failure";
        return;
      case 437:
        return this.#handleMismatch(request, now);
    }
    if (request.method === Method.ALLOCATE) this.#waiting.clear();
    if (request.method === Method.CHANNEL_BIND) this.#channels.fail(request.channel!);
  }

  #answerChallenge(answer: StunMessage, pending: PendingRequest, now: number): void {
    const { request } = pending;
    if (!this.#authentication.takeChallenge(answer)) {
      if (request.method === Method.CHANNEL_BIND) this.#channels.fail(request.channel!);
      return;
    }
    const challenges = pending.challenges + 1;
    if (challenges <= MAX_CHALLENGES) return this.#send(request, now, undefined, challenges);
    // A relay that does nothing but challenge is answered at the pace of the retry timer.
    this.#pending.set(transactionKey(answer.transactionId), pending);
  }

  /** 437: the relay has no allocation for us where we thought so, or has one where we didn't. */
  #handleMismatch(request: TurnRequest, now: number): void {
    const peer = request.method === Method.CHANNEL_BIND
      ? this.#channels.peerOfNumber(request.channel!)
      : undefined;
    this.#invalidate();
    if (this.#isReleased) return;
    if (++this.#mismatches > MAX_MISMATCHES) {
      this.#waiting.clear();
      return;
    }
    if (peer) this.#wait(peer);
    if (request.method === Method.ALLOCATE) this.#sendRefresh(now, { isDelete: true });
    else this.#sendAllocate(now);
  }

  // Requests ------------------------------------------------------------------------------------------------------

  #start(now: number): void {
    this.#resumeAt = Infinity;
    this.#activeSocket = undefined;
    for (const address of this.#relay) this.#sendBinding(address, now);
  }

  #sendBinding(dst: SocketAddress, now: number, startedAt = now): void {
    this.#send({ method: Method.BINDING, attributes: [], dst, startedAt }, now);
  }

  #sendAllocate(now: number): void {
    this.#sendToActive({ method: Method.ALLOCATE, attributes: BOTH_FAMILIES }, now);
  }

  /** The signed dialect repeats ALLOCATE's attributes, which RFC 8656 does not allow here. */
  #sendRefresh(now: number, kind: Pick<TurnRequest, "isDelete" | "pace"> = {}): void {
    const attributes = this.#authentication.isPlain ? [] : BOTH_FAMILIES;
    this.#sendToActive({ method: Method.REFRESH, attributes, ...kind }, now);
  }

  #sendBind(channel: number, peer: SocketAddress, now: number): void {
    this.#sendToActive({
      method: Method.CHANNEL_BIND,
      attributes: [[A.XOR_PEER_ADDRESS, peer], [A.CHANNEL_NUMBER, channel]],
      channel,
    }, now);
  }

  #sendToActive(request: Omit<TurnRequest, "dst">, now: number): void {
    if (this.#activeSocket) this.#send({ ...request, dst: this.#activeSocket }, now);
  }

  /** One attempt at `request`: with the budget of `previous`, or a fresh one. */
  #send(request: TurnRequest, now: number, previous?: PendingRequest, challenges = 0): void {
    const authentication = this.#authentication;
    const isBare = request.method === Method.BINDING || authentication.asksForChallenge;
    const transactionId = this.#random(TRANSACTION_ID_SIZE);
    const payload = encodeRequest(
      request,
      transactionId,
      this.#software,
      isBare ? undefined : authentication,
    );
    this.#pending.set(
      transactionKey(transactionId),
      new PendingRequest(
        request,
        isBare ? undefined : authentication.nonce,
        isBare,
        now,
        previous,
        challenges,
      ),
    );
    this.#transmits.push({ dst: request.dst, payload });
  }

  /** No answer at all. A socket that carries our traffic and falls silent takes the allocation with it. */
  #giveUp(request: TurnRequest): void {
    if (this.#activeSocket?.family !== request.dst.family) return;
    this.#activeSocket = undefined;
    this.#invalidate();
  }

  // State ---------------------------------------------------------------------------------------------------------

  #noteHeard(now: number): void {
    this.#heardAt = now;
    if (this.#isAllocated) this.#keepaliveAt = now + KEEPALIVE_MS;
  }

  /** Answered once, but without allocation and without anything under way to get one. */
  get #isSuspended(): boolean {
    return !this.#isAllocated && this.#pending.size === 0;
  }

  /** Plans the next start of an allocation that was refused. */
  #suspendWhenStuck(now: number): void {
    if (!this.#isSuspended || !this.#activeSocket || this.#resumeAt !== Infinity) return;
    if (this.#failure || this.#isReleased || this.#authentication.isRejected) return;
    this.#waiting.clear();
    this.#mismatches = 0;
    this.#resumeAt = now + this.#pause * (1 + this.#random(1)[0]! / 1024);
    this.#pause = Math.min(LAST_PAUSE_MS, this.#pause * 2);
  }

  #wait(peer: SocketAddress): void {
    if (this.#waiting.size === MAX_WAITING) this.#waiting.delete(this.#waiting.keys().next().value!);
    this.#waiting.set(peer.key, peer);
  }

  /** Forgets the allocation and all that hung on it. */
  #invalidate(): void {
    this.#known.forgetRelayed();
    this.#isAllocated = false;
    this.#refreshAt = this.#expiresAt = this.#keepaliveAt = Infinity;
    this.#channels.clear();
    this.#pending.clear();
  }
}
