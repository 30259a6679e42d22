/**
 * The node: all connections of this process, the relays they may use, and the demultiplexing of every datagram that
 * arrives (spec snownet §1). Sans-IO; `now` is a monotonic number of milliseconds.
 *
 * Control traffic (STUN, TURN, handshakes) goes through values: `handleDatagram` consumes it, and what it causes
 * comes out of `pollTransmit` and `pollEvent`. Tunnelled data never leaves the slab: `handleDatagram` opens it in
 * place and says where the plaintext is, `prepareSend` says where and with which session to seal.
 */
import type { Candidate } from "../ice/mod.ts";
import type { SocketAddress } from "../packet/address.ts";
import type { Counters } from "../packet/counters.ts";
import type { Transmit } from "../packet/transmit.ts";
import { encodeChannelData } from "../stun/mod.ts";
import type { Allocation } from "../turn/mod.ts";
import { InvalidPeerKeyError, type Session } from "../wireguard/mod.ts";
import { Alarm } from "./alarm.ts";
import type { Connection } from "./connection.ts";
import { ConnectionFactory, type ConnectionFactoryOptions } from "./connection_factory.ts";
import { NodeCounters } from "./counters.ts";
import { Demux } from "./demux.ts";
import { Directory } from "./directory.ts";
import { Fifo } from "./fifo.ts";
import { LocalCandidates } from "./local_candidates.ts";
import { NetworkWatch } from "./network_watch.ts";
import { type RelayNews, Relays } from "./relays.ts";
import type { Screening } from "./screening.ts";
import type { ConnectionRequest, NodeEvent, NodeStatus, RelayDescription } from "./types.ts";

const REALM = "firezone";
const SOFTWARE = "postern";
/** Data moves WireGuard's timers without waking the node; it looks again this much later at the latest. */
const SWEEP_INTERVAL = 1_000;

export interface NodeOptions extends ConnectionFactoryOptions {
  readonly counters: Counters;
}

export class Node {
  /** What `prepareSend` found: seal with this session, `headroom` bytes (0 or 4) before each WireGuard message. */
  session: Session | undefined;
  headroom = 0;
  channel = 0;
  /** What the kernel should keep from our sockets. */
  readonly screening: Screening;

  readonly #count: NodeCounters;
  readonly #relays: Relays;
  readonly #shared = new LocalCandidates();
  readonly #demux: Demux;
  readonly #factory: ConnectionFactory;
  readonly #directory = new Directory();
  readonly #events = new Fifo<NodeEvent>();
  readonly #transmits = new Fifo<Transmit>();
  readonly #alarm = new Alarm<Connection>();
  readonly #network = new NetworkWatch();
  #sweepAt: number | undefined;
  /** Relays came or went since every connection was known to have one. */
  #mayLackRelays = false;

