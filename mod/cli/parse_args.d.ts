/** What this project uses of @std/cli/parse-args; the npm republish carries no declarations. */
export interface ParseOptions {
  boolean?: readonly string[];
  string?: readonly string[];
  alias?: Readonly<Record<string, string>>;
  "--"?: boolean;
  /** Called for each option and positional that was not declared; `key` is undefined for positionals. */
  unknown?: (argument: string, key?: string, value?: unknown) => unknown;
}

export interface ParsedArguments {
  _: string[];
  "--"?: string[];
  [option: string]: unknown;
}

export function parseArgs(args: readonly string[], options?: ParseOptions): ParsedArguments;
