/**
 * One peer: an ICE agent, a WireGuard tunnel and the path that packets take now (spec snownet §1.8, §2.11-2.13, §4.7).
 *
 *            upsert
 *              │
 *        ┌─────▼─────┐ no remote candidate for 10 s, ICE disconnected for 2 s,
 *        │ connecting│ WireGuard expired ─────────────────────────────────► failed
 *        └─────┬─────┘
 *   nomination │ held handshake messages leave
 *        ┌─────▼─────┐
 *        │ connected │ ICE disconnected for 2 s, WireGuard expired ───────► failed
 *        └──┬─────▲──┘
 *  20 s no  │     │ packet in or out, upsert, candidate
 *  packets┌─▼─────┴─┐
 *         │  idle   │ same failures, slower ICE checks
 *         └─────────┘
 *
 * The node owns relays and demultiplexing; a connection only says what it wants to send and over which base.
 */
import { type Candidate, formatCandidate, type IceAgent, type IceState, type IceTiming } from "../ice/mod.ts";
import { optimisticCandidates, parseCandidate } from "../ice/mod.ts";
import type { SocketAddress } from "../packet/address.ts";
import { Path } from "../packet/path.ts";
import type { Tunnel } from "../wireguard/mod.ts";
import { ChannelBudget } from "./channel_budget.ts";
import type { Alarm, Sleeper } from "./alarm.ts";
import { Fifo } from "./fifo.ts";
import type { ConnectionRequest, ConnectionStatus, NodeEvent, PathKind } from "./types.ts";

export const CANDIDATE_TIMEOUT = 10_000;
export const DISCONNECT_GRACE = 2_000;
export const IDLE_AFTER = 20_000;
/** An active path that brings nothing for so long is looked into, and again this often, ms. */
const SILENCE = 2_000, WATCH_INTERVAL = 500;
/** Pauses between announcements while no path is known to work after a change of network, doubling, ms. */
const FIRST_ANNOUNCE_PAUSE = 500, LAST_CLIENT_PAUSE = 2_000, LAST_GATEWAY_PAUSE = 8_000;
/** Handshake messages kept until a path is nominated; the oldest is overwritten. */
const HELD_MESSAGES = 128;
/**
 * Checks of idle connections are sent on multiples of this, ms: their pace (25 s) does not care, and one wake-up then
 * serves many connections.
 */
const IDLE_GRID = 250;
/** One wake-up works off every check that is due; more than this many in one go means the agent is stuck. */
const MAX_PASSES = 256;

export interface Timings {
  readonly active: IceTiming;
  readonly idle: IceTiming;
}

/** A datagram of this connection, before the node has decided whether a relay carries it. */
export interface Outgoing {
  readonly base: SocketAddress;
  readonly remote: SocketAddress;
  readonly payload: Uint8Array;
  readonly transactionKey?: string | undefined;
}

/** The pair that ICE chose while its addresses last: one of our own addresses, or our address on a relay, and where the peer is. */
export interface Nomination {
  readonly base: SocketAddress;
  readonly remote: SocketAddress;
  readonly viaRelay: boolean;
  readonly kind: PathKind;
}

export type ConnectionNews =
  | { readonly type: "nominated"; readonly kind: PathKind; readonly remote: SocketAddress }
  | { readonly type: "established" };

export class Connection implements Sleeper {
  readonly peerId: string;
  readonly outgoing = new Fifo<Outgoing>();
  readonly news = new Fifo<ConnectionNews>();
  /** Where data goes; meaningful while `nominated` is set. Rewritten in place when the path moves. */
  readonly path = new Path();
  readonly channels: ChannelBudget;
  nominated: Nomination | undefined;
  state: "connecting" | "connected" | "idle" | "failed" = "connecting";
  failure = "";
  relayId: string | undefined;
  /** The composition above the node keeps its own state of this peer here, for O(1) hand-over. */
  owner: unknown = undefined;
  /** Told of every wake-up, once the connection is a node's. */
  alarm: Alarm<Connection> | undefined;
  alarmSlot = -1;
  /** Data has passed since `wakeAt` was computed. */
  isStale = false;
  sentBytes = 0;
  receivedBytes = 0;
  lastHandshakeAt: number | undefined;
  /** When the last authentic packet of the tunnel arrived. */
  heardAt: number;

