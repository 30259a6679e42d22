/**
 * Who is asking: RFC 8489 §9.2 in the dialect of Firezone devices (spec portal §5.2). The first request is already
 * signed although its sender has no nonce yet, and challenges to a request with a USERNAME are signed with that
 * user's own key: devices ignore anything else.
 *
 * Checks go from cheap to dear: the sender's limit, the nonce (which proves that the sender can be reached at its
 * address), the credential's expiry, the signature. Credentials need no memory (`credentials.ts`).
 */
import type { RandomBytes } from "../../crypto/types.ts";
import type { Counters } from "../../packet/counters.ts";
import type { SocketAddress } from "../../packet/address.ts";
import { AttributeType as A, longTermKey, type StunMessage, verifyIntegrity } from "../../stun/mod.ts";
import type { RelayAllocation } from "./allocation.ts";
import type { Allocations } from "./allocations.ts";
import { parseRelayUsername, REALM, relayPassword } from "./credentials.ts";
import { Nonces } from "./nonces.ts";
import { errorAnswer, Refusal, type RefusalCounters } from "./refusal.ts";
import { ResponseLimiter } from "./response_limiter.ts";

export interface AuthenticatorOptions {
  readonly stampSecret: string;
  readonly random: RandomBytes;
  /** Unix seconds. */
  readonly unixNow: () => number;
  readonly counters: Counters;
  readonly refusals: RefusalCounters;
}

export class Authenticator {
  readonly #options: AuthenticatorOptions;
  readonly #allocations: Allocations;
  readonly #nonces: Nonces;
  readonly #limiter: ResponseLimiter;
  readonly #challenges: number;
  readonly #limitedSources: number;
  readonly #limitedChallenges: number;
  readonly #limitedCredentials: number;

  constructor(options: AuthenticatorOptions, allocations: Allocations) {
    this.#options = options;
    this.#allocations = allocations;
    this.#nonces = new Nonces(options.random);
    this.#limiter = new ResponseLimiter(new DataView(options.random(4).buffer).getUint32(0));
    const { counters } = options;
    this.#challenges = counters.register("relay_challenges");
    this.#limitedSources = counters.register("relay_limited_sources");
    this.#limitedChallenges = counters.register("relay_limited_challenges");
    this.#limitedCredentials = counters.register("relay_limited_credentials");
  }

  /** Where the limits of the source with the address record at words[at..at+5) are kept. */
  bucketOf(words: Uint32Array, at: number): number {
    return this.#limiter.bucketOf(words, at);
  }

  /** Charges a source, before anything is done for it; false = stay silent. */
  admits(bucket: number, now: number): boolean {
    if (this.#limiter.allowsAnswer(bucket, now)) return true;
    this.#options.counters.add(this.#limitedSources);
    return false;
  }

  /** An answer to a request that needs no credential, or undefined when it would amplify too much. */
  answerStranger(
    request: StunMessage,
    answer: Uint8Array,
    bucket: number,
    now: number,
  ): Uint8Array | undefined {
    if (this.#limiter.allowsLength(bucket, request.raw.length, answer.length, now)) return answer;
    return this.#silence(this.#limitedSources);
  }

  /**
   * The long-term key of an authentic request, else the challenge to answer, or undefined to stay silent.
   * @param isAdmitted The source has been charged for this request.
   */
  authenticate(
    request: StunMessage,
    client: SocketAddress,
    bucket: number,
    isAdmitted: boolean,
    now: number,
  ): { readonly key: Uint8Array } | Uint8Array | undefined {
    const allocation = this.#allocations.byClient(client);
    // What follows the nonce of an allocation's last request is charged to its credential, once that is proved.
    const isKnown = allocation !== undefined && request.nonce !== undefined &&
      request.nonce === allocation.lastNonce;
    if (!isKnown && !isAdmitted && !this.admits(bucket, now)) return undefined;
    const key = this.#keyOfAuthentic(request, client, allocation, now);
    if (key instanceof Refusal) return this.#challenge(request, key, client, bucket, allocation, now);
    if (allocation) {
      allocation.lastNonce = request.nonce;
      allocation.nonceUse.count();
      if (!allocation.budget.allowsRequest(now)) return this.#silence(this.#limitedCredentials);
    }
    return { key };
  }

  #keyOfAuthentic(
    request: StunMessage,
    client: SocketAddress,
    allocation: RelayAllocation | undefined,
    now: number,
  ): Uint8Array | Refusal {
    const { username, nonce } = request;
    if (!request.hasIntegrity || username === undefined || nonce === undefined) return new Refusal(401);
    const generation = allocation?.nonceUse.generation ?? 0;
    if (!this.#nonces.isFresh(nonce, client, generation, now)) return new Refusal(438);
    const user = parseRelayUsername(username);
    if (user && Number(user.expiresAt) >= this.#options.unixNow()) {
      const key = this.#allocations.byUsername(username)?.key ?? this.#keyOf(username);
      if (key && verifyIntegrity(request, key)) return key;
    }
    const refusal = new Refusal(401);
    this.#options.refusals.count(refusal);
    return refusal;
  }

  #keyOf(username: string): Uint8Array | undefined {
    const user = parseRelayUsername(username);
    if (!user) return undefined;
    return longTermKey(username, REALM, relayPassword(user.expiresAt, this.#options.stampSecret, user.salt));
  }

  /** 401 and 438: with a nonce, and signed when there is a user to sign for. */
  #challenge(
    request: StunMessage,
    refusal: Refusal,
    client: SocketAddress,
    bucket: number,
    allocation: RelayAllocation | undefined,
    now: number,
  ): Uint8Array | undefined {
    if (!this.#limiter.allowsChallenge(now)) return this.#silence(this.#limitedChallenges);
    const key = request.username === undefined ? undefined : this.#keyOf(request.username);
    const nonce = this.#nonces.issue(client, allocation?.nonceUse.generation ?? 0, now);
    const answer = errorAnswer(request, refusal, [[A.REALM, REALM], [A.NONCE, nonce]], key);
    const bounded = this.answerStranger(request, answer, bucket, now);
    if (bounded) this.#options.counters.add(this.#challenges);
    return bounded;
  }

  #silence(counter: number): undefined {
    this.#options.counters.add(counter);
    return undefined;
  }
}
