/** Which relay a connection gets (spec snownet §3.12): at random among the near ones. */
import type { RandomBytes } from "../crypto/types.ts";

/** With one or two relays: usable up to this multiple of the best round trip. */
const CLOSE_RATIO = 1.5;
/** With more: up to the median plus this many median absolute deviations (at least 2 ms each). */
const MAD_FACTOR = 3;
const MIN_MAD = 2;

/**
 * One of `relays`, whose `rtt` is in ms. Those without a round trip have not answered yet and are left out, unless
 * none has one. Undefined only when there are no relays.
 */
export function sampleByRoundTrip<R extends { readonly rtt: number | undefined }>(
  relays: readonly R[],
  random: RandomBytes,
): R | undefined {
  const measured = relays.flatMap(({ rtt }) => (rtt === undefined ? [] : [rtt]));
  const limit = measured.length > 0 ? worstAcceptable(measured) : Infinity;
  const candidates = measured.length > 0
    ? relays.filter(({ rtt }) => rtt !== undefined && rtt <= limit)
    : relays;
  if (candidates.length === 0) return undefined;
  const [high, low] = random(2) as unknown as [number, number];
  return candidates[((high << 8) | low) % candidates.length];
}

function worstAcceptable(rtts: readonly number[]): number {
  if (rtts.length <= 2) return Math.min(...rtts) * CLOSE_RATIO;
  const middle = median(rtts);
  return middle + MAD_FACTOR * Math.max(MIN_MAD, median(rtts.map((rtt) => Math.abs(rtt - middle))));
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2;
}