  constructor(options: NodeOptions) {
    this.#count = new NodeCounters(options.counters);
    this.#relays = new Relays({ random: options.random, software: SOFTWARE, realm: REALM });
    this.#factory = new ConnectionFactory(options);
    this.#demux = new Demux({
      ...options,
      directory: this.#directory,
      relays: this.#relays,
      limiter: this.#factory.limiter,
      count: this.#count,
      node: {
        collect: (connection, now) => this.#collect(connection, now),
        collectRelay: (relay, now) => {
          this.#relays.settle(relay, now);
          this.#collectRelays(now);
        },
        touch: (connection, now) => this.#touch(connection, now),
        send: (relay, base, remote, payload, now) => this.#send(relay, base, remote, payload, now),
      },
    });
    this.screening = this.#demux.screening;
  }

  // Connections ---------------------------------------------------------------------------------------------------

  connection(peerId: string): Connection | undefined {
    return this.#directory.get(peerId);
  }

  get connections(): IterableIterator<Connection> {
    return this.#directory.all();
  }

  get relayCount(): number {
    return this.#relays.size;
  }

  /**
   * Creates, reuses or replaces the connection to a peer (§1.6, §4.8). Reuse keeps the tunnel and signals all
   * candidates again, since the peer may have lost its side. Undefined (an event says why) when no relay is known or
   * the peer's key is none; then nothing changed.
   */
  upsert(request: ConnectionRequest, now: number): Connection | undefined {
    const existing = this.#directory.get(request.peerId);
    if (existing?.isReusableFor(request)) {
      existing.wake(now);
      existing.announceAll();
      this.#publish(existing);
      this.#relays.verify(existing.relayId, now);
      this.#collectRelays(now);
      return existing;
    }
    const relayId = this.#relays.sample();
    if (relayId === undefined) {
      this.#events.push({ type: "no-relays" });
      return undefined;
    }
    const connection = this.#make(request, now);
    if (!connection) return undefined;
    if (existing) this.#forget(existing);
    this.#adopt(connection, relayId);
    this.#relays.verify(relayId, now);
    connection.drive(now);
    this.#collect(connection, now);
    this.#collectRelays(now);
    return connection;
  }

  /** Ends a connection without a word to the peer. Unknown ids are ignored. */
  close(peerId: string): void {
    const connection = this.#directory.get(peerId);
    if (connection) this.#forget(connection);
  }

  /** Candidates from the portal; what can't be parsed is skipped, an unknown peer is ignored (§1.11). */
  addRemoteCandidates(peerId: string, texts: readonly string[], now: number): void {
    const connection = this.#directory.get(peerId);
    if (!connection) return;
    for (const text of texts) {
      const candidate = connection.addRemoteCandidate(text, now);
      if (!candidate) this.#count.badCandidates();
      else if (candidate.kind !== "host") this.#bind(connection, candidate.address, now);
    }
    connection.wake(now);
    connection.drive(now);
    this.#collect(connection, now);
  }

  removeRemoteCandidates(peerId: string, texts: readonly string[], now: number): void {
    const connection = this.#directory.get(peerId);
    if (!connection) return;
    for (const text of texts) connection.removeRemoteCandidate(text, now);
    connection.drive(now);
    this.#collect(connection, now);
  }

  // Relays --------------------------------------------------------------------------------------------------------

  /** Drops `removed`, adds or replaces `relays`, and makes sure that the others still live. */
  updateRelays(removed: readonly string[], relays: readonly RelayDescription[], now: number): void {
    this.#relays.update(removed, relays, now);
    this.#mayLackRelays = true;
    this.#collectRelays(now);
    this.#migrate(now);
  }

  /** Frees every allocation at its relay: for a graceful exit. */
  releaseRelays(now: number): void {
    this.#relays.release(now);
    this.#collectRelays(now);
  }

  /** This host's links, addresses or routes have changed; as often as it likes to. */
  networkChanged(now: number): void {
    this.#network.noteChange();
    this.#watchNetwork(now);
  }

  // Packets -------------------------------------------------------------------------------------------------------

  /**
   * One datagram in the slab, with the address records of its sender and of the local address it came to. Returns
   * the connection when it was tunnelled data: the plaintext is at `packetOffset`, `packetLength` bytes. Otherwise
   * it is consumed, and whatever it causes waits in the polls.
   */
  handleDatagram(
    offset: number,
    length: number,
    from: number,
    local: number,
    now: number,
  ): Connection | undefined {
    return this.#demux.handleDatagram(offset, length, from, local, now);
  }

  /** Where `handleDatagram` left the plaintext of the packet it returned a connection for. */
  get packetOffset(): number {
    return this.#demux.packetOffset;
  }

  get packetLength(): number {
    return this.#demux.packetLength;
  }

  /**
   * Says how to send data to this peer: sets `session`, `headroom`, `channel`. False (counted) when there is no path
   * or no session yet; a client then starts a handshake, a gateway waits for one.
   */
  prepareSend(connection: Connection, now: number): boolean {
    const nominated = connection.nominated;
    if (!nominated) return this.#count.notConnected();
    const session = connection.tunnel.sendSession(now);
    if (!session) {
      if (connection.controlling) {
        connection.tunnel.initiate(now);
        connection.flushTunnel(now);
        this.#collect(connection, now);
      }
      return this.#count.noSession();
    }
    this.session = session;
    this.headroom = 0;
    this.channel = 0;
    if (nominated.viaRelay) {
      this.channel = this.#channelTo(this.#relays.get(connection.relayId), nominated.remote, now);
      if (this.channel === 0) return this.#count.noChannel();
      this.headroom = 4;
    }
    return true;
  }

  /** Bookkeeping after data was sealed for a peer: `bytes` of payload in one run. */
  noteSent(connection: Connection, session: Session, bytes: number, now: number): void {
    connection.sentBytes += bytes;
    connection.tunnel.noteSent(session, true, now);
    this.#touch(connection, now);
  }

  /** For an operator's eyes. */
  status(): NodeStatus {
    return { relays: this.#relays.status(), connections: [...this.#directory.all()].map((c) => c.status()) };
  }

  // Time and output -----------------------------------------------------------------------------------------------

  handleTimeout(now: number): void {
    this.#relays.handleTimeout(now);
    this.#collectRelays(now);
    if (this.#sweepAt !== undefined && this.#sweepAt <= now) {
      this.#sweepAt = undefined;
      this.#directory.sweep(now);
      for (const connection of this.#directory.all()) {
        if (!connection.isStale) continue;
        connection.isStale = false;
        connection.wakeAt = now;
      }
    }
    if (this.#network.dueAt <= now) this.#watchNetwork(now);
    this.screening.handleTimeout(now);
    if (this.#alarm.at <= now) this.#driveDue(now);
    this.#collectRelays(now);
    this.#migrate(now);
  }

  /** When `handleTimeout` wants to be called, in ms; undefined = not by itself. */
  pollTimeout(): number | undefined {
    const next = Math.min(
      this.#sweepAt ?? Infinity,
      this.#relays.pollTimeout(),
      this.#alarm.at,
      this.#network.dueAt,
      this.screening.pollTimeout(),
    );
    return next === Infinity ? undefined : next;
  }

  pollTransmit(): Transmit | undefined {
    return this.#transmits.shift();
  }

  pollEvent(): NodeEvent | undefined {
    return this.#events.shift();
  }

  // Internals -----------------------------------------------------------------------------------------------------

  #make(request: ConnectionRequest, now: number): Connection | undefined {
    try {
      return this.#factory.make(request, now);
    } catch (error) {
      if (!(error instanceof InvalidPeerKeyError)) throw error;
      this.#events.push({ type: "failed", peerId: request.peerId, reason: error.message });
      return undefined;
    }
  }

  /** See `network_watch.ts`. What comes of the relays' answers is their news ("moved"). */
  #watchNetwork(now: number): void {
    if (this.#network.takeVerdict(now) && !this.#relays.hasHeardSince(this.#network.probedAt)) {
      this.#network.noteDoubt(now);
      this.#events.push({ type: "network-doubtful" });
      for (const connection of this.#directory.all()) connection.doubt(undefined, now);
    }
    if (!this.#network.takeProbe(now)) return;
    this.#relays.probeAll(now);
    this.#collectRelays(now);
    this.#events.push({ type: "network-changed" });
  }

  #driveDue(now: number): void {
    for (let due = this.#alarm.due(now); due; due = this.#alarm.due(now)) {
      // Should one throw, it must not keep the others from being driven.
      due.wakeAt = now + SWEEP_INTERVAL;
      if (due.isSilent(now)) {
        this.#relays.verifyAll(now);
        due.agent.suspect(now);
      }
      due.drive(now);
      this.#collect(due, now);
    }
  }

  #adopt(connection: Connection, relayId: string): void {
    connection.relayId = relayId;
    connection.alarm = this.#alarm;
    this.#alarm.set(connection);
    this.#directory.add(connection);
    this.screening.noteUser();
    for (const candidate of this.#shared.all()) connection.offer(candidate);
    this.#offerRelayed(connection);
  }

  #forget(connection: Connection): void {
    this.#directory.remove(connection);
    this.#alarm.remove(connection);
    connection.alarm = undefined;
    this.#demux.forget(connection);
    this.#factory.release(connection);
  }

  #offerRelayed(connection: Connection): void {
    for (const candidate of this.#relays.candidatesOn(connection.relayId)) connection.offer(candidate);
  }

  #touch(connection: Connection, now: number): void {
    connection.noteActivity(now);
    if (connection.isStale) return;
    connection.isStale = true;
    this.#sweepAt ??= now + SWEEP_INTERVAL;
  }

  /** Takes everything that a connection wants to send and say. */
  #collect(connection: Connection, now: number): void {
    for (let out = connection.outgoing.shift(); out; out = connection.outgoing.shift()) {
      if (out.transactionKey !== undefined) {
        this.#directory.noteTransaction(out.transactionKey, connection, now);
        this.#sweepAt ??= now + SWEEP_INTERVAL;
      }
      const relay = this.#relays.get(connection.relayId);
      const isRelayed = relay?.relayedAddress(out.base.family)?.equals(out.base);
      if (isRelayed && !connection.channels.allows(out.remote, now)) this.#count.noChannel();
      else this.#send(isRelayed ? relay : undefined, out.base, out.remote, out.payload, now);
    }
    for (let news = connection.news.shift(); news; news = connection.news.shift()) {
      const { peerId } = connection;
      if (news.type === "established") this.#events.push({ type: "established", peerId });
      else {
        this.#aim(connection, now);
        this.#events.push({ type: "path", peerId, kind: news.kind, remote: news.remote });
      }
    }
    this.#publish(connection);
    if (connection.state === "failed" && this.#directory.get(connection.peerId) === connection) {
      this.#forget(connection);
      this.#events.push({ type: "failed", peerId: connection.peerId, reason: connection.failure });
    }
  }

  #publish(connection: Connection): void {
    for (let e = connection.pollSignal(); e; e = connection.pollSignal()) this.#events.push(e);
  }

  /** Points the data path where the nomination says. */
  #aim(connection: Connection, now: number): void {
    const { nominated } = connection;
    if (!nominated) return;
    this.screening.notePath(connection, nominated.remote, now);
    const socket = this.#relays.get(connection.relayId)?.activeSocket;
    if (!nominated.viaRelay) connection.path.set(nominated.remote, nominated.base);
    else if (socket) connection.path.set(socket);
  }

  /** A control datagram: as it is from one of our own addresses, or as ChannelData from our address on a relay. */
  #send(
    relay: Allocation | undefined,
    base: SocketAddress,
    remote: SocketAddress,
    payload: Uint8Array,
    now: number,
  ): void {
    if (!relay) {
      this.#transmits.push({ src: base, dst: remote, payload });
      return;
    }
    const channel = this.#channelTo(relay, remote, now);
    const socket = relay.activeSocket;
    if (channel === 0 || !socket) return void this.#count.noChannel();
    this.#transmits.push({ dst: socket, payload: encodeChannelData(channel, payload) });
  }

  /** The channel to `remote`, 0 for none. A bind that it takes leaves before anything that is sent on the channel. */
  #channelTo(relay: Allocation | undefined, remote: SocketAddress, now: number): number {
    if (!relay) return 0;
    const channel = relay.channelTo(remote, now);
    for (let t = relay.pollTransmit(); t; t = relay.pollTransmit()) this.#transmits.push(t);
    return channel;
  }

  #bind(connection: Connection, remote: SocketAddress, now: number): void {
    const allocation = this.#relays.get(connection.relayId);
    if (!allocation || !connection.channels.allows(remote, now)) return;
    allocation.bind(remote, now);
    this.#relays.settle(allocation, now);
    this.#collectRelays(now);
  }

  #collectRelays(now: number): void {
    for (let t = this.#relays.pollTransmit(); t; t = this.#relays.pollTransmit()) this.#transmits.push(t);
    for (let n = this.#relays.pollNews(); n; n = this.#relays.pollNews()) this.#handleNews(n, now);
  }

  #handleNews(news: RelayNews, now: number): void {
    this.#mayLackRelays = true;
    switch (news.type) {
      case "moved":
        this.#events.push({ type: "moved" });
        for (const connection of this.#directory.all()) connection.doubt(news.base, now);
        return;
      case "host":
        return this.#share(this.#shared.addHost(news.address), now);
      case "server-reflexive":
        this.#share(this.#shared.addHost(news.base), now);
        return this.#share(this.#shared.addServerReflexive(news.address, news.base), now);
      case "relayed":
        for (const connection of this.#usersOf(news.relayId)) {
          this.#offerRelayed(connection);
          connection.wakeAt = now;
        }
        return;
      case "withdrawn":
        for (const connection of this.#usersOf(news.relayId)) {
          connection.withdrawRelayed(news.addresses);
          connection.wakeAt = now;
        }
        return;
      case "readiness":
        return void this.#events.push({ ...news, type: "relays" });
      case "ready":
        return void this.#events.push({ type: "relay", relayId: news.relayId, state: "ready" });
      case "lost":
        this.#events.push({ type: "relay", relayId: news.relayId, state: "lost", reason: news.reason });
        for (const connection of this.#usersOf(news.relayId)) connection.wakeAt = now;
        return;
      case "none":
        this.#events.push({ type: "no-relays" });
    }
  }

  #share(candidate: Candidate | undefined, now: number): void {
    if (!candidate) return;
    for (const connection of this.#directory.all()) {
      connection.offer(candidate);
      connection.wakeAt = now;
    }
  }

  #usersOf(relayId: string): Connection[] {
    return [...this.#directory.all()].filter((c) => c.relayId === relayId);
  }

  /** Connections whose relay is gone take another, and bind their peers' addresses there at once (§6.1, 288d9d9). */
  #migrate(now: number): void {
    if (!this.#mayLackRelays || this.#relays.size === 0) return;
    this.#mayLackRelays = false;
    for (const connection of this.#directory.all()) {
      if (this.#relays.get(connection.relayId)) continue;
      connection.relayId = this.#relays.sample();
      if (connection.relayId === undefined) {
        this.#mayLackRelays = true;
        continue;
      }
      this.#offerRelayed(connection);
      for (const remote of connection.agent.remoteCandidates) {
        if (remote.kind !== "host") this.#bind(connection, remote.address, now);
      }
      connection.drive(now);
      this.#collect(connection, now);
    }
  }
}
