/**
 * `deno task fuzz [target …] [--time seconds] [--seed n] [--input hex[,hex …]]`: feeds mutated inputs to parsers and
 * cores. All targets share the time; without `--time` it all takes a minute.
 *
 * Each target runs in a thread of its own; one that gets stuck in an input for {@link HANG_MS} is ended. A finding
 * is printed as an entry for `tests/fuzz/corpus/<target>.hex`, where it belongs together with its fix; `--input`
 * runs one again. Exit status 1 on a finding.
 */
// @ts-types="../../mod/cli/parse_args.d.ts"
import { parseArgs } from "@std/cli/parse-args";
import { failureOf } from "./engine.ts";
import { Journal } from "./journal.ts";
import { formatEntry, parseCorpus } from "./target.ts";
import { TARGETS } from "./targets.ts";

const DEFAULT_SECONDS = 46;
const HANG_MS = 10_000;
/** Repeating and shortening a finding may take this long. */
const EXAMINATION_MS = 60_000;

export interface Job {
  readonly name: string;
  readonly seed: number;
  readonly seconds: number;
  readonly journal: SharedArrayBuffer;
}

export interface Verdict {
  readonly executions: number;
  readonly outcomes: number;
  readonly pool: number;
  readonly slowestMs: number;
  readonly seconds: number;
  readonly failure:
    | { readonly text: string; readonly entry: string; readonly isReproducible: boolean }
    | undefined;
}

interface Hang {
  readonly entry: string;
}

/** Runs one target in a worker and watches over it. */
async function run(name: string, seconds: number, seed: number): Promise<Verdict | Hang> {
  const journal = new Journal();
  const worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
  let timer: ReturnType<typeof setInterval> | undefined;
  try {
    return await new Promise((resolve, reject) => {
      let progress = 0, stuckSince = performance.now();
      timer = setInterval(() => {
        const now = performance.now();
        if (journal.progress !== progress) [progress, stuckSince] = [journal.progress, now];
        else if (progress > 0 && now - stuckSince > (journal.isExamining ? EXAMINATION_MS : HANG_MS)) {
          resolve({ entry: formatEntry(journal.inputs()) });
        }
      }, 500);
      worker.onmessage = ({ data }: MessageEvent<Verdict>) => resolve(data);
      worker.onerror = (event) => {
        event.preventDefault();
        reject(new Error(`${name}: ${event.message}`));
      };
      worker.postMessage({ name, seed, seconds, journal: journal.buffer } satisfies Job);
    });
  } finally {
    clearInterval(timer);
    worker.terminate();
  }
}

async function fuzzTarget(name: string, seconds: number, seed: number): Promise<boolean> {
  const verdict = await run(name, seconds, seed);
  const where = `Entry for tests/fuzz/corpus/${name}.hex:`;
  if (!("executions" in verdict)) {
    console.error(`${name}: HANGS (seed ${seed}). ${where}\n${verdict.entry}`);
    return false;
  }
  const { executions, outcomes, pool, slowestMs, failure } = verdict;
  const rate = Math.round(executions / verdict.seconds);
  console.log(
    `${name.padEnd(17)} ${String(executions).padStart(9)} inputs  ${String(rate).padStart(7)}/s  ` +
      `${String(outcomes).padStart(5)} outcomes  ${String(pool).padStart(5)} kept  slowest ${
        slowestMs.toFixed(1)
      } ms`,
  );
  if (failure === undefined) return true;
  console.error(`${name}: FAILED after ${executions} inputs (seed ${seed}): ${TARGETS[name]!.title}`);
  console.error(`${failure.text}\n${where}${failure.isReproducible ? "" : " (fails only now and then)"}`);
  console.error(failure.entry);
  return false;
}

function replay(name: string, text: string): boolean {
  const [inputs = []] = parseCorpus(text.replaceAll(",", "\n"));
  const error = failureOf(TARGETS[name]!, inputs, () => performance.now());
  if (error === undefined) console.log(`${name}: held (${TARGETS[name]!.title})`);
  else console.error(error);
  return error === undefined;
}

async function main(): Promise<number> {
  const options = parseArgs(Deno.args, { string: ["time", "seed", "input", "_"], boolean: ["help"] });
  const known = Object.keys(TARGETS);
  const chosen = options._.length > 0 ? options._.map(String) : known;
  const seconds = Number(options.time ?? DEFAULT_SECONDS) / chosen.length;
  const seed = Number(options.seed ?? crypto.getRandomValues(new Uint32Array(1))[0]);
  if (options.help || !chosen.every((name) => known.includes(name)) || !(seconds >= 0) || isNaN(seed)) {
    console.error("Usage: deno task fuzz [target …] [--time seconds] [--seed n] [--input hex[,hex …]]");
    console.error(`Targets: ${known.join(", ")}`);
    return options.help ? 0 : 2;
  }
  if (options.input !== undefined) return replay(chosen[0]!, String(options.input)) ? 0 : 1;
  console.log(`seed ${seed}, ${seconds.toFixed(1)} s for each target`);
  let held = true;
  for (const name of chosen) held = await fuzzTarget(name, seconds, seed) && held;
  return held ? 0 : 1;
}

if (import.meta.main) Deno.exit(await main());
