/**
 * Where connected peers are, by address and port: what comes from there may be a flood that claims to (or that shares
 * the peer's address behind a NAT, but then not its port). A few handshakes a peer are therefore let in without a
 * cookie however many strangers there are, so that a flood ends no session that is to be renewed.
 */
import { ADDRESS_RECORD_SIZE, type SocketAddress } from "../packet/address.ts";
import { Path } from "../packet/path.ts";
import { sparedKey } from "../packet/screen.ts";

const RECORD_WORDS = ADDRESS_RECORD_SIZE / 4;
/** Handshakes of one peer: at once, and then each second. A peer needs one in two minutes, and a few tries. */
const BURST = 5, PER_SECOND = 1;

interface KnownPath {
  /** Begins with the address record. */
  readonly words: Uint32Array;
  readonly key: number;
  tokens: number;
  at: number;
}

export class KnownPaths {
  readonly #byPeer = new Map<object, KnownPath>();
  readonly #byKey = new Map<number, KnownPath>();

  /** False when the peer was there already. */
  set(peer: object, remote: SocketAddress, now: number): boolean {
    const { words } = Path.of(remote), key = sparedKey(words, 0);
    if (this.#byPeer.get(peer)?.key === key) return false;
    this.delete(peer);
    const path = { words, key, tokens: BURST, at: now };
    this.#byPeer.set(peer, path);
    this.#byKey.set(key, path);
    return true;
  }

  delete(peer: object): void {
    const path = this.#byPeer.get(peer);
    if (!path) return;
    this.#byPeer.delete(peer);
    if (this.#byKey.get(path.key) === path) this.#byKey.delete(path.key);
  }

  /** Whether a peer is at the address record at words[at]. */
  has(words: Uint32Array, at: number): boolean {
    return this.#find(words, at) !== undefined;
  }

  /** Takes a handshake from the allowance of the peer at words[at]; false when there is none left, or no peer. */
  takes(words: Uint32Array, at: number, now: number): boolean {
    const path = this.#find(words, at);
    if (!path) return false;
    path.tokens = Math.min(BURST, path.tokens + (now - path.at) * PER_SECOND / 1_000);
    path.at = now;
    if (path.tokens < 1) return false;
    path.tokens--;
    return true;
  }

  /** See `Screen.spared`. */
  keys(): number[] {
    return [...this.#byKey.keys()].sort((a, b) => a - b);
  }

  #find(words: Uint32Array, at: number): KnownPath | undefined {
    const path = this.#byKey.get(sparedKey(words, at));
    if (!path) return undefined;
    for (let i = 0; i < RECORD_WORDS; i++) if (path.words[i] !== words[at + i]) return undefined;
    return path;
  }
}
