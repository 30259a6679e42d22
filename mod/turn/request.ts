/**
 * A request to the relay and its retry timer (spec snownet §3.7): sent at 0, 1, 2.5 and 4.75 s, given up at 8.125 s,
 * unless it has a pace of its own. Each attempt is a transaction of its own, so that an answer tells which attempt it belongs to.
 */
import type { SocketAddress } from "../packet/address.ts";
import { AttributeType as A, encodeStun, Method, type StunAttribute, TRANSPORT_UDP } from "../stun/mod.ts";
import type { Authentication } from "./authentication.ts";

const FIRST_INTERVAL_MS = 1000;
const BACK_OFF = 1.5;
const BUDGET_MS = 8000;

/** A retry timer without back-off, for questions whose point is a quick answer. */
export interface Pace {
  /** From one attempt to the next, and from the last one to giving up, ms. */
  readonly interval: number;
  readonly attempts: number;
}
/** What an allocation is asked for. */
export const BOTH_FAMILIES: readonly StunAttribute[] = [
  [A.REQUESTED_TRANSPORT, TRANSPORT_UDP],
  [A.ADDITIONAL_ADDRESS_FAMILY, 6],
];
/** Only coturn needs it, and who doesn't know it must ignore it. */
const COTURN_ADDITIONAL_FAMILY: readonly StunAttribute[] = [[A.ADDITIONAL_ADDRESS_FAMILY_COTURN, 6]];

/** For the last message of all. */
export const FAREWELL: Pace = { interval: 1_000, attempts: 1 };
const PROBE_ATTEMPTS = 3, PROBE_ROUND_TRIPS = 4, PROBE_GAP_MIN = 333, PROBE_GAP_MAX = 1_000;

/** For asking whether a relay lives whose round trip is known: one to three seconds, and no single loss decides. */
export function probePace(rtt = Infinity): Pace {
  const interval = Math.min(PROBE_GAP_MAX, Math.max(PROBE_GAP_MIN, PROBE_ROUND_TRIPS * rtt));
  return { interval, attempts: PROBE_ATTEMPTS };
}

export interface TurnRequest {
  readonly method: number;
  /** Without SOFTWARE and authentication, which each attempt adds. */
  readonly attributes: readonly StunAttribute[];
  readonly dst: SocketAddress;
  /** CHANNEL-BIND: the number. */
  readonly channel?: number;
  /** REFRESH: lifetime 0, i.e. the allocation is given back. */
  readonly isDelete?: boolean;
  readonly pace?: Pace;
  /** When the budget began to be used up, where that was before the first attempt, ms. */
  readonly startedAt?: number;
}

/** One attempt on the wire; without `authentication` it carries no credential and no integrity. */
export function encodeRequest(
  request: TurnRequest,
  transactionId: Uint8Array,
  software: string,
  authentication?: Authentication,
): Uint8Array {
  return encodeStun({
    class: "request",
    method: request.method,
    transactionId,
    attributes: [
      ...request.attributes,
      ...(authentication?.isPlain && request.method === Method.ALLOCATE ? COTURN_ADDITIONAL_FAMILY : []),
      [A.SOFTWARE, software],
      ...(request.isDelete ? [[A.LIFETIME, 0] as const] : []),
      ...(authentication?.attributes ?? []),
    ],
    ...(authentication && { integrityKey: authentication.key }),
  });
}

/** A request on its way. */
export class PendingRequest {
  /** When the attempt under way is considered lost. */
  readonly timeoutAt: number;
  readonly #interval: number;
  readonly startedAt: number;
  readonly #attempt: number;

  constructor(
    readonly request: TurnRequest,
    /** The nonce of this attempt; undefined = it had none. */
    readonly nonce: string | undefined,
    /** Without any credential: a question for a challenge. */
    readonly isBare: boolean,
    readonly sentAt: number,
    /** The attempt before, whose timer goes on; undefined = the first attempt of a fresh budget. */
    previous?: PendingRequest,
    /** Challenges that this request has answered in a row. */
    readonly challenges = 0,
  ) {
    this.startedAt = previous ? previous.startedAt : request.startedAt ?? sentAt;
    this.#attempt = previous ? previous.#attempt + 1 : 1;
    this.#interval = request.pace?.interval ?? (previous ? previous.#interval * BACK_OFF : FIRST_INTERVAL_MS);
    this.timeoutAt = sentAt + this.#interval;
  }

  /** True when the budget is used up; asked when `timeoutAt` has come. */
  isExhausted(now: number): boolean {
    const { pace } = this.request;
    return pace ? this.#attempt >= pace.attempts : this.isLate(now);
  }

  /** True when so much time has passed that the attempt under way is the last one. */
  isLate(now: number): boolean {
    return now - this.startedAt >= BUDGET_MS;
  }
}
