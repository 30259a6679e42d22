/**
 * The command line: `postern [command] [options]`. Without a command it is `gateway`, so that a service file written
 * for Firezone's gateway works unchanged.
 */
import { causeChain, CommandError, EXIT_FAILURE, EXIT_OK, EXIT_USAGE, UsageError } from "./errors.ts";
import { COMMANDS, DEFAULT_COMMAND } from "./commands/mod.ts";
import { VERSION } from "./version.ts";

export async function main(args: readonly string[]): Promise<number> {
  const [first, ...rest] = args;
  if (first === "--version" || first === "-V") return print(`postern ${VERSION} (Deno ${Deno.version.deno})`);
  if (first === "help" || ((first === "--help" || first === "-h") && rest.length === 0)) {
    return print(overview());
  }
  const named = COMMANDS.find(({ name }) => name === first);
  const command = named ?? COMMANDS.find(({ name }) => name === DEFAULT_COMMAND)!;
  try {
    const loaded = await command.load();
    return await loaded.run(named ? rest : args, (name) => Deno.env.get(name));
  } catch (error) {
    if (error instanceof UsageError) {
      console.error(`postern ${command.name}: ${error.message}\nTry \`postern ${command.name} --help\`.`);
      return EXIT_USAGE;
    }
    if (error instanceof CommandError) console.error(`postern ${command.name}: ${causeChain(error)}`);
    else console.error(error);
    return EXIT_FAILURE;
  }
}

function print(text: string): number {
  console.log(text);
  return EXIT_OK;
}

function overview(): string {
  const width = Math.max(...COMMANDS.map(({ name }) => name.length)) + 2;
  return [
    "Postern: a zero-trust gateway that speaks Firezone's protocol.",
    "",
    "Usage: postern [command] [options]",
    "",
    "Commands:",
    ...COMMANDS.map(({ name, summary }) =>
      `  ${name.padEnd(width)}${summary}${name === DEFAULT_COMMAND ? " [default]" : ""}`
    ),
    "",
    "Options:",
    "  -h, --help     Show this text; behind a command, that command's options.",
    "  -V, --version  Show the version.",
  ].join("\n");
}
