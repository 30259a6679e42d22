/**
 * One WireGuard tunnel: everything between us and one peer (paper §5 and §6, spec snownet §4).
 *
 * A pure state machine. Handshake messages enter through `handleHandshake`; transport messages go straight to the
 * {@link Session} that `session(index)` or `sendSession(now)` gives, and the tunnel is told once per batch what went
 * by (`noteSent`, `noteReceived`). After any call drain `pollTransmit()` and `pollEvent()` and ask `pollTimeout()`.
 *
 * Who starts a handshake: `initiate(now)`, at once; and the timers, each time delayed by a random jitter:
 *   - a repetition of an unanswered initiation;
 *   - we initiated the session, and it is 120 s old and carried data from us, or 165 s old and carried data to us,
 *     or sent 2^60 messages, or is gone;
 *   - we sent data and heard nothing authentic for 15 s.
 * Sending never starts one: without a session `sendSession` gives undefined and the caller drops the packet (or, in
 * the client's role, calls `initiate`).
 *
 * A tunnel *expires* when initiations stay unanswered for the give-up time, or when no session was made for three
 * times the life of a session. Then it holds no keys and no timers until either side starts a new handshake.
 */
import type { Aead, Dh, RandomBytes, Sealer } from "../crypto/types.ts";
import type { Slab } from "../packet/slab.ts";
import {
  DEFAULT_TIMINGS,
  KEY_LENGTH,
  REKEY_AFTER_MESSAGES_HIGH,
  TIMESTAMP_LENGTH,
  type WireGuardTimings,
} from "./constants.ts";
import { CookieJar } from "./cookie.ts";
import {
  consumeResponse,
  createInitiation,
  createResponse,
  type HandshakeContext,
  type OpenedInitiation,
  openInitiation,
  openTimestamp,
  type PendingHandshake,
  type StaticKeys,
  type TransportKeys,
} from "./handshake.ts";
import type { HandshakeLimiter, Refusal } from "./limiter.ts";
import { classify, KEEPALIVE_LENGTH, MessageType, readU32, RESPONSE } from "./messages.ts";
import { NOBLE_SEALER } from "./noble_sealer.ts";
import { equalBytes, NO_PRESHARED_KEY, recipient } from "./noise.ts";
import { scratchOf } from "./scratch.ts";
import { Session } from "./session.ts";
import { SessionTable } from "./session_table.ts";
import { isAfter, Tai64nClock } from "./tai64n.ts";

/** An initiation that is older than this when the path changes is taken for lost, ms; a younger one may be on its way. */
const LOST_WITH_PATH = 200;

export interface TunnelOptions {
  readonly keys: StaticKeys;
  /** 32 bytes. */
  readonly peerPublicKey: Uint8Array;
  /** 32 bytes, copied; absent means none. */
  readonly presharedKey?: Uint8Array | undefined;
  /** 24-bit base of our receiver indices, see IndexAllocator. */
  readonly index: number;
  readonly limiter: HandshakeLimiter;
  readonly slab: Slab;
  readonly aead: Aead;
  readonly dh: Dh;
  /** Default: in JavaScript. */
  readonly sealer?: Sealer | undefined;
  readonly random: RandomBytes;
  /** Wall clock, milliseconds since the Unix epoch. */
  readonly unixNow: () => number;
  /** What differs from the default profile. */
  readonly timings?: Partial<WireGuardTimings> | undefined;
  readonly now: number;
}

/** What a handshake message led to. Only the first three changed anything. */
export type HandshakeOutcome =
  | "initiation-accepted"
  | "response-accepted"
  | "cookie-accepted"
  /** With "cookie-required" `pollTransmit` has the reply, which belongs to the sender's address. */
  | Refusal
  /** Not authentic, or not made for our key. */
  | "forged"
  /** An initiation by somebody else's key. */
  | "wrong-peer"
  /** An initiation whose timestamp is not greater than the last one's. */
  | "replayed"
  /** A response or cookie reply to nothing that we sent. */
  | "unknown-index"
  | "closed";

export type TunnelEvent =
  /** There is a session to send on, and there was none. */
  | { readonly type: "established" }
  | { readonly type: "expired" };

/** The peer's public key is none: wrong length, or a low-order point. */
export class InvalidPeerKeyError extends Error {
  override readonly name = "InvalidPeerKeyError";
}

export class Tunnel {
  /** 24-bit base of our receiver indices. */
  readonly index: number;

  readonly #context: HandshakeContext;
  readonly #limiter: HandshakeLimiter;
  readonly #slab: Slab;
  readonly #aead: Aead;
  readonly #timings: WireGuardTimings;
  readonly #clock: Tai64nClock;
  readonly #cookies: CookieJar;
  readonly #sessions: SessionTable;
  readonly #scratch: number;

