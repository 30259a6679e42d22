/** Makes a failing sequence of inputs as short as it can be: fewer inputs first, then fewer bytes, then zeros. */
import { join } from "./target.ts";

/** Enough for most; what is left is still a reproducer. */
const BUDGET_MS = 20_000;

export function shrink(
  inputs: readonly Uint8Array[],
  fails: (inputs: readonly Uint8Array[]) => boolean,
  clock: () => number,
): Uint8Array[] {
  const deadline = clock() + BUDGET_MS;
  const isLate = () => clock() > deadline;
  let best = inputs.slice();
  for (let step = best.length - 1; step > 0 && !isLate(); step >>= 1) {
    for (let at = 0; at < best.length - 1 && !isLate();) {
      const fewer = best.toSpliced(at, Math.min(step, best.length - 1 - at));
      if (fails(fewer)) best = fewer;
      else at += step;
    }
  }
  for (let i = best.length - 1; i >= 0; i--) {
    const failsWith = (input: Uint8Array) => fails(best.with(i, input));
    best = best.with(i, simplify(best[i]!, failsWith, isLate));
  }
  return best;
}

function simplify(
  input: Uint8Array,
  fails: (input: Uint8Array) => boolean,
  isLate: () => boolean,
): Uint8Array {
  let best = input;
  for (let step = best.length; step > 0 && !isLate(); step >>= 1) {
    for (let at = 0; at < best.length && !isLate();) {
      const shorter = join(best.subarray(0, at), best.subarray(at + step));
      if (fails(shorter)) best = shorter;
      else at += step;
    }
  }
  for (let at = 0; at < best.length && !isLate(); at++) {
    if (best[at] === 0) continue;
    const simpler = best.slice();
    simpler[at] = 0;
    if (fails(simpler)) best = simpler;
  }
  return best;
}
