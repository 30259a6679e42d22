/** `postern demo`: shows the whole thing working on this machine, in namespaces that vanish afterwards. */
import { DEMO_TOOLS, narrator, runDemo, serveResource, StepFailed } from "../../embedded/demo/mod.ts";
import { hasCommand, insideSandbox, runInSandbox, sandboxObstacle } from "../../embedded/testbed/mod.ts";
import type { Command } from "../command.ts";
import { causeChain, CommandError, EXIT_FAILURE, EXIT_OK, UsageError } from "../errors.ts";
import { helpText, parseOptions } from "../options.ts";
import { selfCommand } from "../self.ts";

/** For the demo's own use: its private server is this program too. */
const SERVE_RESOURCE = "serve-resource";
const INTERRUPTED = 130;

export const demo: Command = {
  async run(args, environment) {
    const { positionals, help } = parseOptions({}, [{ name: "PART", help: "" }], args, environment);
    if (help) {
      console.log(helpText("Show everything working on this machine.", "postern demo", {}, []));
      return EXIT_OK;
    }
    if (positionals[0] === SERVE_RESOURCE) {
      await serveResource();
      return EXIT_OK;
    }
    if (positionals[0] !== undefined) throw new UsageError(`Unexpected argument \`${positionals[0]}\`.`);
    requireTools();
    if (insideSandbox()) return await tell();
    const obstacle = await sandboxObstacle();
    if (obstacle !== undefined) throw new CommandError(obstacle);
    return await runInSandbox([...selfCommand(), "demo"]);
  },
};

async function tell(): Promise<number> {
  const started = performance.now();
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    // The sandbox ends with this process, and everything in it.
    Deno.addSignalListener(signal, () => Deno.exit(INTERRUPTED));
  }
  const encoder = new TextEncoder();
  const write = (text: string) => void Deno.stdout.writeSync(encoder.encode(text));
  const colors = Deno.stdout.isTerminal() && Deno.env.get("NO_COLOR") === undefined;
  try {
    await runDemo({ self: selfCommand(), narrator: narrator(write, colors) });
  } catch (error) {
    if (!(error instanceof StepFailed)) throw error;
    console.error(`\nThe demo did not hold: ${causeChain(error)}`);
    return EXIT_FAILURE;
  }
  write(
    `\nEverything held, in ${((performance.now() - started) / 1000).toFixed(1)} s. Nothing is left behind.\n`,
  );
  return EXIT_OK;
}

function requireTools(): void {
  const missing = Object.keys(DEMO_TOOLS).filter((tool) => !hasCommand(tool));
  if (missing.length === 0) return;
  const packages = [...new Set(missing.map((tool) => DEMO_TOOLS[tool]))].join(" ");
  throw new CommandError(
    `Cannot run the demo: ${missing.join(", ")} ${missing.length === 1 ? "is" : "are"} missing. ` +
      `Install: apt-get install -y ${packages}`,
  );
}
