/** Requests that are answered with an error: the answer's bytes, and what was refused how often, by reason. */
import type { Counters } from "../../packet/counters.ts";
import { AttributeType as A, encodeStun, type StunAttribute, type StunMessage } from "../../stun/mod.ts";

/** Why a request is answered with an error; the code picks the text. */
export class Refusal {
  constructor(readonly code: number, readonly unknown: readonly number[] = []) {}
}

const REASONS: Readonly<Record<number, string>> = {
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  420: "Unknown Attribute",
  437: "Allocation Mismatch",
  438: "Stale Nonce",
  440: "Address Family not Supported",
  441: "Wrong Credentials",
  443: "Peer Address Family Mismatch",
  486: "Allocation Quota Reached",
  508: "Insufficient Capacity",
};

/** @param key Signs the answer. */
export function errorAnswer(
  request: StunMessage,
  { code, unknown }: Refusal,
  attributes: readonly StunAttribute[],
  key?: Uint8Array,
): Uint8Array {
  return encodeStun({
    class: "error",
    method: request.method,
    transactionId: request.transactionId,
    attributes: [
      [A.ERROR_CODE, { code, reason: REASONS[code] ?? "" }],
      ...(unknown.length > 0 ? [[A.UNKNOWN_ATTRIBUTES, unknown] as const] : []),
      ...attributes,
    ],
    ...(key && { integrityKey: key }),
  });
}

/** Counts refusals, all of them and by reason. */
export class RefusalCounters {
  readonly #counters: Counters;
  readonly #all: number;
  readonly #byCode: ReadonlyMap<number, number>;
  readonly #unsupported: number;

  constructor(counters: Counters) {
    this.#counters = counters;
    this.#all = counters.register("relay_refused_requests");
    const mismatches = counters.register("relay_refused_mismatches");
    this.#byCode = new Map([
      [401, counters.register("relay_refused_credentials")],
      [403, counters.register("relay_refused_peers")],
      [437, mismatches],
      [441, mismatches],
      [486, counters.register("relay_refused_quota")],
      [508, counters.register("relay_refused_capacity")],
    ]);
    this.#unsupported = counters.register("relay_refused_unsupported");
  }

  count({ code }: Refusal): void {
    this.#counters.add(this.#all);
    this.#counters.add(this.#byCode.get(code) ?? this.#unsupported);
  }
}
