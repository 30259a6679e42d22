/**
 * The ICE agent of one connection (RFC 8445, in the flavour of snownet §2): full agent, one component, UDP, always
 * trickling, checks unpaced, no freezing, no restart (new credentials mean a new agent).
 *
 * A pair is formed the moment both its candidates are known and is checked from then on for as long as it lives,
 * nominated or not, on the schedule of `check_schedule.ts`. The controlling side re-nominates whenever a better pair
 * starts to work (`nomination.ts`), so paths may come and go without the application noticing more than a change of
 * address.
 *
 * Sans-IO: after any call that takes `now`, and after adding or removing candidates, call `handleTimeout(now)` and
 * drain `pollTransmit()`, `pollEvent()` and `pollTimeout()`. Time never goes backwards.
 */
import type { RandomBytes } from "../crypto/types.ts";
import type { SocketAddress } from "../packet/address.ts";
import {
  Method,
  shortTermKey,
  StunClass,
  type StunMessage,
  transactionKey,
  verifyIntegrity,
} from "../stun/mod.ts";
import type { Candidate } from "./candidate.ts";
import { encodeCheck, encodeCheckSuccess, encodeRoleConflict, ROLE_CONFLICT } from "./check_messages.ts";
import { CheckList } from "./check_list.ts";
import type { Attempt } from "./check_schedule.ts";
import { LocalCandidates } from "./local_candidates.ts";
import { pairToNominate, selectPair } from "./nomination.ts";
import type { CandidateEntry, CandidatePair } from "./pair.ts";
import { peerReflexivePriority } from "./priority.ts";
import { RemoteCandidates } from "./remote_candidates.ts";
import { type IceState, nextState } from "./state.ts";
import type { IceTiming } from "./timing.ts";
import type { IceAgentOptions, IceEvent, IcePath, IceTransmit, PairStatus } from "./types.ts";

/** A pair is kept while the peer's last check on it is younger than this, ms. */
const KEPT_BY_REQUEST = 15_000;
/** Least gap between two checks of a pair that are triggered by the peer's checks, but for the first, ms. */
const TRIGGER_GAP = 250;
/** Unanswered checks that make a pair silent enough to be asked anew when its candidate is signalled again. */
const SIGNALLED_AGAIN = 2;

export class IceAgent {
  #controlling: boolean;
  #timing: IceTiming;
  #now: number;
  readonly #random: RandomBytes;
  readonly #remoteUfrag: string;
  /** USERNAME of the peer's checks and of ours. */
  readonly #inboundUsername: string;
  readonly #outboundUsername: string;
  readonly #localKey: Uint8Array;
  readonly #remoteKey: Uint8Array;
  readonly #tieBreaker: bigint;
  readonly #locals = new LocalCandidates();
  readonly #remotes = new RemoteCandidates();
  readonly #checks: CheckList;
  readonly #transmits: IceTransmit[] = [];
  readonly #events: IceEvent[] = [];
  #state: IceState = "new";
  #selected: CandidatePair | undefined;
  #reported: { readonly source: SocketAddress; readonly destination: SocketAddress } | undefined;
  /** Candidates changed since the last pass. */
  #changed = false;
  /** The message that `accepts` verified last, so that `handleStun` need not do it again. */
  #verified: StunMessage | undefined;

  constructor({ controlling, local, remote, timing, random, now }: IceAgentOptions) {
    this.#controlling = controlling;
    this.#timing = timing;
    this.#now = now;
    this.#random = random;
    this.#remoteUfrag = remote.ufrag;
    this.#inboundUsername = `${local.ufrag}:${remote.ufrag}`;
    this.#outboundUsername = `${remote.ufrag}:${local.ufrag}`;
    this.#localKey = shortTermKey(local.password);
    this.#remoteKey = shortTermKey(remote.password);
    this.#tieBreaker = new DataView(random(8).buffer).getBigUint64(0);
    this.#checks = new CheckList(controlling);
  }

  /** The present role; a role conflict may change it. */
  get controlling(): boolean {
    return this.#controlling;
  }

  get state(): IceState {
    return this.#state;
  }

