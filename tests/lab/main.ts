/**
 * `deno task lab [--smoke | --rest] [--list] [--junit-path file] [scenario …]`: runs scenarios in network namespaces.
 * Without names: all but the long ones; `--smoke`: the quick ones that every test run includes; `--rest`: the others.
 * Exit status 0 only if every scenario held; 2 when a named one does not exist.
 */
// @ts-types="../../mod/cli/parse_args.d.ts"
import { parseArgs } from "@std/cli/parse-args";
import { hasCommand, insideSandbox, runInSandbox, sandboxObstacle } from "../../mod/embedded/testbed/mod.ts";
import { type CaseResult, writeJunit } from "../junit.ts";
import type { Scenario } from "./scenario.ts";

const FOLDER = new URL("./scenarios/", import.meta.url);

async function scenarioNames(): Promise<string[]> {
  const names: string[] = [];
  for await (const { name } of Deno.readDir(FOLDER)) {
    if (name.endsWith(".ts")) names.push(name.slice(0, -3).replaceAll("_", "-"));
  }
  return names.sort();
}

async function load(name: string): Promise<Scenario> {
  const module = await import(new URL(`${name.replaceAll("-", "_")}.ts`, FOLDER).href);
  return module.scenario;
}

async function runScenario(name: string, scenario: Scenario): Promise<CaseResult> {
  console.log(`\n== ${name}: ${scenario.title}`);
  const started = performance.now();
  let failure: string | undefined;
  try {
    const missing = scenario.needs?.filter((command) => !hasCommand(command)) ?? [];
    if (missing.length > 0) throw new Error(`Missing programs: ${missing.join(", ")}. Install them.`);
    await scenario.run({
      step: (text) => console.log(`   ${text}`),
      note: (text) => console.log(`     ${text}`),
    });
  } catch (error) {
    failure = Deno.inspect(error);
  }
  const seconds = (performance.now() - started) / 1000;
  console.log(failure === undefined ? `   held (${seconds.toFixed(1)} s)` : `   FAILED: ${failure}`);
  return { name: `${name}: ${scenario.title}`, seconds, failure };
}

async function runAll(
  names: readonly string[],
  wants: (scenario: Scenario) => boolean,
): Promise<CaseResult[]> {
  const results: CaseResult[] = [];
  for (const name of names) {
    const scenario = await load(name);
    if (wants(scenario)) results.push(await runScenario(name, scenario));
  }
  return results;
}

async function main(): Promise<number> {
  const options = parseArgs(Deno.args, {
    boolean: ["smoke", "rest", "list", "help"],
    string: ["junit-path", "_"],
    unknown: (argument, key) => {
      if (key === undefined) return true;
      console.error(`Unknown option ${argument}. Try --help.`);
      Deno.exit(2);
    },
  });
  const known = await scenarioNames();
  if (options.help || options.list) {
    if (options.help) {
      console.log("Usage: deno task lab [--smoke | --rest] [--list] [scenario …]\n\nScenarios:");
    }
    for (const name of known) console.log(`  ${name.padEnd(20)} ${(await load(name)).title}`);
    return 0;
  }
  // `policy` means `policy-answers`, `policy-end` and so on, too.
  const wanted = options._.map((name) => known.filter((one) => one === name || one.startsWith(`${name}-`)));
  const unknown = options._.filter((_name, i) => wanted[i]!.length === 0);
  if (unknown.length > 0) {
    console.error(`There is no scenario ${unknown.join(", ")}. There are: ${known.join(", ")}.`);
    return 2;
  }
  if (!insideSandbox()) {
    const obstacle = await sandboxObstacle();
    if (obstacle !== undefined) {
      console.error(obstacle);
      return 1;
    }
    return await runInSandbox([Deno.execPath(), "run", "-A", Deno.mainModule, ...Deno.args]);
  }
  for (const signal of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(signal, () => Deno.exit(130));
  const results = options._.length > 0
    ? await runAll(wanted.flat(), () => true)
    : await runAll(known, ({ smoke, long }) =>
      !long && !(options.smoke && !smoke) && !(options.rest && smoke));
  const failed = results.filter(({ failure }) => failure !== undefined);
  console.log(`\n${results.length - failed.length} of ${results.length} scenarios held.`);
  for (const { name } of failed) console.log(`  failed: ${name}`);
  if (typeof options["junit-path"] === "string") writeJunit(options["junit-path"], "lab", results);
  return failed.length === 0 && results.length > 0 ? 0 : 1;
}

Deno.exit(await main());
