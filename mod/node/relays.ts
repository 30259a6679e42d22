/**
 * The relays we hold allocations on (spec snownet §1.12, §3.11, §3.12).
 *
 *     portal's list ──► starting ──first address──► ready ──no answer to a probe──► silent ─┐
 *                          ▲                          └──other refusal──► gone              │ 1 s … 60 s
 *                          └────────────────────────────────────────────────────────────────┘
 *
 * A relay that fell silent is tried again with growing pauses until the portal has news of it, so that we come back
 * by ourselves even while the portal is away. The sockets of relays that went are remembered: late packets from them
 * are not a peer's. A connection gets a relay at random among those whose measured round trip is close to the best:
 * load spreads over similar relays, and distant ones stay a last resort.
 */
import { type Candidate, relayCandidate } from "../ice/mod.ts";
import type { RandomBytes } from "../crypto/types.ts";
import { ADDRESS_RECORD_SIZE, type SocketAddress } from "../packet/address.ts";
import type { Transmit } from "../packet/transmit.ts";
import { Allocation } from "../turn/mod.ts";
import { Fifo } from "./fifo.ts";
import { sampleByRoundTrip } from "./relay_sample.ts";
import type { NodeStatus, RelayDescription } from "./types.ts";

const FORMER_RELAYS = 64;
const RECORD_WORDS = ADDRESS_RECORD_SIZE / 4;
/** Pauses before a silent relay is tried again, doubling, ms. */
const FIRST_PAUSE = 1_000, LAST_PAUSE = 60_000;
/** For so long after a probe another public address means another network; else a NAT's moods explain it, too. */
const PROBE_WINDOW = 10_000;
/** All relays have said what there is to say of a move, ms. */
const MOVE_WINDOW = 5_000;

export interface RelaysOptions {
  readonly random: RandomBytes;
  readonly software: string;
  readonly realm: string;
}

export type RelayNews =
  /** Packets reach us at this address of ours. */
  | { readonly type: "host"; readonly address: SocketAddress }
  /** Our packets to a relay now leave from another address than before, or through another NAT. */
  | { readonly type: "moved"; readonly base: SocketAddress }
  /** They do at this address, too, and then come to `base`. */
  | { readonly type: "server-reflexive"; readonly address: SocketAddress; readonly base: SocketAddress }
  /** The relay has a new address for us. */
  | { readonly type: "relayed"; readonly relayId: string }
  /** These addresses are no longer ours. */
  | { readonly type: "withdrawn"; readonly relayId: string; readonly addresses: readonly SocketAddress[] }
  | { readonly type: "ready"; readonly relayId: string }
  | { readonly type: "lost"; readonly relayId: string; readonly reason: string }
  /** How many are ready has changed. */
  | { readonly type: "readiness"; readonly ready: number; readonly trouble: string | undefined }
  /** No relay is left, and the ones that are tried again don't raise hopes. */
  | { readonly type: "none" };

/** A relay that did not answer. */
interface Silence {
  readonly relay: RelayDescription;
  readonly pause: number;
  /** When to try again; Infinity = trying. */
  readonly retryAt: number;
}

export class Relays {
  readonly #options: RelaysOptions;
  readonly #allocations = new Map<string, Allocation>();
  readonly #descriptions = new Map<string, RelayDescription>();
  readonly #ready = new Set<string>();
  readonly #silent = new Map<string, Silence>();
  readonly #former: string[] = [];
  /** Why the last one that went did. */
  #trouble: string | undefined;
  /** Where answers came to last, and our public address that they told, by relay and family. */
  readonly #whereabouts = new Map<string, string>();
  /** The local address that the last move led to: what the other relays say of it is no news. */
  #movedTo: string | undefined;
  #movedAt = -Infinity;
  #probedAt = -Infinity;
  readonly #transmits = new Fifo<Transmit>();
  readonly #news = new Fifo<RelayNews>();
  /** The map's values, renewed with it: the packet path looks at them. */
  #list: readonly Allocation[] = [];

