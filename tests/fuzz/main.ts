/**
 * `deno task fuzz [target …] [--time seconds] [--seed n]`: feeds mutated inputs to parsers and cores.
 *
 * Each target gets its share of the time (10 s each by default). An input on which a target throws is made as short as
 * possible and written to `.cache/fuzz/<target>-<hash>`; put it into `tests/fuzz/corpus/<target>/` with the fix.
 * There is no coverage feedback: V8 offers none that is cheap enough per input.
 */
// @ts-types="../../mod/cli/parse_args.d.ts"
import { parseArgs } from "@std/cli/parse-args";
import { Dice, mutate } from "./mutate.ts";
import type { FuzzTarget } from "./target.ts";

const FOLDER = new URL("./", import.meta.url);
const CRASHES = new URL("../../.cache/fuzz/", import.meta.url);
const MAX_POOL = 2000;

function targetNames(): string[] {
  return [...Deno.readDirSync(FOLDER)].map(({ name }) => name).filter((name) => name.endsWith("_fuzz.ts"))
    .map((name) => name.slice(0, -"_fuzz.ts".length)).sort();
}

function corpusOf(name: string): Uint8Array[] {
  const folder = new URL(`corpus/${name}/`, FOLDER);
  try {
    return [...Deno.readDirSync(folder)].map((file) => Deno.readFileSync(new URL(file.name, folder)));
  } catch {
    return [];
  }
}

function failureOf(target: FuzzTarget, input: Uint8Array): unknown {
  try {
    target.run(input.slice());
    return undefined;
  } catch (error) {
    return error ?? new Error("threw nothing");
  }
}

/** Removes what the failure does not need. */
function shrink(target: FuzzTarget, input: Uint8Array): Uint8Array {
  let best = input;
  for (let step = best.length >> 1; step > 0; step >>= 1) {
    for (let at = 0; at + step <= best.length;) {
      const shorter = new Uint8Array([...best.subarray(0, at), ...best.subarray(at + step)]);
      if (failureOf(target, shorter) !== undefined) best = shorter;
      else at += step;
    }
  }
  return best;
}

async function runTarget(name: string, seconds: number, seed: number): Promise<boolean> {
  const { target }: { target: FuzzTarget } = await import(new URL(`${name}_fuzz.ts`, FOLDER).href);
  const pool = [...target.seeds, ...corpusOf(name)];
  if (pool.length === 0) pool.push(new Uint8Array(0));
  const dice = new Dice(seed);
  const deadline = performance.now() + seconds * 1000;
  let runs = 0;
  let input = pool[0]!;
  let error: unknown;
  for (; performance.now() < deadline; runs++) {
    input = runs < pool.length
      ? pool[runs]!
      : mutate(pool[dice.below(pool.length)]!, pool[dice.below(pool.length)]!, dice);
    error = failureOf(target, input);
    if (error !== undefined) break;
    // Chains of mutations reach states that single ones don't.
    if (dice.below(200) === 0) {
      if (pool.length < MAX_POOL) pool.push(input);
      else pool[target.seeds.length + dice.below(MAX_POOL - target.seeds.length)] = input;
    }
  }
  if (error === undefined) {
    console.log(`${name}: held for ${runs} inputs (${target.title})`);
    return true;
  }
  const shortest = shrink(target, input);
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", shortest.slice())).toHex().slice(0, 16);
  Deno.mkdirSync(CRASHES, { recursive: true });
  const file = new URL(`${name}-${digest}`, CRASHES).pathname;
  Deno.writeFileSync(file, shortest);
  console.error(`${name}: FAILED after ${runs} inputs (${target.title}); seed ${seed}, input in ${file}`);
  console.error(failureOf(target, shortest));
  return false;
}

const options = parseArgs(Deno.args, { string: ["time", "seed", "_"], boolean: ["help"] });
const known = targetNames();
const unknown = options._.filter((name) => !known.includes(name));
if (options.help || unknown.length > 0) {
  console.error(`Usage: deno task fuzz [target …] [--time seconds] [--seed n]\nTargets: ${known.join(", ")}`);
  Deno.exit(options.help ? 0 : 2);
}
const chosen = options._.length > 0 ? options._ : known;
const seconds = options.time === undefined ? 10 : Number(options.time) / chosen.length;
const seed = options.seed === undefined
  ? crypto.getRandomValues(new Uint32Array(1))[0]!
  : Number(options.seed);
let held = true;
for (const name of chosen) held = await runTarget(name, seconds, seed) && held;
Deno.exit(held ? 0 : 1);
