/**
 * Our credential at one relay, and whose word the relay's answers are (spec snownet §3.4, §3.5).
 *
 * Two dialects. *Signed* (Firezone's relay): the first request already carries the credential and every answer to it
 * is signed with that, challenges included; nothing unsigned counts. *Plain* (RFC 8656): a request without nonce is
 * refused with an unsigned 400 or challenged with an unsigned 401, as is a stale nonce with 438; every other answer
 * is signed. We start out signed. A relay that has never signed a challenge may send an unsigned one and is plain
 * from then on; one that has signed a challenge stays signed for ever, so nobody on the way can talk us out of it.
 */
import { longTermKey, type StunAttribute, type StunMessage, verifyIntegrity } from "../stun/mod.ts";
import { AttributeType as A } from "../stun/mod.ts";
import type { PendingRequest } from "./request.ts";

export interface Credential {
  readonly username: string;
  readonly password: string;
  readonly realm: string;
}

export class Authentication {
  readonly #username: string;
  readonly #realm: string;
  readonly #key: Uint8Array;
  #nonce: string | undefined;
  #dialect: "unknown" | "signed" | "plain" = "unknown";
  #isRejected = false;

  constructor({ username, password, realm }: Credential) {
    this.#username = username;
    this.#realm = realm;
    this.#key = longTermKey(username, realm, password);
  }

  /** The relay speaks RFC 8656 to the letter. */
  get isPlain(): boolean {
    return this.#dialect === "plain";
  }

  /** The relay refused the credential itself; it is not used any more. */
  get isRejected(): boolean {
    return this.#isRejected;
  }

  reject(): void {
    this.#isRejected = true;
  }

  get nonce(): string | undefined {
    return this.#nonce;
  }

  /** True when a request must go without credential, to be challenged. */
  get asksForChallenge(): boolean {
    return this.isPlain && this.#nonce === undefined;
  }

  /** USERNAME, REALM and, once known, NONCE. */
  get attributes(): StunAttribute[] {
    const attributes: StunAttribute[] = [[A.USERNAME, this.#username], [A.REALM, this.#realm]];
    if (this.#nonce !== undefined) attributes.push([A.NONCE, this.#nonce]);
    return attributes;
  }

  get key(): Uint8Array {
    return this.#key;
  }

  /** True when `answer` to `pending` may be believed. Learns the dialect from it. */
  accepts(answer: StunMessage, pending: PendingRequest): boolean {
    // A success may carry an ERROR-CODE, too; that makes it no refusal.
    const code = answer.class === "error" ? answer.errorCode?.code : undefined;
    const isChallenge = code === 401 || code === 438;
    if (verifyIntegrity(answer, this.#key)) {
      if (isChallenge) this.#dialect = "signed";
      return true;
    }
    if (this.#dialect === "signed" || answer.hasIntegrity) return false;
    const asksForRfc = code === 400 && pending.nonce === undefined && !pending.isBare;
    if (!isChallenge && !asksForRfc) return false;
    this.#dialect = "plain";
    return true;
  }

  /** Takes the nonce of a 401 or 438. False when it is for another realm: then there is nothing to answer. */
  takeChallenge(answer: StunMessage): boolean {
    if (answer.nonce !== undefined) this.#nonce = answer.nonce;
    return answer.realm === undefined || answer.realm === this.#realm;
  }
}
