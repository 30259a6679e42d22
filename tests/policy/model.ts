/**
 * `deno task model [--runs 10000] [--seed n]`: random histories of up to 50 steps (grants, renewals, expiries, filters,
 * overlapping networks, shared proxies, partitions, probes), the policy and the reference model side by side. Prints
 * the seed; a difference prints the shrunk history and ends with status 1. Give millions of runs at night.
 */
// @ts-types="../../mod/cli/parse_args.d.ts"
import { parseArgs } from "@std/cli/parse-args";
import { writeJunit } from "../junit.ts";
import { checkHistories } from "./state_machine.ts";

/** Histories between two lines of progress. */
const SLICE = 1000;

function main(): number {
  const options = parseArgs(Deno.args, { string: ["runs", "seed", "junit-path"] });
  const runs = Number(options.runs ?? 10_000), seed = Number(options.seed ?? Date.now() & 0x7fffffff);
  if (!Number.isInteger(runs) || runs < 1 || !Number.isInteger(seed)) {
    console.error("Usage: deno task model [--runs 10000] [--seed n]");
    return 2;
  }
  const started = performance.now();
  let failure: string | undefined;
  for (let done = 0; done < runs && failure === undefined; done += SLICE) {
    const numRuns = Math.min(SLICE, runs - done);
    try {
      checkHistories({ numRuns, seed: seed + done / SLICE });
      console.log(`${done + numRuns} of ${runs} histories agree (seed ${seed})`);
    } catch (error) {
      failure = error instanceof Error ? error.message : String(error);
      console.error(failure);
    }
  }
  const seconds = (performance.now() - started) / 1000;
  const name = `the policy agrees with the reference model over ${runs} histories`;
  const report = options["junit-path"];
  if (typeof report === "string") writeJunit(report, "model", [{ name, seconds, failure }]);
  return failure === undefined ? 0 : 1;
}

Deno.exit(main());
