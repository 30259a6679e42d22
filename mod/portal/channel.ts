/**
 * The link to the portal as a pure state machine: one Phoenix channel over one WebSocket at a time, kept alive and
 * re-established for as long as it takes (spec portal §2).
 *
 *   dialing ──101──▶ joining ──ok──▶ joined          any failure ──▶ waiting ──delay──▶ dialing
 *                                                    fatal failure, close() ──▶ ended
 *
 * The owner dials when told so by a `dial` event, reports what happened to the socket, feeds text frames in and
 * writes the frames of `pollTransmit()` out. After a `hangup` event the current socket is none of the machine's
 * business any more; the owner must not report anything about it.
 *
 * - Nothing but heartbeats is written before the portal has answered the join.
 * - Heartbeats leave every 10 s whatever else is sent; more than three without an answer mean a dead link.
 * - Until the first join ever, attempts are one second apart and end after 15 s, unless somebody answered that now is
 *   not the time (409, 429, 5xx, `Retry-After`, a proxy's no). Then, and after the first join, the back-off applies; it
 *   is reset by a join, not by a mere 101. `Retry-After` overrides both.
 * - News of our own network cut all waiting short: `move`, `networkChanged`, `verify`.
 * - Refs restart at 0 with each socket. Nothing is queued while the link is down: `send` says so instead.
 */
import type { RandomBytes } from "../crypto/types.ts";
import { Backoff } from "./backoff.ts";
import {
  describeRefusal,
  FINAL_JOIN_REASONS,
  isTemporary,
  parseRetryAfter,
  PortalError,
  type Refusal,
} from "./failure.ts";
import { decodeFrame, encodeFrame, type Frame, printable, readReply } from "./frame.ts";

export const DIAL_TIMEOUT = 15_000;
export const JOIN_TIMEOUT = 10_000;
export const HEARTBEAT_INTERVAL = 10_000;
export const MAX_UNANSWERED_HEARTBEATS = 3;
export const FIRST_CONNECT_INTERVAL = 1_000;
export const FIRST_CONNECT_TIMEOUT = 15_000;
export const MAX_PARTITION_TIME = 86_400_000;
/** Forced reconnects are at least this far apart. */
const RECONNECT_INTERVAL = 5_000;
/** Moves in that time that are believed. */
const MAX_MOVES = 3;
/** Attempts that news of our network bring forward are at least this far apart. */
const RETRY_INTERVAL = 1_000;
/** For so long an attempt may take during which the network changed, and so many in a row get no longer. */
const HURRIED_TIMEOUT = 1_000, MAX_HURRIED = 3;
/** For so long a link that is in doubt may be silent, and so long it is not asked again. */
const PROOF_TIMEOUT = 3_000, PROOF_INTERVAL = 1_000;
/** Events whose error reply is still awaited; most events are never answered, so old ones are forgotten. */
const TRACKED_EVENTS = 64;

export interface ChannelOptions {
  /** `gateway`, `client` or `relay`. */
  readonly topic: string;
  /** What is said when joining; default null. */
  readonly joinPayload?: unknown;
  readonly random: RandomBytes;
  /** Unix seconds, for HTTP dates. */
  readonly unixNow: () => number;
  /** Give up when the first join took longer than this; milliseconds, Infinity for never. */
  readonly firstConnectTimeout?: number;
  /** Give up when the link has been down for longer than this; milliseconds, Infinity for never. */
  readonly maxPartitionTime?: number;
  readonly now: number;
}

export type ChannelEvent =
  /** Open a WebSocket now; `attempt` counts from 1 and never repeats. */
  | { readonly type: "dial"; readonly attempt: number }
  /** Close the socket, or abandon the dial, of the current attempt. */
  | { readonly type: "hangup"; readonly code: number; readonly reason: string }
  | { readonly type: "joined" }
  /** The link is down; the next attempt follows in `retryIn` ms. `refusal` is set when the portal answered. */
  | { readonly type: "down"; readonly reason: string; readonly retryIn: number; readonly refusal?: Refusal }
  | { readonly type: "message"; readonly event: string; readonly payload: unknown }
  /** The portal answered an event of ours with an error. */
  | { readonly type: "rejected"; readonly event: string; readonly reason: string }
  /** A frame that means nothing to us. */
  | { readonly type: "ignored"; readonly reason: string }
  /** The end: nothing follows. */
  | { readonly type: "failed"; readonly error: PortalError };

type State = "dialing" | "joining" | "joined" | "waiting" | "ended";

export class Channel {
  readonly #topic: string;
  readonly #joinPayload: unknown;
  readonly #unixNow: () => number;
  readonly #backoff: Backoff;
  readonly #firstConnectTimeout: number;
  readonly #maxPartitionTime: number;
  readonly #frames: string[] = [];
  readonly #events: ChannelEvent[] = [];