  constructor(options: RelaysOptions) {
    this.#options = options;
  }

  // What there is -------------------------------------------------------------------------------------------------

  get size(): number {
    return this.#allocations.size;
  }

  get(id: string | undefined): Allocation | undefined {
    return id === undefined ? undefined : this.#allocations.get(id);
  }

  all(): readonly Allocation[] {
    return this.#list;
  }

  status(): NodeStatus["relays"] {
    return this.#list.map(({ relayId: id, rtt }) => ({ id, ready: this.isReady(id), rtt }));
  }

  /** The relay has an address for us. */
  isReady(id: string): boolean {
    return this.#ready.has(id);
  }

  /** Our candidates on this relay. */
  candidatesOn(id: string | undefined): Candidate[] {
    const allocation = this.get(id);
    return ([4, 6] as const).flatMap((family) => {
      const address = allocation?.relayedAddress(family);
      return address ? [relayCandidate(address, allocation?.activeSocket?.family ?? family)] : [];
    });
  }

  /** The allocation whose relay has exactly the socket of this address record (index of its first word). */
  at(words: Uint32Array, record: number): Allocation | undefined {
    for (const allocation of this.#list) {
      for (const { words: own } of allocation.sockets) {
        let w = 0;
        while (w < RECORD_WORDS && own[w] === words[record + w]) w++;
        if (w === RECORD_WORDS) return allocation;
      }
    }
    return undefined;
  }

  isFormer(from: SocketAddress): boolean {
    return this.#former.includes(from.key);
  }

