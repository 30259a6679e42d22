/**
 * Notices floods by strangers and decides what the kernel shall keep from us meanwhile: a {@link Screen}.
 *
 *     STUN requests for users that are not here ─► pass only requests for those that are here
 *     handshakes without a cookie, one source ───► pass one in 256 of that source's
 *                                  from all over ► pass one in 256, whoever's
 *
 * Nobody is shut out for good: what passes of a thinned source may get a cookie (`wireguard/limiter.ts`, `isThinned`), and
 * who is connected is spared (`known_paths.ts`), which everybody is whose handshake is awaited: ICE comes before it.
 *
 * In peace nothing is screened, since an exchange of filters takes up to a millisecond. A decision holds for five
 * seconds. A source of which a flood's share has passed in the last of them stays thinned; everything else must then be
 * earned anew, which costs a flood's first few milliseconds. A new user ends it for STUN, so that no check of theirs is
 * lost. All is bounded: counts live in a table that sources are hashed into with a secret seed.
 */
import type { RandomBytes } from "../crypto/types.ts";
import type { SocketAddress } from "../packet/address.ts";
import { type Screen, THINNED_TO_ONE_IN } from "../packet/screen.ts";
import type { NodeCounters } from "./counters.ts";
import { KnownPaths } from "./known_paths.ts";

const WINDOW = 1_000;
const HOLD = 5_000;
/** Messages in one window that are a flood. Thousands of clients who come back at once are none. */
const STRANGERS = 2_000, UNPROVEN_OF_SOURCE = 2_000, UNPROVEN_OF_ALL = 10_000;
const MAX_SOURCES = 16;
const SLOTS = 4096;
const utf8 = new TextEncoder();

export class Screening {
  /** Fragments of the user names that STUN requests may be for. */
  readonly #fragments: () => Iterable<string>;
  readonly #seed: number;
  readonly #count: Pick<NodeCounters, "flood">;
  #windowStart = -Infinity;
  #strangers = 0;
  #unproven = 0;
  readonly #paths = new KnownPaths();
  readonly #bySource = new Uint16Array(SLOTS);
  /** Slots of the sources that are thinned. */
  readonly #isListed = new Uint8Array(SLOTS);
  /** What passed of them in the last second before it is decided anew. */
  readonly #lately = new Uint32Array(SLOTS);
  #latelyOfAll = 0;

  #strictUntil = -Infinity;
  #thinUntil = -Infinity;
  #thinned: "everyone" | Uint8Array[] = [];
  #changed = false;
  /** The kernel does what the last screen said. */
  #isInForce = false;

  constructor(random: RandomBytes, count: Pick<NodeCounters, "flood">, fragments: () => Iterable<string>) {
    this.#seed = new DataView(random(4).buffer).getUint32(0);
    this.#count = count;
    this.#fragments = fragments;
  }