  #wakeAt: number | undefined;
  readonly #createdAt: number;
  readonly #timings: Timings;
  readonly #held: Uint8Array[] = [];
  /** Candidate texts waiting to be signalled. */
  readonly #added = new Map<string, Candidate>();
  readonly #removed = new Map<string, Candidate>();
  #disconnectedAt: number | undefined;
  #announceAt = Infinity;
  #announcePause = 0;
  /** When that last happened; undefined: the network has never changed. */
  #announcedAt: number | undefined;
  #lastActivity: number;
  #iceState: IceState = "new";
  #isEstablished = false;

  constructor(
    readonly request: ConnectionRequest,
    readonly agent: IceAgent,
    readonly tunnel: Tunnel,
    readonly controlling: boolean,
    timings: Timings,
    now: number,
  ) {
    this.peerId = request.peerId;
    this.#timings = timings;
    this.#createdAt = now;
    this.#lastActivity = now;
    this.heardAt = now;
    this.channels = new ChannelBudget(now);
    this.wakeAt = now;
  }

  /** Absolute time of the next `drive`; undefined = nothing to do by itself. */
  get wakeAt(): number | undefined {
    return this.#wakeAt;
  }

  set wakeAt(at: number | undefined) {
    this.#wakeAt = at;
    this.alarm?.set(this);
  }

  get isEstablished(): boolean {
    return this.#isEstablished;
  }

  /**
   * True when the request means the same two processes: the portal derives the ICE credentials from ids and keys
   * (spec snownet §4.8). Portals that make a new preshared key each time mean us to keep a tunnel that works.
   */
  isReusableFor({ local, remote, publicKey, presharedKey }: ConnectionRequest): boolean {
    const known = this.request;
    return known.local.ufrag === local.ufrag && known.local.password === local.password &&
      known.remote.ufrag === remote.ufrag && known.remote.password === remote.password &&
      sameBytes(known.publicKey, publicKey) &&
      (sameBytes(known.presharedKey, presharedKey) || this.tunnel.hasSession);
  }