  #state: State = "dialing";
  #attempt = 0;
  /** Dial or join deadline, or the time of the next attempt. */
  #deadline = 0;
  #nextHeartbeat = 0;
  #nextRef = 0;
  #joinRef = -1;
  #heartbeats: number[] = [];
  readonly #awaited = new Map<number, string>();
  #everJoined = false;
  /** Somebody was there and asked for patience: the limit for the first connection is about one that is not. */
  #isReached = false;
  /** Since when the link has been down, for the give-up rules; undefined once joined. */
  #downSince: number | undefined;
  #lastReconnect = -Infinity;
  #lastDial = -Infinity;
  #moves: number[] = [];
  /** The portal named the time of the next attempt. */
  #isToldToWait = false;
  /** The attempt under way was given little time; how many were since the last join. */
  #isHurried = false;
  #hurried = 0;
  /** When a move that had to wait is acted on. */
  #moveAt = Infinity;
  /** Our network has changed since the link was asked for a sign of life. */
  #isInDoubt = false;
  #askedAt = -Infinity;
  /** The heartbeat that has to be answered, and until when. */
  #proof: { readonly ref: number; readonly deadline: number } | undefined;

  constructor(options: ChannelOptions) {
    this.#topic = options.topic;
    this.#joinPayload = options.joinPayload ?? null;
    this.#unixNow = options.unixNow;
    this.#backoff = new Backoff(options.random);
    this.#firstConnectTimeout = options.firstConnectTimeout ?? FIRST_CONNECT_TIMEOUT;
    this.#maxPartitionTime = options.maxPartitionTime ?? MAX_PARTITION_TIME;
    this.#downSince = options.now;
    this.#dial(options.now);
  }

  get isJoined(): boolean {
    return this.#state === "joined";
  }

  /** Number of the current attempt. */
  get attempt(): number {
    return this.#attempt;
  }

