/**
 * Checks names, passwords and one-time codes so that guessing doesn't pay.
 *
 * - Failures cost tokens: of the source's bucket, and of the account's. Success costs none.
 * - An account is never locked: it is slow to guess at. A source that an account has signed in from has a bucket of
 *   its own there, so that somebody elsewhere can't use up the owner's tries.
 * - Unknown names, users without a password and expired users cost a hash like everybody else, and get the same
 *   answer.
 * - A code is asked for after the password, under tighter limits; it is good once.
 */
import { createHmac } from "node:crypto";
import type { PortalPolicy, UserPolicy } from "../policy/policy.ts";
import { verifyPassword } from "./password.ts";
import { sourceOf } from "../server/peer.ts";
import { TokenBuckets } from "../server/token_buckets.ts";
import { totpStep } from "./totp.ts";
import { Turnstile } from "./turnstile.ts";

const SOURCE = { burst: 20, seconds: 5 };
const ACCOUNT = { burst: 10, seconds: 20 };
const CODE = { burst: 5, seconds: 120 };
/** 32 MiB and a processor each. Sources that an account has signed in from have a lane of their own. */
const HASHES = { running: 2, waiting: 16 }, KNOWN_HASHES = { running: 1, waiting: 16 };
const BUSY_SECONDS = 5;
const MAX_KNOWN = 10_000;
const TICKET_SECONDS = 300;
const MAX_TICKETS = 1_000;
/** Of a password that nobody has, at the cost of {@link hashPassword}. */
const NOBODY = `$scrypt$ln=15,r=8,p=3$${"A".repeat(22)}$${"A".repeat(43)}`;

export type Outcome =
  | { readonly type: "user"; readonly user: UserPolicy }
  /** The password was right; a code is due. */
  | { readonly type: "code"; readonly ticket: string }
  | { readonly type: "wrong"; readonly name: string }
  /** The ticket is none, or used up. */
  | { readonly type: "again" }
  | { readonly type: "wait"; readonly seconds: number; readonly busy: boolean };

interface Ticket {
  readonly name: string;
  readonly passwordHash: string;
  /** Browser's session id: nobody else may use the ticket. */
  readonly browser: string;
  /** Unix seconds. */
  readonly expiresAt: number;
}

export interface CredentialsOptions {
  policy(): PortalPolicy;
  unixNow(): number;
  random(length: number): Uint8Array;
}

export class Credentials {
  readonly #options: CredentialsOptions;
  readonly #key: Uint8Array;
  readonly #sources = new TokenBuckets(SOURCE);
  readonly #accounts = new TokenBuckets(ACCOUNT);
  readonly #codes = new TokenBuckets(CODE);
  readonly #hashes = new Turnstile(HASHES);
  readonly #knownHashes = new Turnstile(KNOWN_HASHES);
  /** Account and source of successful sign-ins, the oldest first. */
  readonly #known = new Set<string>();
  readonly #tickets = new Map<string, Ticket>();
  /** Step of the last one-time code, by user. A restart forgets them, and with them every ticket. */
  readonly #lastSteps = new Map<string, number>();

  constructor(options: CredentialsOptions) {
    this.#options = options;
    this.#key = options.random(32);
  }

  /** @param browser id of the browser's session, which a ticket is bound to */
  async checkPassword(name: string, password: string, ip: string, browser: string): Promise<Outcome> {
    const now = this.#options.unixNow();
    const source = sourceOf(ip), account = this.#accountKey(name, source);
    const refused = this.#sources.take(source, now) || this.#accounts.take(account, now);
    if (refused > 0) return { type: "wait", seconds: refused, busy: false };
    const user = this.#user(name);
    const hash = user?.passwordHash;
    const lane = this.#known.has(account) ? this.#knownHashes : this.#hashes;
    const right = await lane.pass(() => verifyPassword(password, hash ?? NOBODY));
    if (right === undefined) {
      this.#giveBack(source, account);
      return { type: "wait", seconds: BUSY_SECONDS, busy: true };
    }
    if (!user || hash === undefined || !right) return { type: "wrong", name };
    this.#giveBack(source, account);
    if (user.totpSecret) {
      return { type: "code", ticket: this.#issue({ name, passwordHash: hash, browser }) };
    }
    this.#meet(name, source);
    return { type: "user", user };
  }

  checkCode(ticketId: string, code: string, ip: string, browser: string): Outcome {
    const now = this.#options.unixNow();
    const ticket = this.#tickets.get(ticketId);
    const user = ticket && this.#user(ticket.name);
    const good = ticket && user && ticket.browser === browser && ticket.expiresAt > now &&
      user.passwordHash === ticket.passwordHash;
    if (!good || !user.totpSecret) return { type: "again" };
    const source = sourceOf(ip), account = this.#accountKey(user.name, source);
    const refused = this.#sources.take(source, now) || this.#codes.take(account, now);
    if (refused > 0) return { type: "wait", seconds: refused, busy: false };
    const step = totpStep(user.totpSecret, code, now, this.#lastSteps.get(user.name) ?? -1);
    if (step === undefined) return { type: "wrong", name: user.name };
    this.#lastSteps.set(user.name, step);
    this.#tickets.delete(ticketId);
    this.#sources.giveBack(source, now);
    this.#codes.giveBack(account, now);
    this.#meet(user.name, source);
    return { type: "user", user };
  }

  #user(name: string): UserPolicy | undefined {
    const user = this.#options.policy().actors.find((actor) => actor.name === name);
    return user?.kind === "user" && user.expiresAt > this.#options.unixNow() ? user : undefined;
  }

  /** Names are hashed, as people type passwords into the wrong field, and as they may be long. */
  #accountKey(name: string, source: string): string {
    const known = this.#knownKey(name, source);
    return this.#known.has(known) ? known : this.#knownKey(name, "");
  }

  #knownKey(name: string, source: string): string {
    return createHmac("sha256", this.#key).update(`${source}\0${name}`).digest("base64url");
  }

  #meet(name: string, source: string): void {
    const key = this.#knownKey(name, source);
    this.#known.delete(key);
    this.#known.add(key);
    if (this.#known.size <= MAX_KNOWN) return;
    for (const oldest of this.#known) return void this.#known.delete(oldest);
  }

  #giveBack(source: string, account: string): void {
    const now = this.#options.unixNow();
    this.#sources.giveBack(source, now);
    this.#accounts.giveBack(account, now);
  }

  #issue(of: Pick<Ticket, "name" | "passwordHash" | "browser">): string {
    const now = this.#options.unixNow();
    for (const [id, { expiresAt }] of this.#tickets) {
      if (this.#tickets.size < MAX_TICKETS && expiresAt > now) break;
      this.#tickets.delete(id);
    }
    const id = this.#options.random(16).toHex();
    this.#tickets.set(id, { ...of, expiresAt: now + TICKET_SECONDS });
    return id;
  }
}
