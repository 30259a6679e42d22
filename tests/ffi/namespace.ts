/**
 * Runs a scenario (a script in `scenarios/`) in a network namespace of its own, which vanishes with the process. The
 * script asserts by itself; its output appears when it fails.
 */
import assert from "node:assert/strict";

const isRoot = Deno.uid() === 0;

/** True for the machine's root, false for root of a user namespace only: that one may not make device nodes, say. */
export function isMachineRoot(): boolean {
  return isRoot && /^\s*0\s+0\s+4294967295\s*$/.test(Deno.readTextFileSync("/proc/self/uid_map"));
}

export interface NamespaceOptions {
  /** Command line to put before the script's. */
  readonly wrap?: readonly string[];
  /** Needs the machine's root. */
  readonly machineRoot?: boolean;
}

/** Registers a test that needs root and a namespace; elsewhere says what is left out. In CI it must be able to run. */
export function namespaceTest(
  sentence: string,
  script: string,
  { wrap = [], machineRoot = false }: NamespaceOptions = {},
): void {
  const possible = machineRoot ? isMachineRoot() : isRoot;
  if (!possible && !Deno.env.get("CI")) {
    console.log(`Left out, as it needs root: ${sentence}`);
    return;
  }
  Deno.test(sentence, async () => {
    const file = new URL(`scenarios/${script}.ts`, import.meta.url).pathname;
    const { code, stdout, stderr } = await new Deno.Command("unshare", {
      args: ["-n", ...wrap, Deno.execPath(), "run", "-A", "--no-check", file],
      stdout: "piped",
      stderr: "piped",
    }).output();
    const text = new TextDecoder();
    assert.equal(code, 0, text.decode(stdout) + text.decode(stderr));
  });
}

/** Runs a command; its standard output. Throws with its error output when it fails. */
export function run(command: string, ...args: string[]): string {
  const { success, stdout, stderr } = new Deno.Command(command, { args }).outputSync();
  const text = new TextDecoder();
  if (!success) throw new Error(`${command} ${args.join(" ")}: ${text.decode(stderr)}`);
  return text.decode(stdout);
}