  /** A STUN request for nobody here. */
  noteStranger(now: number): void {
    this.#renew(now);
    if (++this.#strangers < STRANGERS || now < this.#strictUntil) return;
    this.#strictUntil = now + HOLD;
    this.#changed = true;
    this.#count.flood();
  }

  /**
   * A handshake message without cookie that came to a socket of ours.
   * @param source 4 or 16 address bytes.
   */
  noteUnproven(source: Uint8Array, now: number): void {
    this.#renew(now);
    const slot = this.#slotOf(source);
    if (this.#thinned === "everyone" || this.#isListed[slot] === 1) {
      if (now < this.#thinUntil - WINDOW) return;
      this.#lately[slot]!++;
      this.#latelyOfAll++;
      return;
    }
    if (++this.#bySource[slot]! >= UNPROVEN_OF_SOURCE && this.#thinned.length < MAX_SOURCES) {
      this.#isListed[slot] = 1;
      this.#thin([...this.#thinned, source.slice(0, networkLength(source))], now);
    } else if (++this.#unproven >= UNPROVEN_OF_ALL) {
      this.#thin("everyone", now);
    }
  }

  /** Whether what comes from this source without a cookie is what the kernel has left of it. */
  isThinned(source: Uint8Array): boolean {
    return this.#isInForce && (this.#thinned === "everyone" || this.#isListed[this.#slotOf(source)] === 1);
  }

  /** Somebody may be asked for who was not here before. */
  noteUser(): void {
    if (this.#strictUntil === -Infinity) return;
    this.#strictUntil = -Infinity;
    this.#strangers = 0;
    this.#changed = true;
  }

  /** A connected peer is here now. */
  notePath(peer: object, remote: SocketAddress, now: number): void {
    if (this.#paths.set(peer, remote, now) && this.#thinUntil !== -Infinity) this.#changed = true;
  }

  /** … and is connected no more. */
  forgetPath(peer: object): void {
    this.#paths.delete(peer);
  }

  /** Whether a connected peer is at the address record at words[at]. */
  isConnected(words: Uint32Array, at: number): boolean {
    return this.#paths.has(words, at);
  }

  /** Whether a handshake from there needs no cookie this time: ask when it otherwise would, and its mac1 is right. */
  spares(words: Uint32Array, at: number, now: number): boolean {
    return this.#paths.takes(words, at, now);
  }

  handleTimeout(now: number): void {
    if (now >= this.#strictUntil && this.#strictUntil !== -Infinity) {
      this.#strictUntil = -Infinity;
      this.#changed = true;
    }
    if (now >= this.#thinUntil && this.#thinUntil !== -Infinity) this.#decideAnew(now);
  }

  /** Infinity: not by itself. */
  pollTimeout(): number {
    const strict = this.#strictUntil === -Infinity ? Infinity : this.#strictUntil;
    return this.#thinUntil === -Infinity ? strict : Math.min(strict, this.#thinUntil);
  }

  /** What to have the kernel apply from now on, when that has changed; then say what came of it. */
  poll(): Screen | undefined {
    if (!this.#changed) return undefined;
    this.#changed = false;
    const isThinning = this.#thinUntil !== -Infinity;
    return {
      users: this.#strictUntil === -Infinity ? undefined : beginnings(this.#fragments()),
      thinned: isThinning ? this.#thinned : [],
      spared: isThinning ? this.#paths.keys() : [],
    };
  }

  /** @param isInForce the kernel applies what `poll` returned last, on every socket. */
  noteResult(isInForce: boolean): void {
    this.#isInForce = isInForce;
  }

  #thin(whom: "everyone" | Uint8Array[], now: number): void {
    this.#thinned = whom;
    // Who joins the others later is let go with them.
    if (this.#thinUntil === -Infinity) this.#thinUntil = now + HOLD;
    this.#isInForce = false;
    this.#changed = true;
    this.#count.flood();
  }

  /** Lets go whoever floods no more. */
  #decideAnew(now: number): void {
    if (this.#thinned === "everyone") {
      if (this.#latelyOfAll < UNPROVEN_OF_ALL / THINNED_TO_ONE_IN) this.#letGo();
    } else {
      const isFlooding = (source: Uint8Array) =>
        this.#lately[this.#slotOf(source)]! >= UNPROVEN_OF_SOURCE / THINNED_TO_ONE_IN;
      const remaining = this.#thinned.filter(isFlooding);
      if (remaining.length < this.#thinned.length) this.#letGo(remaining);
    }
    this.#thinUntil = this.#thinned.length > 0 ? now + HOLD : -Infinity;
    this.#lately.fill(0);
    this.#latelyOfAll = 0;
  }

  #letGo(remaining: Uint8Array[] = []): void {
    this.#thinned = remaining;
    this.#isListed.fill(0);
    for (const source of remaining) this.#isListed[this.#slotOf(source)] = 1;
    this.#changed = true;
  }

  #renew(now: number): void {
    if (now - this.#windowStart < WINDOW) return;
    this.#windowStart = now;
    this.#strangers = this.#unproven = 0;
    this.#bySource.fill(0);
  }

  /** @param source an address, or what of it counts. */
  #slotOf(source: Uint8Array): number {
    let hash = this.#seed;
    const length = networkLength(source);
    for (let i = 0; i < length; i++) hash = Math.imul(hash ^ source[i]!, 0x01000193);
    return (hash ^ hash >>> 15) & (SLOTS - 1);
  }
}

/** Of an IPv6 address the /64, which is what one attacker has. */
function networkLength(source: Uint8Array): 4 | 8 {
  return source.length === 4 ? 4 : 8;
}

/** See `Screen.users`; undefined when there is one too short to begin with four bytes. */
function beginnings(fragments: Iterable<string>): number[] | undefined {
  const numbers = new Set<number>();
  for (const fragment of fragments) {
    const bytes = utf8.encode(fragment);
    if (bytes.length < 4) return undefined;
    numbers.add(new DataView(bytes.buffer, bytes.byteOffset).getUint32(0));
  }
  return [...numbers].sort((a, b) => a - b);
}
