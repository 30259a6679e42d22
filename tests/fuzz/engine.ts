/**
 * The fuzzer: runs one target on its corpus, its seeds, and then on mutations of both.
 *
 * Deterministic: the same target and seed give the same inputs in the same order, however long it runs. Inputs whose
 * outcome is new join the pool that mutations start from. A machine sees `lifetime` inputs; when one violates the
 * property, the failure is repeated on a fresh machine, with the input alone or with all that came before it, and
 * then made as short as possible.
 */
import { Dice } from "./dice.ts";
import { Mutator } from "./mutate.ts";
import { shrink } from "./shrink.ts";
import { type FuzzTarget, type Outcome, parseCorpus, type Run } from "./target.ts";

export const DEFAULT_LIFETIME = 1000;
const DEFAULT_MAX_LENGTH = 4096;
const MAX_POOL = 4000;
/** An input that takes longer than this is a finding: a thread that does nothing else must not be held up. */
export const SLOW_MS = 1000;

export interface FuzzOptions {
  readonly seed: number;
  /** Asked before each input, with the number of inputs so far. */
  readonly goesOn: (executions: number) => boolean;
  /** Monotonic milliseconds, for what is slow. */
  readonly clock: () => number;
  /** Told before each input is run; `isFirst`: on a fresh machine. */
  readonly before?: (input: Uint8Array, isFirst: boolean) => void;
  /** Told when something was found that is now repeated and shortened. */
  readonly found?: () => void;
}

export interface Failure {
  readonly error: unknown;
  /** The sequence of inputs that fails on a fresh machine; when not reproducible, what the machine had seen. */
  readonly inputs: readonly Uint8Array[];
  readonly isReproducible: boolean;
}

export interface FuzzReport {
  readonly executions: number;
  /** Different outcomes. */
  readonly outcomes: number;
  readonly pool: number;
  readonly slowestMs: number;
  readonly failure: Failure | undefined;
}

export class SlowInput extends Error {
  override readonly name = "SlowInput";
}

export function fuzz(target: FuzzTarget, options: FuzzOptions): FuzzReport {
  const { clock, before, goesOn } = options;
  const lifetime = target.lifetime ?? DEFAULT_LIFETIME;
  const dice = new Dice(options.seed);
  const mutator = new Mutator(dice, target.maxLength ?? DEFAULT_MAX_LENGTH, target.dictionary ?? []);
  const outcomes = new Set<Outcome>();
  const pool: Uint8Array[] = [];
  let executions = 0, slowestMs = 0;
  let journal: Uint8Array[] = [];
  let machine: Run | undefined;
  let failure: Failure | undefined;

  /** False: a finding. */
  const execute = (input: Uint8Array): boolean => {
    before?.(input, journal.length === 0);
    journal.push(input);
    executions++;
    let error: unknown;
    let startedAt = clock();
    try {
      if (machine === undefined) {
        machine = target.start();
        startedAt = clock();
      }
      const outcome = machine(input.slice());
      if (!outcomes.has(outcome)) {
        outcomes.add(outcome);
        pool.push(input);
      }
    } catch (thrown) {
      error = thrown ?? new Error("threw nothing");
    }
    const took = clock() - startedAt;
    if (took > slowestMs) slowestMs = took;
    if (error === undefined && took > SLOW_MS) {
      error = new SlowInput(`One input took ${Math.round(took)} ms.`);
    }
    if (error !== undefined) {
      options.found?.();
      failure = examine(target, journal, error, clock);
    }
    return failure === undefined;
  };
  const restart = () => {
    journal = [];
    machine = undefined;
  };

  for (const entry of parseCorpus(target.corpus)) {
    restart();
    for (const input of entry) {
      if (!execute(input)) break;
      pool.push(input);
    }
    if (failure) break;
  }
  restart();
  for (const seed of target.seeds) {
    pool.push(seed);
    if (failure || !execute(seed)) break;
  }
  if (pool.length === 0) pool.push(new Uint8Array(0));
  while (failure === undefined && goesOn(executions)) {
    if (journal.length >= lifetime) restart();
    const generated = target.generate !== undefined && dice.once(3);
    let input = generated ? target.generate!(dice) : dice.pick(pool);
    if (!generated || dice.once(2)) input = mutator.mutate(input, dice.pick(pool));
    if (!execute(input)) break;
    // Chains of mutations reach what single ones don't.
    if (dice.once(500)) pool.push(input);
    if (pool.length > MAX_POOL) pool.splice(dice.below(pool.length), 1);
  }
  return { executions, outcomes: outcomes.size, pool: pool.length, slowestMs, failure };
}

/** Runs a sequence on a fresh machine: what it threw, or undefined. */
export function failureOf(target: FuzzTarget, inputs: readonly Uint8Array[], clock: () => number): unknown {
  try {
    const machine = target.start();
    for (const input of inputs) {
      const startedAt = clock();
      machine(input.slice());
      const took = clock() - startedAt;
      if (took > SLOW_MS) throw new SlowInput(`One input took ${Math.round(took)} ms.`);
    }
    return undefined;
  } catch (error) {
    return error ?? new Error("threw nothing");
  }
}

function examine(
  target: FuzzTarget,
  journal: readonly Uint8Array[],
  error: unknown,
  clock: () => number,
): Failure | undefined {
  const fails = (inputs: readonly Uint8Array[]) => failureOf(target, inputs, clock) !== undefined;
  const alone = journal.slice(-1);
  const inputs = fails(alone) ? alone : fails(journal) ? journal : undefined;
  if (inputs === undefined) {
    // A pause of the machine we run on is no finding.
    return error instanceof SlowInput ? undefined : { error, inputs: journal, isReproducible: false };
  }
  const shortest = shrink(inputs, fails, clock);
  return { error: failureOf(target, shortest, clock) ?? error, inputs: shortest, isReproducible: true };
}