  /** What the peer must be told of our candidates, best first; undefined when there is nothing more. */
  pollSignal(): NodeEvent | undefined {
    const { peerId } = this;
    if (this.#added.size > 0) return { type: "candidates", peerId, candidates: takeByPriority(this.#added) };
    if (this.#removed.size === 0) return undefined;
    return { type: "invalid-candidates", peerId, candidates: takeByPriority(this.#removed) };
  }

  status(): ConnectionStatus {
    const { peerId, state, sentBytes, receivedBytes, nominated } = this;
    const path = nominated?.kind ?? "none", remote = nominated?.remote.key;
    const rtt = nominated && this.agent.roundTrip;
    return {
      peerId,
      state,
      path,
      remote,
      rtt,
      sentBytes,
      receivedBytes,
      lastHandshakeAt: this.tunnel.handshakeAt,
    };
  }

  /** Gives the agent a candidate of ours; what it adopts is announced. */
  offer(candidate: Candidate): void {
    const adopted = this.agent.addLocalCandidate(candidate);
    if (adopted) this.#announce(adopted);
  }

  /** The peer's candidate as it was signalled, and what may be guessed from it; undefined when it is malformed. */
  addRemoteCandidate(text: string, now: number): Candidate | undefined {
    const candidate = parseCandidate(text);
    if (!candidate) return undefined;
    this.agent.addRemoteCandidate(candidate, now);
    // The peer has found its way to the portal again, or has moved as well: it may have missed what we said.
    if (this.#announcedAt !== undefined && this.agent.isDoubted) {
      this.#announceAt = Math.min(this.#announceAt, this.#announcedAt + FIRST_ANNOUNCE_PAUSE);
    }
    for (const guess of optimisticCandidates(this.agent.remoteCandidates)) {
      this.agent.addRemoteCandidate(guess, now);
    }
    return candidate;
  }

  /** What is malformed or unknown is ignored. */
  removeRemoteCandidate(text: string, now: number): void {
    const candidate = parseCandidate(text);
    if (candidate) this.agent.removeRemoteCandidate(candidate, now);
  }

  /** Announces every candidate again: the peer may have lost its side (spec snownet §6.1, aebfcd5). */
  announceAll(): void {
    for (const candidate of this.agent.localCandidates) this.#announce(candidate);
  }

  /**
   * The network has changed (see `IceAgent.doubt`): every path is asked anew, at the pace of a busy connection. The
   * peer is told all our candidates, again and again until a path is found: what was signalled just now may be lost
   * with the portal's old connection, and while the peer has none the portal keeps nothing for it.
   */
  doubt(base: SocketAddress | undefined, now: number): void {
    this.agent.doubt(base, now);
    if (base) this.announceAll();
    this.#announcedAt = now;
    this.#announcePause = FIRST_ANNOUNCE_PAUSE;
    this.#announceAt = now + FIRST_ANNOUNCE_PAUSE;
    this.wake(now);
    this.wakeAt = now;
  }

  /**
   * True when the path in use brings nothing any more, although a client that uses it checks it every 1.5 s: the peer
   * may have gone, or a relay, or our own address.
   */
  isSilent(now: number): boolean {
    return this.#isWatched && now - this.#aliveAt >= SILENCE;
  }

  /** Our address on a relay is gone. */
  withdrawRelayed(addresses: readonly SocketAddress[]): void {
    const { nominated } = this;
    if (nominated?.viaRelay && addresses.some((a) => a.equals(nominated.base))) this.nominated = undefined;
    for (const candidate of this.agent.localCandidates) {
      if (candidate.kind !== "relay" || !addresses.some((a) => a.equals(candidate.address))) continue;
      this.agent.removeLocalCandidate(candidate);
      const text = this.#text(candidate);
      this.#added.delete(text);
      this.#removed.set(text, candidate);
    }
  }

  /** An IP packet passed in either direction: not idle. Called per batch, so it only stores a number. */
  noteActivity(now: number): void {
    this.#lastActivity = now;
    if (this.state === "idle") this.wake(now);
  }

  /** Leaves idle: an upsert, a candidate or a packet says that somebody is there. */
  wake(now: number): void {
    this.#lastActivity = now;
    if (this.state !== "idle") return;
    this.state = "connected";
    this.agent.setTiming(this.#timings.active, now);
    this.wakeAt = now;
  }

  /** Runs every timer that is due and collects what came of it. */
  drive(now: number): void {
    if (this.state === "failed") return;
    for (let pass = 0; pass < MAX_PASSES; pass++) {
      this.agent.handleTimeout(now);
      const next = this.agent.pollTimeout();
      if (next === undefined || next > now) break;
    }
    this.tunnel.handleTimeout(now);
    this.#drainAgent(now);
    this.#drainTunnel(now);
    this.#announceWhileDoubted(now);
    this.#applyTimeouts(now);
    this.wakeAt = this.#nextWakeUp(now);
  }

  /** Handshake replies and keepalives leave on the nominated path, or wait for one (§4.6). */
  flushTunnel(now: number): void {
    this.#drainTunnel(now);
    this.wakeAt = Math.min(this.wakeAt ?? Infinity, this.tunnel.pollTimeout() ?? Infinity);
  }

  #announceWhileDoubted(now: number): void {
    if (now < this.#announceAt) return;
    if (this.agent.isDoubted) {
      this.announceAll();
      this.#announcedAt = now;
    }
    const longest = this.controlling ? LAST_CLIENT_PAUSE : LAST_GATEWAY_PAUSE;
    // A client's connection fails when no path is found in time; a gateway keeps those of clients that are asleep.
    const isOver = !this.agent.isDoubted || (!this.controlling && this.#announcePause >= longest);
    this.#announcePause = Math.min(longest, 2 * this.#announcePause);
    this.#announceAt = isOver ? Infinity : now + this.#announcePause;
  }

  #announce(candidate: Candidate): void {
    const text = this.#text(candidate);
    this.#removed.delete(text);
    this.#added.set(text, candidate);
  }

  #text(candidate: Candidate): string {
    return formatCandidate(candidate, this.request.local.ufrag);
  }

  #drainAgent(now: number): void {
    for (let event = this.agent.pollEvent(); event; event = this.agent.pollEvent()) {
      if (event.type === "nominated") this.#nominate(event, now);
      else if (event.type === "state") {
        this.#iceState = event.state;
        this.#disconnectedAt = event.state === "disconnected" ? this.#disconnectedAt ?? now : undefined;
      }
    }
    for (let t = this.agent.pollTransmit(); t; t = this.agent.pollTransmit()) {
      this.outgoing.push({
        base: t.src,
        remote: t.dst,
        payload: t.payload,
        transactionKey: t.transactionKey,
      });
    }
  }

  #nominate(
    event: { local: Candidate; remote: Candidate; source: SocketAddress; destination: SocketAddress },
    now: number,
  ): void {
    const { source: base, destination: remote } = event;
    const viaRelay = event.local.kind === "relay";
    const before = this.nominated;
    if (before && before.base.equals(base) && before.remote.equals(remote)) return;
    const kind = viaRelay || event.remote.kind === "relay" ? "relayed" : "direct";
    this.nominated = { base, remote, viaRelay, kind };
    if (this.state === "connecting") {
      this.state = "connected";
      this.#lastActivity = now;
    }
    this.news.push({ type: "nominated", kind, remote });
    for (const payload of this.#held.splice(0)) this.outgoing.push({ base, remote, payload });
    if (this.controlling) this.tunnel.initiateAnew(now);
  }

  #drainTunnel(now: number): void {
    for (let message = this.tunnel.pollTransmit(); message; message = this.tunnel.pollTransmit()) {
      if (this.nominated) {
        this.outgoing.push({ base: this.nominated.base, remote: this.nominated.remote, payload: message });
      } else {
        if (this.#held.length === HELD_MESSAGES) this.#held.shift();
        this.#held.push(message);
      }
    }
    for (let event = this.tunnel.pollEvent(); event; event = this.tunnel.pollEvent()) {
      if (event.type === "expired") this.#fail("the WireGuard session expired and no new one came about");
      else if (event.type === "established") this.lastHandshakeAt = now;
    }
    if (!this.#isEstablished && this.nominated && this.lastHandshakeAt !== undefined) {
      this.#isEstablished = true;
      this.news.push({ type: "established" });
    }
  }

  #applyTimeouts(now: number): void {
    if (this.state === "failed") return;
    if (this.#waitsForCandidates() && now >= this.#createdAt + CANDIDATE_TIMEOUT) {
      return this.#fail("the peer signalled no candidate within 10 s");
    }
    if (this.#disconnectedAt !== undefined && now >= this.#disconnectedAt + DISCONNECT_GRACE) {
      return this.#fail("no path to the peer answers any more");
    }
    if (this.#mayIdle() && now >= this.#lastActivity + IDLE_AFTER) {
      this.state = "idle";
      this.agent.setTiming(this.#timings.idle, now);
    }
  }

  /** Going idle in the middle of checks would stall them, so only a settled agent may (§6.1). */
  #mayIdle(): boolean {
    const isSettled = this.#iceState === "connected" || this.#iceState === "completed";
    return this.state === "connected" && isSettled;
  }

  /** The last sign of life on the path in use; packets of the tunnel take no other. */
  get #aliveAt(): number {
    return Math.max(this.heardAt, this.agent.selectedHeardAt);
  }

  get #isWatched(): boolean {
    return this.state === "connected" && this.nominated !== undefined;
  }

