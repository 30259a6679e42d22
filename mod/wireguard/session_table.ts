/**
 * The sessions of one tunnel: eight slots by index modulo 8, and which of them we send on (spec snownet §4.2, §4.6).
 *
 * A session that we initiated is current at once. One that we responded to becomes current with the first
 * authentic packet on it: until then the initiator may not have our response. Sessions never go back to an older
 * current one; older ones stay readable in their slots until they are overwritten or too old.
 */
import type { Session } from "./session.ts";

const SLOTS = 8;

export class SessionTable {
  /** The session to send on. */
  current: Session | undefined;
  /** The session that was established last, current or not. */
  newest: Session | undefined;
  /** How many sessions there were so far. */
  count = 0;

  readonly #slots: (Session | undefined)[] = new Array<undefined>(SLOTS).fill(undefined);
  readonly #base: number;
  #counter = 0;

  /** @param base 24-bit prefix of all indices. */
  constructor(base: number) {
    this.#base = base;
  }

  /** The index for the next handshake. Never one whose session would push the current one out of its slot. */
  nextIndex(): number {
    do {
      this.#counter = (this.#counter + 1) & 0xff;
    } while (this.current !== undefined && this.#counter % SLOTS === this.current.index % SLOTS);
    return (this.#base << 8 | this.#counter) >>> 0;
  }

  get(receiverIndex: number): Session | undefined {
    const session = this.#slots[receiverIndex & (SLOTS - 1)];
    return session !== undefined && session.index === receiverIndex ? session : undefined;
  }

  /** Stores a session just made by a handshake; what was in its slot is closed. */
  add(session: Session): void {
    const slot = session.index & (SLOTS - 1);
    const replaced = this.#slots[slot];
    if (replaced !== undefined) this.#drop(slot, replaced);
    this.#slots[slot] = session;
    this.newest = session;
    this.count++;
    if (session.initiator) this.current = session;
  }

  /** Something authentic came in on this session; true when that made it the current one. */
  confirm(session: Session): boolean {
    if (session === this.current || session.closed) return false;
    if (this.current !== undefined && session.sequence < this.current.sequence) return false;
    this.current = session;
    return true;
  }

  /** Closes every session that reached the age `lifetime`. */
  removeExpired(now: number, lifetime: number): void {
    for (let slot = 0; slot < SLOTS; slot++) {
      const session = this.#slots[slot];
      if (session !== undefined && session.establishedAt + lifetime <= now) this.#drop(slot, session);
    }
  }

  /** When the oldest session was established; Infinity without any. */
  get oldestEstablishedAt(): number {
    let oldest = Infinity;
    for (let slot = 0; slot < SLOTS; slot++) {
      const session = this.#slots[slot];
      if (session !== undefined && session.establishedAt < oldest) oldest = session.establishedAt;
    }
    return oldest;
  }

  /** Closes all sessions. */
  clear(): void {
    this.removeExpired(Infinity, 0);
  }

  #drop(slot: number, session: Session): void {
    session.close();
    this.#slots[slot] = undefined;
    if (this.current === session) this.current = undefined;
    if (this.newest === session) this.newest = undefined;
  }
}
