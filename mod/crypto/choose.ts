/**
 * The ladder of back ends: the first candidate that this machine has and that passes its self-test is used. The
 * candidates are injected in order of preference, since the fastest live in `ffi/`.
 */
import type { Slab } from "../packet/slab.ts";
import { SELF_TEST_LENGTH, selfTestAead, selfTestDh } from "./self_test.ts";
import type { Aead, Dh, RandomBytes } from "./types.ts";

/** A back end that may be available: `create` gives null (or throws) where it is not. */
export interface Candidate<T> {
  readonly name: string;
  create(): T | null;
}

/** A candidate that was passed over, and why: for the log. */
export interface Refusal {
  readonly name: string;
  readonly reason: string;
}

export interface Choice<T> {
  readonly chosen: T;
  readonly refused: readonly Refusal[];
}

/** No candidate works, or not the forced one. */
export class NoBackEndError extends Error {
  override readonly name = "NoBackEndError";
}

/**
 * The first cipher that works.
 *
 * @param slab where the candidates work; {@link SELF_TEST_LENGTH} bytes of it are reserved for the test
 * @param forced the name of the only candidate to consider (`--crypto`)
 * @throws {NoBackEndError}
 */
export function chooseAead(
  candidates: readonly Candidate<Aead>[],
  { slab, random, forced }: { slab: Slab; random: RandomBytes; forced?: string | undefined },
): Choice<Aead> {
  const scratch = slab.reserve(SELF_TEST_LENGTH);
  return choose("cipher", candidates, (aead) => selfTestAead(aead, slab, scratch, random), forced);
}

/**
 * The first X25519 that works.
 *
 * @throws {NoBackEndError}
 */
export function chooseDh(candidates: readonly Candidate<Dh>[], forced?: string): Choice<Dh> {
  return choose("X25519", candidates, selfTestDh, forced);
}

function choose<T>(
  what: string,
  candidates: readonly Candidate<T>[],
  test: (backEnd: T) => string | undefined,
  forced: string | undefined,
): Choice<T> {
  const considered = forced === undefined ? candidates : candidates.filter(({ name }) => name === forced);
  const refused: Refusal[] = [];
  for (const candidate of considered) {
    const result = attempt(candidate, test);
    if ("chosen" in result) return { chosen: result.chosen, refused };
    refused.push({ name: candidate.name, reason: result.reason });
  }
  const names = candidates.map(({ name }) => name).join(", ");
  const reasons = refused.map(({ name, reason }) => `${name}: ${reason}`).join("; ");
  if (forced === undefined) {
    throw new NoBackEndError(`Cannot find a ${what} that works: ${reasons || "none is known"}.`);
  }
  throw new NoBackEndError(
    `Cannot use the ${what} "${forced}": ${
      refused[0]?.reason ?? "there is none of that name"
    }. Choose one of ${names}.`,
  );
}

function attempt<T>(
  candidate: Candidate<T>,
  test: (backEnd: T) => string | undefined,
): { chosen: T } | { reason: string } {
  try {
    const chosen = candidate.create();
    if (chosen === null) return { reason: "not available on this machine" };
    const wrong = test(chosen);
    return wrong === undefined ? { chosen } : { reason: `failed its self-test: ${wrong}` };
  } catch (error) {
    return { reason: error instanceof Error ? error.message : String(error) };
  }
}