  #waitsForCandidates(): boolean {
    return !this.agent.hasRemoteCandidates;
  }

  #fail(reason: string): void {
    this.state = "failed";
    this.failure = reason;
    this.wakeAt = undefined;
  }

  #nextWakeUp(now: number): number | undefined {
    if (this.state === "failed") return undefined;
    const check = this.agent.pollTimeout() ?? Infinity;
    let next = Math.min(
      this.state === "idle" ? Math.ceil(check / IDLE_GRID) * IDLE_GRID : check,
      this.tunnel.pollTimeout() ?? Infinity,
    );
    next = Math.min(next, this.#announceAt);
    if (this.#waitsForCandidates()) next = Math.min(next, this.#createdAt + CANDIDATE_TIMEOUT);
    if (this.#disconnectedAt !== undefined) next = Math.min(next, this.#disconnectedAt + DISCONNECT_GRACE);
    if (this.#mayIdle()) next = Math.min(next, this.#lastActivity + IDLE_AFTER);
    if (this.#isWatched) next = Math.min(next, Math.max(this.#aliveAt + SILENCE, now + WATCH_INTERVAL));
    return next === Infinity ? undefined : Math.max(next, now + 1);
  }
}

function takeByPriority(candidates: Map<string, Candidate>): string[] {
  const texts = [...candidates]
    .sort(([a, x], [b, y]) => y.priority - x.priority || (a < b ? -1 : 1))
    .map(([text]) => text);
  candidates.clear();
  return texts;
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