  /** Queues an event for the portal. False when the link is down: the event is dropped. */
  send(event: string, payload: unknown): boolean {
    if (this.#state !== "joined") return false;
    const ref = this.#write(this.#topic, event, payload);
    if (this.#awaited.size >= TRACKED_EVENTS) this.#awaited.delete(this.#awaited.keys().next().value!);
    this.#awaited.set(ref, event);
    return true;
  }

  /** The upgrade succeeded (101). */
  handleOpen(now: number): void {
    if (this.#state !== "dialing") return;
    this.#nextRef = 0;
    this.#heartbeats = [];
    this.#awaited.clear();
    this.#nextHeartbeat = now + HEARTBEAT_INTERVAL;
    this.#join(now);
  }

  /** The upgrade was answered with something other than 101. */
  handleRefused(refusal: Refusal, now: number): void {
    if (this.#state !== "dialing") return;
    const { code, text } = describeRefusal(refusal);
    if (refusal.status === 401) {
      return this.#fail(
        new PortalError("unauthorized", `Cannot log in to the portal: ${text}. Check the token.`, code),
      );
    }
    this.#isReached ||= isTemporary(refusal);
    this.#lose(text, now, refusal);
  }

  /**
   * DNS, TCP, TLS or the upgrade failed without an answer of the portal's. `reason` must not contain the URL's query.
   * @param isReached something on the way (a proxy) answered: it is there, and may let us through later.
   */
  handleDialError(reason: string, now: number, isReached = false): void {
    if (this.#state !== "dialing") return;
    this.#isReached ||= isReached;
    this.#lose(reason, now);
  }

  /** The socket is gone: closed by the portal, or broken. */
  handleClosed(reason: string, now: number): void {
    if (this.#state === "joining" || this.#state === "joined") this.#lose(reason, now);
  }

  /** A text frame arrived. */
  handleText(text: string, now: number): void {
    if (this.#state !== "joining" && this.#state !== "joined") return;
    const frame = decodeFrame(text);
    if (typeof frame === "string") return this.#ignore(`frame of ${text.length} characters: ${frame}`);
    if (frame.event === "phx_reply") return this.#handleReply(frame, now);
    if (frame.topic !== this.#topic) return this.#ignore(`event on topic "${printable(frame.topic, 40)}"`);
    switch (frame.event) {
      case "phx_error": // The portal drains the whole socket when it matters.
        return this.#ignore("phx_error");
      case "phx_close":
        return this.#hangUp("the portal closed the channel", now);
      case "disconnect":
        return this.#handleDisconnect(frame.payload, now);
      default:
        this.#events.push({ type: "message", event: frame.event, payload: frame.payload });
    }
  }

  /** Drops the current socket and dials again at once; at most once in five seconds. False when refused. */
  reconnect(now: number): boolean {
    if (this.#state === "ended" || now - this.#lastReconnect < RECONNECT_INTERVAL) return false;
    this.#lastReconnect = now;
    this.#redial(now);
    return true;
  }

  /**
   * Our own address has changed, so that the current socket can't work any more: dials again at once. Who changes it
   * without end waits a little, and the link has to show meanwhile that it works.
   */
  move(now: number): void {
    if (this.#state === "ended") return;
    this.#moves = this.#moves.filter((at) => now - at < RECONNECT_INTERVAL);
    if (this.#moves.length >= MAX_MOVES) {
      this.#moveAt = this.#moves[0]! + RECONNECT_INTERVAL;
      return this.verify(now);
    }
    this.#moves.push(now);
    this.#redial(now);
  }

  #redial(now: number): void {
    if (this.#state !== "waiting") this.#events.push({ type: "hangup", code: 1000, reason: "reconnecting" });
    this.#downSince ??= now;
    this.#frames.length = 0;
    this.#backoff.reset();
    this.#dial(now);
  }

  /**
   * Our network has changed, for better or worse: an attempt that is waited for is due, unless the portal itself asked
   * for patience, one under way has little time left (what it sent first may be lost), and a link has to show within
   * seconds that it still works.
   */
  networkChanged(now: number): void {
    this.#isInDoubt = true;
    if (this.#state === "joined") this.#prove(now);
    if (this.#state === "dialing" && !this.#isHurried && this.#hurried < MAX_HURRIED) {
      this.#isHurried = true;
      this.#hurried++;
      this.#deadline = Math.min(this.#deadline, now + HURRIED_TIMEOUT);
    }
    if (this.#state !== "waiting" || this.#isToldToWait) return;
    this.#backoff.reset();
    this.#deadline = Math.min(this.#deadline, this.#lastDial + RETRY_INTERVAL);
    if (this.#deadline <= now) this.#dial(now);
  }

  /** The same, and little else works: an attempt under way has no longer than a link in doubt. */
  verify(now: number): void {
    this.networkChanged(now);
    if (this.#state !== "dialing" && this.#state !== "joining") return;
    this.#deadline = Math.min(this.#deadline, now + PROOF_TIMEOUT);
  }

  /** Ends the link: closes the socket with code 1000. */
  close(): void {
    if (this.#state === "ended") return;
    if (this.#state !== "waiting") this.#events.push({ type: "hangup", code: 1000, reason: "shutting down" });
    this.#state = "ended";
  }

  handleTimeout(now: number): void {
    if (this.#state === "waiting" && now >= this.#deadline) return this.#dial(now);
    if (this.#state === "dialing" && now >= this.#deadline) return this.#hangUp("no connection in time", now);
    if (this.#state === "joining" && now >= this.#deadline) {
      return this.#hangUp("the portal did not answer the join", now);
    }
    if (this.#state === "joined" && this.#proof && now >= this.#proof.deadline) {
      return this.#hangUp("the portal does not answer since the network changed", now);
    }
    if (this.#state !== "ended" && now >= this.#moveAt) return this.move(now);
    if (this.#state === "joined" && now >= this.#proveAt) this.#prove(now);
    if ((this.#state === "joining" || this.#state === "joined") && now >= this.#nextHeartbeat) {
      this.#heartbeat(now);
    }
  }

  pollTimeout(): number | undefined {
    switch (this.#state) {
      case "ended":
        return undefined;
      case "joined":
        return Math.min(this.#nextHeartbeat, this.#proof?.deadline ?? this.#proveAt, this.#moveAt);
      case "joining":
        return Math.min(this.#deadline, this.#nextHeartbeat, this.#moveAt);
      default:
        return Math.min(this.#deadline, this.#moveAt);
    }
  }

  /** When a link in doubt is to be asked next; Infinity: it is not in doubt. */
  get #proveAt(): number {
    return this.#isInDoubt ? this.#askedAt + PROOF_INTERVAL : Infinity;
  }

  /** Asks for a sign of life, unless it has just been asked for one: then it is asked again later. */
  #prove(now: number): void {
    if (this.#proof || now < this.#proveAt) return;
    this.#isInDoubt = false;
    this.#askedAt = now;
    this.#proof = { ref: this.#beat(), deadline: now + PROOF_TIMEOUT };
  }

  /** The next text frame for the current socket. */
  pollTransmit(): string | undefined {
    return this.#frames.shift();
  }

  pollEvent(): ChannelEvent | undefined {
    return this.#events.shift();
  }

  #dial(now: number): void {
    this.#state = "dialing";
    this.#lastDial = now;
    this.#proof = undefined;
    this.#isInDoubt = this.#isHurried = false;
    this.#moveAt = Infinity;
    this.#deadline = now + DIAL_TIMEOUT;
    this.#events.push({ type: "dial", attempt: ++this.#attempt });
  }

  #join(now: number): void {
    this.#state = "joining";
    this.#deadline = now + JOIN_TIMEOUT;
    this.#joinRef = this.#write(this.#topic, "phx_join", this.#joinPayload);
  }

  #heartbeat(now: number): void {
    if (this.#heartbeats.length > MAX_UNANSWERED_HEARTBEATS) {
      return this.#hangUp("the portal does not answer heartbeats", now);
    }
    this.#beat();
    this.#nextHeartbeat = Math.max(this.#nextHeartbeat + HEARTBEAT_INTERVAL, now + HEARTBEAT_INTERVAL / 2);
  }

  #beat(): number {
    const ref = this.#write("phoenix", "heartbeat", {});
    this.#heartbeats.push(ref);
    return ref;
  }

  #handleReply(frame: Frame, now: number): void {
    const reply = readReply(frame.payload);
    if (!reply || frame.ref === null) return this.#ignore("reply without ref or status");
    const { ref } = frame;
    if (this.#heartbeats.includes(ref)) {
      if (this.#proof && ref >= this.#proof.ref) this.#proof = undefined;
      this.#heartbeats = this.#heartbeats.filter((waiting) => waiting > ref);
      return;
    }
    if (ref === this.#joinRef) {
      if (this.#state !== "joining") return;
      return reply.ok ? this.#joined() : this.#handleJoinError(reply.reason, now);
    }
    const event = this.#awaited.get(ref);
    if (event === undefined) return;
    this.#awaited.delete(ref);
    if (reply.ok) return;
    this.#events.push({ type: "rejected", event, reason: reply.reason });
    if (reply.reason === "unmatched topic" && this.#state === "joined") this.#join(now);
  }

  #joined(): void {
    this.#state = "joined";
    this.#everJoined = true;
    this.#hurried = 0;
    this.#downSince = undefined;
    this.#backoff.reset();
    this.#events.push({ type: "joined" });
  }

  #handleJoinError(reason: string, now: number): void {
    if (!FINAL_JOIN_REASONS.includes(reason)) {
      return this.#hangUp(`the portal refused the join: ${reason}`, now);
    }
    this.#events.push({ type: "hangup", code: 1000, reason: "join refused" });
    this.#fail(
      new PortalError(
        "join_refused",
        `Cannot join the portal: ${reason}. See the portal's settings of this device.`,
      ),
    );
  }

  #handleDisconnect(payload: unknown, now: number): void {
    const reason = (payload as { reason?: unknown } | null)?.reason;
    if (reason !== "token_expired") {
      const why = typeof reason === "string" ? printable(reason, 60) : "unspecified";
      return this.#hangUp(`the portal disconnected us: ${why}`, now);
    }
    this.#events.push({ type: "hangup", code: 1000, reason: "disconnected" });
    this.#fail(
      new PortalError(
        "token_expired",
        "Cannot stay with the portal: the token is expired or revoked, or another gateway has taken this one's id. " +
          "Get a new token, or give the other one its own FIREZONE_ID.",
      ),
    );
  }

  /** Drops a socket that may still be open, then waits for the next attempt. */
  #hangUp(reason: string, now: number): void {
    // A portal of ours takes 1000 without this word for a farewell, and moves a gateway's clients elsewhere.
    this.#events.push({ type: "hangup", code: 1000, reason: "reconnecting" });
    this.#lose(reason, now);
  }

  #lose(reason: string, now: number, refusal?: Refusal): void {
    this.#downSince ??= now;
    this.#frames.length = 0;
    const retryAfter = parseRetryAfter(refusal?.retryAfter, this.#unixNow());
    const isPatient = this.#everJoined || this.#isReached;
    const retryIn = retryAfter ?? (isPatient ? this.#backoff.next() : FIRST_CONNECT_INTERVAL);
    const limit = isPatient ? this.#maxPartitionTime : this.#firstConnectTimeout;
    if (now + retryIn - this.#downSince > limit) {
      return this.#fail(
        new PortalError("gave_up", `Cannot reach the portal: ${reason}. Gave up after ${limit / 1000} s.`),
      );
    }
    this.#state = "waiting";
    this.#isToldToWait = retryAfter !== undefined;
    this.#deadline = now + retryIn;
    this.#events.push({ type: "down", reason, retryIn, ...(refusal && { refusal }) });
  }

  #fail(error: PortalError): void {
    this.#state = "ended";
    this.#frames.length = 0;
    this.#events.push({ type: "failed", error });
  }

  #ignore(reason: string): void {
    this.#events.push({ type: "ignored", reason });
  }

  #write(topic: string, event: string, payload: unknown): number {
    const ref = this.#nextRef++;
    this.#frames.push(encodeFrame({ topic, event, payload, ref }));
    return ref;
  }
}
