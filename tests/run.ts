/**
 * `deno task test [phase …]`: every test there is, or the named phases.
 *
 * - `unit`: the pure rooms and the simulated world. No permissions at all: what needs one is not pure.
 * - `system`: rooms that do I/O, and the FFI bindings, on this kernel.
 * - `interop`: against independent programs.
 * - `lab`: the short scenarios in network namespaces.
 * - `demo`: the demo, as a person would start it.
 *
 * Types are not checked here: `deno task check` does. All phases but the first run in a sandbox that vanishes with everything in it. What cannot run here is named at the
 * end; with `CI` set it is a failure. Reports are JUnit files in `.cache/junit/`.
 */
import { runInSandbox, sandboxObstacle } from "../mod/embedded/testbed/mod.ts";
import { countCases, type Totals, writeJunit } from "./junit.ts";
import { installPeers } from "./peers.ts";

const ROOT = new URL("../", import.meta.url);
const REPORTS = new URL(".cache/junit/", ROOT);
const PHASES = ["unit", "system", "interop", "lab", "demo"] as const;
type Phase = typeof PHASES[number];

/** Folders of `tests/` that are neither pure rooms nor part of `deno test`. */
const SYSTEM_FOLDERS: readonly string[] = ["cli", "host", "runtime", "embedded", "ffi"];
const OTHER_FOLDERS: readonly string[] = ["interop", "lab", "bench"];

const CI = Boolean(Deno.env.get("CI"));
const leftOut: string[] = [];

function foldersOf(phase: Phase): string[] {
  if (phase === "interop") return present(["interop"]);
  if (phase === "system") return present(SYSTEM_FOLDERS);
  const all = [...Deno.readDirSync(new URL("tests/", ROOT))].filter((entry) => entry.isDirectory);
  return present(
    all.map(({ name }) => name).filter((name) =>
      !SYSTEM_FOLDERS.includes(name) && !OTHER_FOLDERS.includes(name)
    ),
  );
}

/** Those that hold a test: `deno test` fails on a folder without one. */
function present(folders: readonly string[]): string[] {
  return folders.filter((folder) => {
    try {
      return hasTest(new URL(`tests/${folder}/`, ROOT));
    } catch {
      return false;
    }
  }).map((folder) => `tests/${folder}`).sort();
}

function hasTest(folder: URL): boolean {
  return [...Deno.readDirSync(folder)].some(({ name, isDirectory }) =>
    isDirectory ? hasTest(new URL(`${name}/`, folder)) : name.endsWith("_test.ts")
  );
}

async function runPlain(command: readonly string[]): Promise<number> {
  const child = new Deno.Command(command[0]!, { args: command.slice(1), cwd: ROOT.pathname, stdin: "null" });
  return (await child.spawn().status).code;
}

async function runPhase(phase: Phase, sandbox: boolean): Promise<boolean> {
  const report = new URL(`${phase}.xml`, REPORTS).pathname;
  const deno = Deno.execPath();
  const run = sandbox ? runInSandbox : runPlain;
  if (phase === "lab") return await run([deno, "task", "lab", "--smoke", "--junit-path", report]) === 0;
  if (phase === "demo") return await runDemo(report);
  const folders = foldersOf(phase);
  if (folders.length === 0) throw new Error(`There are no ${phase} tests.`);
  const permissions = phase === "unit" ? ["--no-prompt", "--parallel"] : ["--allow-all"];
  return await run([
    deno,
    "test",
    "--quiet",
    "--no-check",
    ...permissions,
    "--junit-path",
    report,
    ...folders,
  ]) === 0;
}

async function runDemo(report: string): Promise<boolean> {
  const started = performance.now();
  const code = await runPlain([Deno.execPath(), "task", "demo"]);
  const seconds = (performance.now() - started) / 1000;
  const failure = code === 0 ? undefined : `The demo ended with status ${code}.`;
  writeJunit(report, "demo", [{ name: "every step of the demo held", seconds, failure }]);
  return code === 0;
}

function total(phase: Phase): Totals {
  try {
    return countCases(Deno.readTextFileSync(new URL(`${phase}.xml`, REPORTS)));
  } catch {
    return { passed: 0, failed: 0, skipped: 0 };
  }
}

async function main(): Promise<number> {
  const unknown = Deno.args.filter((name) => !(PHASES as readonly string[]).includes(name));
  if (unknown.length > 0) {
    console.error(`There is no phase ${unknown.join(", ")}. There are: ${PHASES.join(", ")}.`);
    return 2;
  }
  const phases = Deno.args.length === 0 ? PHASES : PHASES.filter((phase) => Deno.args.includes(phase));
  const beyondUnit = phases.some((phase) => phase !== "unit");
  Deno.mkdirSync(REPORTS, { recursive: true });
  if (beyondUnit) {
    const missing = await installPeers();
    if (missing.length > 0) {
      leftOut.push(`tests with ${missing.join(", ")}: not installed${Deno.uid() === 0 ? "" : " (not root)"}`);
    }
  }
  const obstacle = beyondUnit ? await sandboxObstacle() : undefined;
  const failedPhases: Phase[] = [];
  for (const phase of phases) {
    if (phase !== "unit" && obstacle !== undefined) {
      leftOut.push(`${phase}: ${obstacle}`);
      continue;
    }
    await Deno.remove(new URL(`${phase}.xml`, REPORTS)).catch(() => {});
    console.log(`\n===== ${phase}`);
    if (!await runPhase(phase, phase !== "unit")) failedPhases.push(phase);
  }
  return summarize(phases, failedPhases);
}

function summarize(phases: readonly Phase[], failedPhases: readonly Phase[]): number {
  console.log("");
  const sum: Totals = { passed: 0, failed: 0, skipped: 0 };
  for (const phase of phases) {
    const { passed, failed, skipped } = total(phase);
    console.log(`${phase.padEnd(8)} ${passed} passed, ${failed} failed${skipped ? `, ${skipped} off` : ""}`);
    sum.passed += passed;
    // A phase that broke without reporting a failed test is a failure all the same.
    sum.failed += failed === 0 && failedPhases.includes(phase) ? 1 : failed;
  }
  for (const reason of leftOut) console.log(`left out ${reason}`);
  if (CI) sum.failed += leftOut.length;
  console.log(`${sum.passed} passed, ${sum.failed} failed`);
  return sum.failed === 0 && sum.passed > 0 ? 0 : 1;
}

Deno.exit(await main());