  /** A relay for a new connection; one that has answered if there is any. Undefined only when there is none. */
  sample(): string | undefined {
    return sampleByRoundTrip(this.#list, this.#options.random)?.relayId;
  }

  // Changes -------------------------------------------------------------------------------------------------------

  /**
   * Drops `removed` and adds or replaces `relays`. What stays is asked whether it still lives: always when it is not
   * in the list, else when it was silent for a while. One that had to wait starts over.
   */
  update(removed: readonly string[], relays: readonly RelayDescription[], now: number): void {
    const had = this.#hopeful;
    for (const id of removed) {
      this.#silent.delete(id);
      this.#drop(id, "the portal says that it is gone");
    }
    for (const relay of relays) {
      const allocation = this.#allocations.get(relay.id);
      if (allocation && this.#isUnchanged(relay)) {
        if (this.#ready.has(relay.id)) allocation.verify(now);
        else allocation.refresh(now);
        continue;
      }
      const wasSilent = this.#silent.delete(relay.id);
      if (wasSilent) this.#remove(relay.id);
      else this.#drop(relay.id, "the portal gave it other credentials");
      this.#add(relay, now);
    }
    const listed = new Set(relays.map((r) => r.id));
    for (const allocation of this.#list) {
      if (!listed.has(allocation.relayId)) allocation.refresh(now);
      this.settle(allocation, now);
    }
    if (had > 0 && this.#hopeful === 0) this.#news.push({ type: "none" });
  }

  /** Frees every allocation at its relay: for a graceful exit. */
  release(now: number): void {
    this.#silent.clear();
    for (const allocation of this.#list) {
      allocation.release(now);
      this.settle(allocation, now);
    }
  }

  /** Something that ought to come over this relay doesn't: the relay is asked unless it has just shown that it lives. */
  verify(id: string | undefined, now: number): void {
    const allocation = this.get(id);
    if (!allocation) return;
    allocation.verify(now);
    this.settle(allocation, now);
  }

  /** `verify` for every relay, since from our side of them a change of our own address looks the same. */
  verifyAll(now: number): void {
    for (const { relayId } of this.#list) this.verify(relayId, now);
  }

  /** The host's network has changed: every relay is asked at once where we are now, silent ones too. */
  probeAll(now: number): void {
    this.#probedAt = now;
    for (const allocation of this.#list) {
      allocation.probe(now);
      this.settle(allocation, now);
    }
    for (const [id, { relay, retryAt }] of this.#silent) {
      if (retryAt === Infinity) continue;
      this.#silent.set(id, { relay, pause: FIRST_PAUSE, retryAt: Infinity });
      this.#add(relay, now);
    }
  }

  /** True when any relay was heard from at this time or later. */
  hasHeardSince(at: number): boolean {
    return this.#list.some(({ heardAt }) => heardAt >= at);
  }

  /** Takes what an allocation has to send and say; after everything that is done to it directly. */
  settle(allocation: Allocation, now: number): void {
    const { relayId } = allocation;
    for (let t = allocation.pollTransmit(); t; t = allocation.pollTransmit()) this.#transmits.push(t);
    for (let event = allocation.pollEvent(); event; event = allocation.pollEvent()) {
      if (event.type === "relayed") this.#news.push({ type: "relayed", relayId });
      else if (event.type === "invalidated") {
        this.#news.push({ type: "withdrawn", relayId, addresses: event.addresses });
      } else {
        if (event.type === "host") this.#noteLocal(relayId, event.address, now);
        else this.#noteMapped(relayId, event.address, event.base, now);
        this.#news.push(event);
      }
    }
    const { freed } = allocation;
    if (this.#allocations.get(relayId) !== allocation) return;
    if (freed === undefined) this.#noteReadiness(allocation);
    else if (freed === "released") this.#remove(relayId);
    else if (freed === "no response received") this.#loseToSilence(relayId, now);
    else {
      this.#drop(relayId, freed);
      if (this.#hopeful === 0) this.#news.push({ type: "none" });
    }
  }

  handleTimeout(now: number): void {
    for (const [id, { relay, pause, retryAt }] of this.#silent) {
      if (retryAt > now) continue;
      this.#silent.set(id, { relay, pause, retryAt: Infinity });
      this.#add(relay, now);
    }
    for (const allocation of this.#list) {
      if ((allocation.pollTimeout() ?? Infinity) <= now) allocation.handleTimeout(now);
      this.settle(allocation, now);
    }
  }

  // Output --------------------------------------------------------------------------------------------------------

  /** When `handleTimeout` is due, ms; Infinity = not by itself. */
  pollTimeout(): number {
    let next = Infinity;
    for (const { retryAt } of this.#silent.values()) next = Math.min(next, retryAt);
    for (const allocation of this.#list) next = Math.min(next, allocation.pollTimeout() ?? Infinity);
    return next;
  }

  pollTransmit(): Transmit | undefined {
    return this.#transmits.shift();
  }

  pollNews(): RelayNews | undefined {
    return this.#news.shift();
  }

  // Internals -----------------------------------------------------------------------------------------------------

  /** Allocations that exist or are on their way; those being tried again after silence don't count. */
  get #hopeful(): number {
    return this.#list.filter(({ relayId }) => !this.#silent.has(relayId)).length;
  }

  /** The relay is there already, with the same sockets and credentials, and not known for silence. */
  #isUnchanged(relay: RelayDescription): boolean {
    const known = this.#descriptions.get(relay.id);
    return known !== undefined && !this.#silent.has(relay.id) && known.username === relay.username &&
      known.password === relay.password && known.v4?.key === relay.v4?.key && known.v6?.key === relay.v6?.key;
  }

  /** Starts an allocation; the previous one of this id must have been removed. */
  #add(relay: RelayDescription, now: number): void {
    const allocation = new Allocation({
      relayId: relay.id,
      addresses: { v4: relay.v4, v6: relay.v6 },
      username: relay.username,
      password: relay.password,
      realm: this.#options.realm,
      software: this.#options.software,
      random: this.#options.random,
      now,
    });
    this.#allocations.set(relay.id, allocation);
    this.#descriptions.set(relay.id, relay);
    for (const key of socketsOf(relay)) {
      const at = this.#former.indexOf(key);
      if (at >= 0) this.#former.splice(at, 1);
    }
    this.#list = [...this.#allocations.values()];
    this.settle(allocation, now);
  }

  #remove(id: string): Allocation | undefined {
    const allocation = this.#allocations.get(id), description = this.#descriptions.get(id);
    if (!allocation || !description) return undefined;
    this.#allocations.delete(id);
    this.#descriptions.delete(id);
    this.#setReady(id, false);
    this.#list = [...this.#allocations.values()];
    for (const key of socketsOf(description)) {
      this.#former.push(key);
      if (this.#former.length > FORMER_RELAYS) this.#former.shift();
    }
    return allocation;
  }

  #drop(id: string, reason: string): void {
    this.#trouble = reason;
    const allocation = this.#remove(id);
    if (!allocation) return;
    const addresses = ([4, 6] as const).flatMap((f) => allocation.relayedAddress(f) ?? []);
    if (addresses.length > 0) this.#news.push({ type: "withdrawn", relayId: id, addresses });
    this.#news.push({ type: "lost", relayId: id, reason });
  }

  /** Plans the next try; only the first loss in a row is news. */
  #loseToSilence(id: string, now: number): void {
    const relay = this.#descriptions.get(id)!, before = this.#silent.get(id);
    const pause = before ? Math.min(LAST_PAUSE, before.pause * 2) : FIRST_PAUSE;
    this.#silent.set(id, { relay, pause, retryAt: now + pause });
    if (before) this.#remove(id);
    else {
      this.#drop(id, "no response received");
      if (this.#hopeful === 0) this.#news.push({ type: "none" });
    }
  }

  /** Compared per relay: a host with several networks may well reach different relays from different addresses. */
  #noteLocal(relayId: string, address: SocketAddress, now: number): void {
    const before = this.#replace(`${relayId} ${address.family} local`, address.key);
    if (before === undefined || before === address.key || this.#movedTo === address.key) return;
    this.#move(address, now);
  }

  /** Many networks give the same private address, but hardly any two the same public one. */
  #noteMapped(relayId: string, address: SocketAddress, base: SocketAddress, now: number): void {
    const before = this.#replace(`${relayId} ${address.family} public`, address.ip);
    if (before === undefined || before === address.ip || now - this.#probedAt >= PROBE_WINDOW) return;
    if (this.#movedTo !== base.key || now - this.#movedAt >= MOVE_WINDOW) this.#move(base, now);
  }

  #move(base: SocketAddress, now: number): void {
    this.#movedTo = base.key;
    this.#movedAt = now;
    this.#news.push({ type: "moved", base });
  }

  #replace(key: string, value: string): string | undefined {
    const before = this.#whereabouts.get(key);
    this.#whereabouts.delete(key);
    this.#whereabouts.set(key, value);
    if (this.#whereabouts.size > 2 * FORMER_RELAYS) {
      this.#whereabouts.delete(this.#whereabouts.keys().next().value!);
    }
    return before;
  }

  /** A relay is ready from the first address on that it gives us, of whichever family. */
  #noteReadiness(allocation: Allocation): void {
    const { relayId } = allocation;
    const isReady = [4, 6].some((family) => allocation.relayedAddress(family as 4 | 6));
    if (!this.#setReady(relayId, isReady) || !isReady) return;
    this.#silent.delete(relayId);
    this.#news.push({ type: "ready", relayId });
  }

  /** True when that is a change. */
  #setReady(id: string, isReady: boolean): boolean {
    if (this.#ready.has(id) === isReady) return false;
    if (isReady) {
      this.#ready.add(id);
      this.#trouble = undefined;
    } else this.#ready.delete(id);
    this.#news.push({ type: "readiness", ready: this.#ready.size, trouble: this.#trouble });
    return true;
  }
}

function socketsOf(relay: RelayDescription): string[] {
  return [relay.v4, relay.v6].flatMap((a) => (a ? [a.key] : []));
}