  /** Our candidates to signal, best first. */
  get localCandidates(): Candidate[] {
    return byPriority(this.#locals.live);
  }

  /** The peer's candidates, signalled and discovered, best first. */
  get remoteCandidates(): Candidate[] {
    return byPriority(this.#remotes.live);
  }

  /** Whether there are any {@link remoteCandidates}. */
  get hasRemoteCandidates(): boolean {
    return this.#remotes.hasLive;
  }

  /** The path that data takes now. */
  get selected(): IcePath | undefined {
    return this.#selected && pathOf(this.#selected);
  }

  /** Milliseconds there and back on that path, when a check has shown it. */
  get roundTrip(): number | undefined {
    return this.#selected?.roundTrip;
  }

  /** When a check or an answer last came over the path that data takes; -Infinity: never. */
  get selectedHeardAt(): number {
    return this.#selected?.heardAt ?? -Infinity;
  }

  /** True while no check has been answered on the path that data takes since {@link doubt}, or there is none. */
  get isDoubted(): boolean {
    return this.#selected?.isDoubted ?? true;
  }

  /** All pairs, best first; for status displays. */
  get pairs(): PairStatus[] {
    return this.#checks.pairs
      .map((pair) => ({
        ...pathOf(pair),
        priority: pair.priority,
        nominated: pair.isNominated,
        succeeded: pair.succeeded,
      }))
      .sort(comparePriority);
  }

  /**
   * Adopts a candidate of ours and pairs it.
   * @returns the adopted candidate, which is the one to signal; undefined when it is unusable or redundant.
   */
  addLocalCandidate(candidate: Candidate): Candidate | undefined {
    const entry = this.#locals.adopt(candidate);
    if (!entry) return undefined;
    this.#checks.reprioritise(entry);
    for (const remote of this.#remotes.live) this.#checks.form(entry, remote);
    this.#changed = true;
    return entry.candidate;
  }

  /** Withdraws a candidate of ours; returns the adopted one, or undefined when the agent does not have it. */
  removeLocalCandidate(candidate: Candidate): Candidate | undefined {
    const entry = this.#locals.discard(candidate);
    if (!entry) return undefined;
    this.#checks.withdraw(entry);
    this.#changed = true;
    return entry.candidate;
  }

  /**
   * Pairs a signalled candidate of the peer; a new one may mean that the peer has moved. One that is known already gets its dead pairs back, and silent ones are
   * asked again at once: perhaps the peer is there again.
   * Ignored: unusable addresses, candidates with another ufrag than the peer's.
   */
  addRemoteCandidate(candidate: Candidate, now: number): void {
    this.#now = now;
    if (candidate.ufrag !== undefined && candidate.ufrag !== this.#remoteUfrag) return;
    const isNew = !this.#remotes.at(candidate.address);
    const added = this.#remotes.add(candidate, this.#usefulness);
    if (!added) return;
    if (isNew) this.#selected?.suspect();
    if (added.evicted) this.#checks.withdraw(added.evicted);
    this.#checks.reprioritise(added.entry);
    for (const local of this.#locals.live) this.#checks.form(local, added.entry);
    for (const pair of this.#checks.pairs) {
      if (pair.remote === added.entry && pair.checks.unanswered >= SIGNALLED_AGAIN) pair.doubt();
    }
    this.#changed = true;
  }

  /** Withdraws a signalled candidate of the peer, matched as `matchesRemoval` says. */
  removeRemoteCandidate(candidate: Candidate, now: number): void {
    this.#now = now;
    const entry = this.#remotes.discard(candidate);
    if (!entry) return;
    this.#checks.withdraw(entry, this.#remotes.at(entry.candidate.address));
    this.#changed = true;
  }

  /** Changes the pace of the checks, for the ones already scheduled too. */
  setTiming(timing: IceTiming, now: number): void {
    this.#now = now;
    this.#timing = timing;
    for (const pair of this.#checks.pairs) pair.checks.retime(timing, now);
  }

  /**
   * The network has changed: what the checks have shown so far is no longer believed, and every pair is asked again at
   * once. Packets now leave from `base`, where that is known: pairs of it that died before are back.
   */
  doubt(base: SocketAddress | undefined, now: number): void {
    this.#now = now;
    for (const pair of this.#checks.pairs) pair.doubt();
    for (const local of base ? this.#locals.live : []) {
      if (!local.candidate.base.equals(base!)) continue;
      for (const remote of this.#remotes.live) this.#checks.form(local, remote);
    }
    this.#changed = true;
  }

  /** Nothing comes from the peer any more: the path that data takes is asked a few quick questions. */
  suspect(now: number): void {
    this.#now = now;
    this.#selected?.suspect();
    this.#changed = true;
  }

  /** An authentic handshake of the peer's came from `source` to `destination`: see `nomination.ts`. */
  noteHandshake(source: SocketAddress, destination: SocketAddress, now: number): void {
    this.#now = now;
    if (this.#controlling) return;
    this.#checks.find(destination, source)?.noteHandshake(now);
    this.#changed = true;
  }

  /**
   * True when `message` belongs to this agent and is authentic: a check with both username fragments, or the reply to
   * a remembered check of ours. Indications never do. Verifies an HMAC: look at USERNAME or the transaction id first
   * when there are many agents.
   */
  accepts(message: StunMessage): boolean {
    const accepted = message.method === Method.BINDING && this.#recognises(message);
    if (accepted) this.#verified = message;
    return accepted;
  }

  /**
   * Takes a message that came from `source` to `destination` (our socket, or our relay address for one that came
   * through the relay). False when the message is not accepted.
   */
  handleStun(message: StunMessage, source: SocketAddress, destination: SocketAddress, now: number): boolean {
    if (this.#verified !== message && !this.accepts(message)) return false;
    this.#verified = undefined;
    this.#now = now;
    if (message.class === StunClass.REQUEST) this.#handleCheck(message, source, destination);
    else this.#handleReply(message);
    this.#settle();
    return true;
  }

  handleTimeout(now: number): void {
    this.#now = now;
    this.#changed = false;
    const due = this.#checks.pairs
      .filter((pair) => (pair.checks.due ?? now) <= now)
      .sort((a, b) => Number(b.isNominated) - Number(a.isNominated) || comparePriority(a, b));
    for (const pair of due) {
      if (this.#isDead(pair)) this.#checks.remove(pair);
      else this.#sendCheck(pair);
    }
    this.#settle();
  }

  /** Absolute ms of the next needed `handleTimeout`; undefined when only input can change anything. */
  pollTimeout(): number | undefined {
    let next = this.#changed ? this.#now : Infinity;
    for (const pair of this.#checks.pairs) next = Math.min(next, pair.checks.due ?? this.#now);
    return next === Infinity ? undefined : Math.max(next, this.#now);
  }

  pollTransmit(): IceTransmit | undefined {
    return this.#transmits.shift();
  }

  pollEvent(): IceEvent | undefined {
    return this.#events.shift();
  }

  #recognises(message: StunMessage): boolean {
    switch (message.class) {
      case StunClass.REQUEST:
        return message.username === this.#inboundUsername && message.priority !== undefined &&
          verifyIntegrity(message, this.#localKey);
      case StunClass.SUCCESS:
        return message.xorMappedAddress !== undefined && this.#attemptOf(message) !== undefined &&
          verifyIntegrity(message, this.#remoteKey);
      case StunClass.ERROR:
        return message.errorCode !== undefined && this.#attemptOf(message) !== undefined &&
          verifyIntegrity(message, this.#remoteKey);
      case StunClass.INDICATION:
        return false;
    }
  }

  #attemptOf(message: StunMessage): { pair: CandidatePair; attempt: Attempt } | undefined {
    const key = transactionKey(message.transactionId);
    for (const pair of this.#checks.pairs) {
      const attempt = pair.checks.find(key);
      if (attempt) return { pair, attempt };
    }
    return undefined;
  }

  /** A check of the peer's (snownet §2.7). */
  #handleCheck(message: StunMessage, source: SocketAddress, destination: SocketAddress): void {
    const local = this.#locals.receiving(destination);
    if (!local) return;
    if (!this.#resolveRoles(message)) {
      this.#transmit(local.candidate.base, source, encodeRoleConflict(message, this.#localKey));
      return;
    }
    if (this.#controlling && message.useCandidate) return;
    const pair = this.#pairOfCheck(message, local, source);
    if (!pair) return;
    const isFirst = pair.lastRequestAt === undefined;
    if (isFirst) this.#events.push({ type: "discovered", source });
    pair.noteRequest(this.#now);
    const isOpen = !pair.succeeded || pair.isDoubted;
    if (isOpen && (isFirst || this.#now - (pair.checks.lastSentAt ?? 0) >= TRIGGER_GAP)) {
      pair.checks.expedite();
    }
    if (message.useCandidate && !pair.isNominated) pair.nominate(this.#now);
    this.#transmit(local.candidate.base, source, encodeCheckSuccess(message, source, this.#localKey));
  }

  #pairOfCheck(
    message: StunMessage,
    local: CandidateEntry,
    source: SocketAddress,
  ): CandidatePair | undefined {
    let remote = this.#remotes.at(source);
    if (!remote) {
      if (this.#remotes.isWithdrawn(source)) return undefined;
      this.#selected?.suspect();
      const { entry, evicted } = this.#remotes.discover(source, message.priority!, this.#usefulness);
      if (evicted) this.#checks.withdraw(evicted);
      remote = entry;
    }
    return this.#checks.find(local.candidate.base, source) ?? this.#checks.form(local, remote);
  }

  /** The reply to a check of ours, whatever address it came from: it is authentic and names the check. */
  #handleReply(message: StunMessage): void {
    const found = this.#attemptOf(message);
    if (!found) return;
    const { pair, attempt } = found;
    if (message.class === StunClass.SUCCESS) {
      pair.checks.answer(attempt, this.#timing, this.#now);
      pair.noteAnswer(this.#now, attempt.sentAt);
      if (attempt.nominating && pair.nomination === "attempt") pair.nomination = "success";
    } else if (message.errorCode!.code === ROLE_CONFLICT && attempt.controlling === this.#controlling) {
      this.#switchRole();
      pair.checks.answer(attempt, this.#timing, this.#now);
      pair.checks.expedite();
    }
  }

  /** Settles a role conflict (RFC 8445 §7.3.1.1); false when the peer has to give way. */
  #resolveRoles(message: StunMessage): boolean {
    const rival = this.#controlling ? message.iceControlling : message.iceControlled;
    if (rival === undefined) return true;
    const winsControl = this.#tieBreaker >= rival;
    if (winsControl === this.#controlling) return false;
    this.#switchRole();
    return true;
  }

  #switchRole(): void {
    this.#controlling = !this.#controlling;
    this.#checks.switchRole(this.#controlling);
  }

  #sendCheck(pair: CandidatePair): void {
    const transactionId = this.#random(12);
    const key = transactionKey(transactionId);
    const payload = encodeCheck({
      transactionId,
      username: this.#outboundUsername,
      controlling: this.#controlling,
      tieBreaker: this.#tieBreaker,
      priority: peerReflexivePriority(pair.local.candidate.priority),
      useCandidate: this.#controlling && pair.isNominated,
      key: this.#remoteKey,
    });
    pair.checks.record(
      {
        key,
        sentAt: this.#now,
        controlling: this.#controlling,
        nominating: pair.isNominated,
        answered: false,
      },
      this.#timing,
    );
    if (pair.nomination === "nominated") pair.nomination = "attempt";
    this.#transmit(pair.source, pair.destination, payload, key);
  }

  #isDead(pair: CandidatePair): boolean {
    const { lastRequestAt } = pair;
    const heard = lastRequestAt !== undefined && this.#now - lastRequestAt < KEPT_BY_REQUEST;
    return !heard && pair.checks.isExhausted(this.#timing, this.#now);
  }

  /** Draws the conclusions from whatever happened: nomination, the selected pair, the state. */
  #settle(): void {
    const pairs = this.#checks.pairs;
    const best = this.#controlling ? pairToNominate(pairs) : undefined;
    best?.nominate(this.#now);
    this.#selected = selectPair(pairs, this.#selected);
    if (!this.#selected) {
      this.#reported = undefined;
    } else if (
      !this.#reported || !this.#selected.connects(this.#reported.source, this.#reported.destination)
    ) {
      const path = pathOf(this.#selected);
      this.#reported = path;
      this.#events.push({ type: "nominated", ...path });
    }
    const state = nextState(
      pairs.some((pair) => pair.isNominated),
      this.#locals.isEmpty || this.#remotes.isEmpty || pairs.some((pair) => !pair.isNominated),
    );
    if (state === this.#state) return;
    this.#state = state;
    this.#events.push({ type: "state", state });
  }

  #transmit(src: SocketAddress, dst: SocketAddress, payload: Uint8Array, transactionKey?: string): void {
    this.#transmits.push({ src, dst, payload, ...(transactionKey === undefined ? {} : { transactionKey }) });
  }

  /** Withdrawn candidates give way first, then those without pairs, then those least recently heard from. */
  readonly #usefulness = (entry: CandidateEntry): number => {
    if (entry.discarded) return -2;
    let usefulness = -1;
    for (const pair of this.#checks.pairs) {
      if (pair.remote !== entry) continue;
      if (pair === this.#selected) return Infinity;
      usefulness = Math.max(usefulness, pair.lastRequestAt ?? 0);
    }
    return usefulness;
  };
}

/** Best first. */
function comparePriority(a: { readonly priority: bigint }, b: { readonly priority: bigint }): number {
  return a.priority > b.priority ? -1 : a.priority < b.priority ? 1 : 0;
}

function byPriority(entries: readonly CandidateEntry[]): Candidate[] {
  return entries.map((entry) => entry.candidate).sort((a, b) => b.priority - a.priority);
}

function pathOf(pair: CandidatePair): IcePath {
  const { source, destination } = pair;
  return { local: pair.local.candidate, remote: pair.remote.candidate, source, destination };
}
