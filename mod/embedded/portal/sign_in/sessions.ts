/**
 * Who is signed in at which browser. A session is a random id in a cookie; the portal keeps only its hash, in memory,
 * so that a restart signs browsers out (devices stay signed in: their tokens are in the store). It ends by signing
 * out, after some hours of silence, after a working day, and when its user is gone, expired or has another password.
 *
 * CSRF tokens are an HMAC of the cookie under a key that the portal makes at start. So they are bound to the session,
 * change with it, and cost nothing to remember for visitors who aren't signed in.
 */
import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import type { PortalPolicy, UserPolicy } from "../policy/policy.ts";

/** Seconds. */
export const SESSION_LIFETIME = 10 * 3600;
const IDLE_LIFETIME = 2 * 3600;
const MAX_SESSIONS = 10_000;
const MAX_SESSIONS_OF_USER = 20;
const ID_BYTES = 32;

interface Session {
  readonly user: string;
  /** That of the sign-in: another one ends the session. */
  readonly passwordHash: string | undefined;
  /** Unix seconds. */
  readonly createdAt: number;
  lastSeen: number;
}

export interface SessionsOptions {
  /** The policy in force. */
  policy(): PortalPolicy;
  unixNow(): number;
  random(length: number): Uint8Array;
}

export class BrowserSessions {
  readonly #options: SessionsOptions;
  readonly #key: Uint8Array;
  /** By hash of the id, in the order of their making. */
  readonly #sessions = new Map<string, Session>();

  constructor(options: SessionsOptions) {
    this.#options = options;
    this.#key = options.random(ID_BYTES);
  }

  /** An id for a cookie: of a visitor, until {@link open} makes another one. */
  newId(): string {
    return this.#options.random(ID_BYTES).toBase64({ alphabet: "base64url", omitPadding: true });
  }

  /** Somebody has proved to be this user. @returns the id of a new session */
  open(user: UserPolicy): string {
    const now = this.#options.unixNow();
    this.#prune(user.name);
    const id = this.newId();
    this.#sessions.set(hashOf(id), {
      user: user.name,
      passwordHash: user.passwordHash,
      createdAt: now,
      lastSeen: now,
    });
    return id;
  }

  /** Who is signed in with this id, as the policy in force has them. */
  user(id: string): UserPolicy | undefined {
    const hash = hashOf(id);
    const session = this.#sessions.get(hash);
    if (!session) return undefined;
    const user = this.#valid(session);
    if (user) session.lastSeen = this.#options.unixNow();
    else this.#sessions.delete(hash);
    return user;
  }

  close(id: string): void {
    this.#sessions.delete(hashOf(id));
  }

  csrfToken(id: string): string {
    return createHmac("sha256", this.#key).update(id).digest("base64url");
  }

  isCsrfToken(id: string, token: string): boolean {
    const expected = new TextEncoder().encode(this.csrfToken(id)), given = new TextEncoder().encode(token);
    return expected.length === given.length && timingSafeEqual(expected, given);
  }

  #valid({ user: name, passwordHash, createdAt, lastSeen }: Session): UserPolicy | undefined {
    const now = this.#options.unixNow();
    if (now >= createdAt + SESSION_LIFETIME || now >= lastSeen + IDLE_LIFETIME) return undefined;
    const user = this.#options.policy().actors.find((actor) => actor.name === name);
    if (user?.kind !== "user" || user.expiresAt <= now || user.passwordHash !== passwordHash) {
      return undefined;
    }
    return user;
  }

  /** Makes room: for one more in all, and for one more of this user. */
  #prune(name: string): void {
    let ofUser = [...this.#sessions.values()].filter(({ user }) => user === name).length;
    for (const [hash, session] of this.#sessions) {
      const tooMany = this.#sessions.size >= MAX_SESSIONS ||
        session.user === name && ofUser >= MAX_SESSIONS_OF_USER;
      if (!tooMany && this.#valid(session)) continue;
      this.#sessions.delete(hash);
      if (session.user === name) ofUser--;
    }
  }
}

function hashOf(id: string): string {
  return createHash("sha256").update(id).digest("base64url");
}