  /** Our initiation that waits for a response, and the one before it, whose late response is as good. */
  #pending: PendingHandshake | undefined;
  #previous: PendingHandshake | undefined;
  /** Greatest timestamp that we accepted. */
  #timestamp: Uint8Array = new Uint8Array(TIMESTAMP_LENGTH);
  /** Role in the session established last. */
  #initiator = false;
  #expired = false;
  #closed = false;

  // Times in milliseconds; Infinity means "not running".
  /** First of the initiations that are unanswered so far. */
  #attemptStartedAt = Infinity;
  /** When to send the initiation that a timer decided on. */
  #scheduledAt = Infinity;
  /** First data sent since we last received anything authentic. */
  #unansweredSince = Infinity;
  /** First data received since we last sent anything. */
  #unrepliedSince = Infinity;
  #lastSentAt: number;
  /** When the last session was made; at first, when the tunnel was. */
  #lastEstablishedAt: number;

  readonly #transmits: Uint8Array[] = [];
  readonly #events: TunnelEvent[] = [];

  /** Throws an InvalidPeerKeyError when the peer's public key can't be one. */
  constructor(options: TunnelOptions) {
    const { keys, dh, peerPublicKey, presharedKey = NO_PRESHARED_KEY } = options;
    if (presharedKey.length !== KEY_LENGTH) {
      throw new RangeError(
        `Cannot create a tunnel: the preshared key has ${presharedKey.length} bytes, not 32.`,
      );
    }
    const staticSecret = peerPublicKey.length === KEY_LENGTH
      ? dh.sharedSecret(keys.privateKey, peerPublicKey)
      : undefined;
    if (staticSecret === undefined) {
      throw new InvalidPeerKeyError(
        "Cannot create a tunnel: the peer's public key is not a point of Curve25519. Check where it comes from.",
      );
    }
    const peer = recipient(peerPublicKey.slice());
    this.index = options.index;
    this.#context = {
      keys,
      peer,
      self: recipient(keys.publicKey),
      staticSecret,
      presharedKey: presharedKey.slice(),
      dh,
      sealer: options.sealer ?? NOBLE_SEALER,
      random: options.random,
    };
    this.#limiter = options.limiter;
    this.#slab = options.slab;
    this.#aead = options.aead;
    this.#timings = { ...DEFAULT_TIMINGS, ...options.timings };
    this.#clock = new Tai64nClock(options.unixNow);
    this.#cookies = new CookieJar(peer, this.#context.sealer);
    this.#sessions = new SessionTable(options.index);
    this.#scratch = scratchOf(options.slab);
    this.#lastSentAt = this.#lastEstablishedAt = options.now;
  }

  /**
   * Processes an initiation, response or cookie reply, through the limiter.
   * @param source address bytes of the sender, as in `HandshakeLimiter.admit`.
   */
  handleHandshake(message: Uint8Array, source: Uint8Array, now: number): HandshakeOutcome {
    if (this.#closed) return "closed";
    if (classify(message) === MessageType.CookieReply) return this.#cookies.accept(message, now);
    const admission = this.#limiter.admit(message, source, now);
    if (admission.admitted) return this.handleAdmitted(message, now);
    if (admission.reply !== undefined) this.#transmits.push(admission.reply);
    return admission.refusal;
  }

  /**
   * The same for an initiation or response that the limiter already admitted: a node asks the limiter first, then
   * finds out whose initiation it is, at the price of one DH.
   * @param opened what `openInitiation` made of it, if that was called.
   */
  handleAdmitted(message: Uint8Array, now: number, opened?: OpenedInitiation): HandshakeOutcome {
    if (this.#closed) return "closed";
    switch (classify(message)) {
      case MessageType.Initiation:
        return this.#handleInitiation(message, now, opened);
      case MessageType.Response:
        return this.#handleResponse(message, now);
      default:
        return "malformed";
    }
  }

  /** The session that a transport message with this receiver index belongs to. */
  session(receiverIndex: number): Session | undefined {
    return this.#sessions.get(receiverIndex);
  }

  /** The session to send on, good for 8192 messages at most; undefined: drop the packet. */
  sendSession(now: number): Session | undefined {
    const session = this.#sessions.current;
    if (session === undefined || session.exhausted) return undefined;
    const { rejectAfterTime, keepaliveTimeout } = this.#timings;
    const life = session.initiator ? rejectAfterTime - keepaliveTimeout : rejectAfterTime;
    return now < session.establishedAt + life ? session : undefined;
  }

  /** When the session in use was made; undefined without one. */
  get handshakeAt(): number | undefined {
    return this.#sessions.current?.establishedAt;
  }

  /** True while there is a session that traffic may flow on. */
  get hasSession(): boolean {
    return this.#sessions.current !== undefined;
  }

  /** Sends an initiation now, unless one is unanswered yet. */
  initiate(now: number): void {
    if (this.#closed || this.#pending !== undefined) return;
    if (this.#expired) {
      this.#expired = false;
      this.#lastEstablishedAt = now;
    }
    this.#sendInitiation(now);
  }

  /** The same on a new path: an initiation that should have been answered was lost with the old one. */
  initiateAnew(now: number): void {
    if (this.#pending === undefined) this.initiate(now);
    else if (!this.#closed && now - this.#pending.sentAt >= LOST_WITH_PATH) this.#sendInitiation(now);
  }

  /** Transport messages went out on the session; `isData`: one of them at least was no keepalive. */
  noteSent(session: Session, isData: boolean, now: number): void {
    this.#lastSentAt = now;
    this.#unrepliedSince = Infinity;
    if (!isData) return;
    session.sentData = true;
    if (this.#unansweredSince === Infinity) this.#unansweredSince = now;
  }

  /** Transport messages were opened on the session; `isData`: one of them at least was not empty. */
  noteReceived(session: Session, isData: boolean, now: number): void {
    this.#unansweredSince = Infinity;
    if (isData) {
      session.receivedData = true;
      if (this.#unrepliedSince === Infinity) this.#unrepliedSince = now;
    }
    const hadSession = this.hasSession;
    if (this.#sessions.confirm(session) && !hadSession) this.#events.push({ type: "established" });
  }

  handleTimeout(now: number): void {
    if (this.#closed) return;
    this.#sessions.removeExpired(now, this.#timings.rejectAfterTime);
    if (this.#expired) return;
    if (this.#expiresAt() <= now) {
      this.#wipe();
      this.#expired = true;
      this.#events.push({ type: "expired" });
      return;
    }
    if (this.#scheduledAt === Infinity && this.#initiationDueAt() <= now) this.#schedule(now);
    if (this.#scheduledAt <= now) this.#sendInitiation(now);
    if (this.#keepaliveDueAt() <= now) this.#handleKeepaliveDue(now);
  }

  /** When to call `handleTimeout`, or undefined. */
  pollTimeout(): number | undefined {
    if (this.#closed || this.#expired) return undefined;
    return Math.min(
      this.#sessions.oldestEstablishedAt + this.#timings.rejectAfterTime,
      this.#expiresAt(),
      this.#scheduledAt === Infinity ? this.#initiationDueAt() : this.#scheduledAt,
      this.#keepaliveDueAt(),
    );
  }

  /** A message for the peer: a handshake message or a keepalive. */
  pollTransmit(): Uint8Array | undefined {
    return this.#transmits.shift();
  }

  pollEvent(): TunnelEvent | undefined {
    return this.#events.shift();
  }

  /** Wipes all secrets and frees the sessions' keys. The tunnel is inert afterwards. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#wipe();
    this.#cookies.clear();
    this.#context.presharedKey.fill(0);
    this.#context.staticSecret.fill(0);
    this.#transmits.length = 0;
    this.#events.length = 0;
  }

  #handleInitiation(message: Uint8Array, now: number, known?: OpenedInitiation): HandshakeOutcome {
    const { keys, self, dh, sealer, peer } = this.#context;
    const opened = known ?? openInitiation(keys, self, dh, sealer, message);
    if (opened === undefined) return "forged";
    if (!equalBytes(opened.peerPublicKey, peer.publicKey)) return "wrong-peer";
    const timestamp = openTimestamp(this.#context, opened);
    if (timestamp === undefined) return "forged";
    if (!isAfter(timestamp, this.#timestamp)) return "replayed";
    const index = this.#sessions.nextIndex();
    const response = createResponse(this.#context, opened, index);
    if (response === undefined) return "forged";
    this.#timestamp = timestamp;
    this.#endAttempt();
    this.#establish(response.transport, index, false, now);
    this.#unansweredSince = Infinity;
    this.#transmitHandshake(response.message, now);
    return "initiation-accepted";
  }

  #handleResponse(message: Uint8Array, now: number): HandshakeOutcome {
    const receiver = readU32(message, RESPONSE.receiver);
    const pending = [this.#pending, this.#previous].find((candidate) => candidate?.index === receiver);
    if (pending === undefined) return "unknown-index";
    const transport = consumeResponse(this.#context, pending, message);
    if (transport === undefined) return "forged";
    if (pending === this.#pending) {
      this.#pending = undefined;
    } else {
      this.#previous = undefined;
    }
    pending.wipe();
    this.#endAttempt();
    const hadSession = this.hasSession;
    const session = this.#establish(transport, pending.index, true, now);
    this.#unansweredSince = Infinity;
    if (!hadSession) this.#events.push({ type: "established" });
    this.#sendKeepalive(session, now); // the responder may not use the session before it hears from us
    return "response-accepted";
  }

  #establish(transport: TransportKeys, index: number, initiator: boolean, now: number): Session {
    const sequence = this.#sessions.count;
    const session = new Session(this.#slab, this.#aead, transport, {
      index,
      initiator,
      establishedAt: now,
      sequence,
    });
    this.#sessions.add(session);
    this.#initiator = initiator;
    this.#lastEstablishedAt = now;
    this.#expired = false;
    return session;
  }

  /** A session was made: nothing is to be repeated any more. A late response to the last initiation stays welcome. */
  #endAttempt(): void {
    this.#setAside();
    this.#attemptStartedAt = Infinity;
    this.#scheduledAt = Infinity;
  }

  #setAside(): void {
    if (this.#pending === undefined) return;
    this.#previous?.wipe();
    this.#previous = this.#pending;
    this.#pending = undefined;
  }

  #sendInitiation(now: number): void {
    if (this.#pending === undefined) this.#attemptStartedAt = now;
    this.#setAside();
    this.#scheduledAt = Infinity;
    const index = this.#sessions.nextIndex();
    const { message, pending } = createInitiation(this.#context, index, this.#clock.next(), now);
    this.#pending = pending;
    this.#transmitHandshake(message, now);
  }

  #transmitHandshake(message: Uint8Array, now: number): void {
    this.#cookies.stamp(message, now);
    this.#lastSentAt = now;
    this.#unrepliedSince = Infinity;
    this.#transmits.push(message);
  }

  #sendKeepalive(session: Session, now: number): void {
    session.seal(this.#scratch, KEEPALIVE_LENGTH, 0, 0, 1);
    this.#transmits.push(this.#slab.bytes.slice(this.#scratch, this.#scratch + KEEPALIVE_LENGTH));
    this.noteSent(session, false, now);
  }

  #schedule(now: number): void {
    const random = readU32(this.#context.random(4), 0);
    this.#scheduledAt = now + random / 2 ** 32 * this.#timings.jitter;
  }

  #expiresAt(): number {
    const { rejectAfterTime, rekeyAttemptTime } = this.#timings;
    return Math.min(this.#lastEstablishedAt + 3 * rejectAfterTime, this.#attemptStartedAt + rekeyAttemptTime);
  }

  /** When a timer decides to send an initiation, jitter apart. */
  #initiationDueAt(): number {
    const { rekeyTimeout, keepaliveTimeout, rekeyAfterTime, rejectAfterTime } = this.#timings;
    if (this.#pending !== undefined) return this.#pending.sentAt + rekeyTimeout;
    const session = this.#sessions.current;
    let due = this.#unansweredSince + keepaliveTimeout + rekeyTimeout;
    if (session === undefined) due = Math.min(due, this.#persistentDueAt());
    if (!this.#initiator) return due;
    if (session === undefined || session.sendCounterHigh >= REKEY_AFTER_MESSAGES_HIGH) return 0;
    if (session.sentData) due = Math.min(due, session.establishedAt + rekeyAfterTime);
    if (session.receivedData) {
      due = Math.min(due, session.establishedAt + rejectAfterTime - keepaliveTimeout - rekeyTimeout);
    }
    return due;
  }

  #keepaliveDueAt(): number {
    const passive = this.#unrepliedSince + this.#timings.keepaliveTimeout;
    return this.#sessions.current === undefined ? passive : Math.min(passive, this.#persistentDueAt());
  }

  #persistentDueAt(): number {
    const { persistentKeepalive } = this.#timings;
    return persistentKeepalive > 0 ? this.#lastSentAt + persistentKeepalive : Infinity;
  }

  #handleKeepaliveDue(now: number): void {
    const session = this.sendSession(now);
    if (session !== undefined) return this.#sendKeepalive(session, now);
    this.#unrepliedSince = Infinity; // nothing to send it on: the next packet, or interval, asks again
    this.#lastSentAt = now;
  }

  #wipe(): void {
    this.#sessions.clear();
    this.#pending?.wipe();
    this.#previous?.wipe();
    this.#pending = this.#previous = undefined;
    this.#initiator = false;
    this.#attemptStartedAt =
      this.#scheduledAt =
      this.#unansweredSince =
      this.#unrepliedSince =
        Infinity;
  }
}
