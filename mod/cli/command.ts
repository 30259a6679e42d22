/** What every command is, so that the dispatcher and the help text know them without knowing what they do. */
import type { Environment } from "./options.ts";

export interface Command {
  /** Returns the exit status. @throws UsageError, CommandError, or any error as a failure. */
  run(args: readonly string[], environment: Environment): Promise<number>;
}

export interface CommandEntry {
  readonly name: string;
  /** One line for the list of commands. */
  readonly summary: string;
  load(): Promise<Command>;
}
