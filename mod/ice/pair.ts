/**
 * A candidate pair: one path, named by our base and the peer's address, with its checks and its nomination.
 *
 * A pair has no failed state: one that stays silent is removed (snownet §2.8). Several pairs may be nominated at once.
 */
import type { SocketAddress } from "../packet/address.ts";
import type { Candidate } from "./candidate.ts";
import { CheckSchedule } from "./check_schedule.ts";
import { pairPriority } from "./priority.ts";

/** A candidate in an agent's list. The value changes when a better description of the same address arrives. */
export interface CandidateEntry {
  candidate: Candidate;
  /** Withdrawn: kept so that its address stays known, but without pairs and not answered. */
  discarded: boolean;
  /** Remote only: learned from a check and not signalled so far. */
  discovered: boolean;
}

/**
 * - `nominated`: by the controlling side, and our next check on the pair has not been sent yet
 * - `attempt`: that check is on its way
 * - `success`: it was answered
 */
export type Nomination = "none" | "nominated" | "attempt" | "success";

/** So many of the peer's checks are remembered per pair, to compare the liveliness of nominated pairs. */
const REMEMBERED_REQUESTS = 3;
/** A pair that gets nothing for this long (ms), while another gets checks, is taken for dead. */
const DESERTED_AFTER = 5_000;
/** A pair is taken for dead when so many of our checks in a row were not answered (the last one just sent). */
const SILENT_CHECKS = 6;
/** So many are enough when something speaks against the pair already. */
const SUSPECT_CHECKS = 3;
/** Above it quick questions are asked faster than they can be answered, ms. */
const MAX_ROUND_TRIP = 400;

export class CandidatePair {
  readonly checks = new CheckSchedule();
  nomination: Nomination = "none";
  /** One of our checks was answered. */
  succeeded = false;
  #priority = 0n;
  #isDoubted = false;
  #isSuspected = false;
  /** When the controlling side nominated it, and when a handshake of its came this way last. */
  #nominatedAt = -Infinity;
  #handshakeAt = -Infinity;
  #lastAnswerAt: number | undefined;
  #roundTrip: number | undefined;
  readonly #requests: number[] = [];

  constructor(public local: CandidateEntry, public remote: CandidateEntry) {}

  get source(): SocketAddress {
    return this.local.candidate.base;
  }

  get destination(): SocketAddress {
    return this.remote.candidate.address;
  }

  /** u64, as computed by the last {@link prioritise}. */
  get priority(): bigint {
    return this.#priority;
  }

  get isNominated(): boolean {
    return this.nomination !== "none";
  }

  /** Absolute ms of the peer's last check on this pair. */
  get lastRequestAt(): number | undefined {
    return this.#requests.at(-1);
  }

  /** Milliseconds that the last answered check took; every check is a transaction of its own. */
  get roundTrip(): number | undefined {
    return this.#roundTrip;
  }

  /** When a check of the peer's or an answer last came this way; -Infinity: never. */
  get heardAt(): number {
    return Math.max(this.lastRequestAt ?? -Infinity, this.#lastAnswerAt ?? -Infinity);
  }

  /** Our datagrams don't get through, judging by a row of unanswered checks. */
  get isSilent(): boolean {
    return this.checks.unanswered >= SILENT_CHECKS;
  }

  /** Something has changed since one of our checks was answered: what that showed may no longer hold. */
  get isDoubted(): boolean {
    return this.#isDoubted || (this.#isSuspected && this.checks.unanswered >= SUSPECT_CHECKS);
  }

  /** Our own address has changed: not believed before a check is answered. Asks again, quickly. */
  doubt(): void {
    this.#isDoubted = true;
    this.checks.restart();
  }

  /** The path may have died: asks again, quickly. Until a few checks in a row are lost the pair is believed. */
  suspect(): void {
    if (this.#isDoubted || this.#isSuspected || (this.#roundTrip ?? 0) > MAX_ROUND_TRIP) return;
    if (this.checks.unanswered > 1) return this.doubt();
    this.#isSuspected = true;
    this.checks.restart();
  }

  /** The controlling side's choice, or ours if that is us. */
  nominate(now: number): void {
    if (!this.isNominated) this.#nominatedAt = now;
    this.nomination = "nominated";
    this.checks.expedite();
  }

  /** The peer, who controls, sent a handshake this way: it does so on the path that it takes. */
  noteHandshake(now: number): void {
    this.#handshakeAt = now;
  }

  /** Computes the priority; whenever a candidate or the role changed. */
  prioritise(controlling: boolean): void {
    const own = this.local.candidate.priority, peer = this.remote.candidate.priority;
    this.#priority = controlling ? pairPriority(own, peer) : pairPriority(peer, own);
  }

  connects(base: SocketAddress, remote: SocketAddress): boolean {
    return this.source.key === base.key && this.destination.key === remote.key;
  }

  noteRequest(now: number): void {
    this.#requests.push(now);
    if (this.#requests.length > REMEMBERED_REQUESTS) this.#requests.shift();
  }

  noteAnswer(now: number, sentAt: number): void {
    this.succeeded = true;
    this.#isDoubted = this.#isSuspected = false;
    this.#lastAnswerAt = now;
    this.#roundTrip = now - sentAt;
  }

  /**
   * True when the peer went on with `other` and left this pair: its latest handshake came on `other`, or since the last
   * sign of life here it checked `other` several times, over a while that no loss of single datagrams explains.
   */
  isDesertedFor(other: CandidatePair): boolean {
    if (other.#handshakeAt > Math.max(this.#handshakeAt, this.#nominatedAt)) return true;
    const { heardAt } = this;
    const requests = other.#requests;
    return requests.length === REMEMBERED_REQUESTS && requests[0]! > heardAt &&
      requests.at(-1)! - heardAt >= DESERTED_AFTER;
  }
}
