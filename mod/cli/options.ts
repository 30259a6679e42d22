/**
 * Options of a command as data: one table gives the parser, the environment variables, the defaults and the help
 * text. Precedence: flag, then environment variable, then default. An empty environment variable counts as unset.
 */
// @ts-types="./parse_args.d.ts"
import { parseArgs } from "@std/cli/parse-args";
import { UsageError } from "./errors.ts";

export interface OptionSpec {
  /** Without the dashes: `api-url`. */
  readonly flag: string;
  readonly short?: string;
  readonly env?: string;
  /** `switch` takes no value. */
  readonly kind: "text" | "switch";
  /** What the value is called in the help text. */
  readonly value?: string;
  readonly default?: string;
  readonly choices?: readonly string[];
  /** The value of a `text` flag that stands alone: such a flag takes a value only behind `=`. */
  readonly alone?: string;
  readonly help: string;
  /** Left out of the help text: it exists for compatibility, or for developers. */
  readonly hidden?: boolean;
}

export interface PositionalSpec {
  readonly name: string;
  readonly env?: string;
  readonly required?: boolean;
  readonly help: string;
}

export type OptionTable = Readonly<Record<string, OptionSpec>>;

export type OptionValues<T extends OptionTable> = {
  readonly [K in keyof T]: T[K] extends { kind: "switch" } ? boolean
    : T[K] extends { default: string } ? string
    : string | undefined;
};

export interface Parsed<T extends OptionTable> {
  readonly options: OptionValues<T>;
  /** Values of the positionals in the order of their specification; the environment fills what is absent. */
  readonly positionals: readonly (string | undefined)[];
  readonly help: boolean;
}

export type Environment = (name: string) => string | undefined;

/** @throws UsageError naming the flag or the variable. */
export function parseOptions<const T extends OptionTable>(
  table: T,
  positionals: readonly PositionalSpec[],
  args: readonly string[],
  environment: Environment,
): Parsed<T> {
  const specs = Object.entries<OptionSpec>(table);
  // Kept out of the parser's own list: that is an option called "_", which would turn words into numbers.
  const words: string[] = [];
  const raw = parseArgs(withValues(specs.map(([, spec]) => spec), args), {
    boolean: [...specs.filter(([, spec]) => spec.kind === "switch").map(([, spec]) => spec.flag), "help"],
    string: specs.filter(([, spec]) => spec.kind === "text").map(([, spec]) => spec.flag),
    alias: Object.fromEntries([
      ["h", "help"],
      ...specs.filter(([, spec]) => spec.short).map(([, spec]) => [spec.short!, spec.flag]),
    ]),
    "--": true,
    unknown: (argument, key) => {
      if (key !== undefined) throw new UsageError(`Unknown option \`${optionOf(argument)}\`.`);
      words.push(argument);
      return false;
    },
  });
  words.push(...(raw["--"] ?? []));
  if (words.length > positionals.length) {
    throw new UsageError(`Unexpected argument \`${words[positionals.length]}\`.`);
  }
  const given = (flag: string) =>
    args.some((argument) => argument === `--${flag}` || argument.startsWith(`--${flag}=`));
  const values = specs.map(([key, spec]) => {
    const value = spec.kind === "switch"
      ? raw[spec.flag] === true || (!given(spec.flag) && environmentSwitch(spec, environment))
      : textValue(spec, raw[spec.flag], environment);
    return [key, value];
  });
  return {
    options: Object.fromEntries(values) as OptionValues<T>,
    positionals: positionals.map((spec, i) => words[i] ?? nonEmpty(spec.env && environment(spec.env))),
    help: raw.help === true,
  };
}

/** Gives the flags that may stand alone their values. */
function withValues(specs: readonly OptionSpec[], args: readonly string[]): string[] {
  const end = args.indexOf("--");
  return args.map((argument, i) => {
    const spec = end >= 0 && i > end ? undefined : specs.find(({ flag }) => argument === `--${flag}`);
    return spec?.alone === undefined ? argument : `${argument}=${spec.alone}`;
  });
}

function textValue(spec: OptionSpec, raw: unknown, environment: Environment): string | undefined {
  if (raw === "") throw new UsageError(`Option \`--${spec.flag}\` needs a value.`);
  const variable = spec.env === undefined ? undefined : nonEmpty(environment(spec.env));
  const value = typeof raw === "string" ? raw : variable ?? spec.default;
  if (value !== undefined && spec.choices && !spec.choices.includes(value)) {
    throw new UsageError(
      `${sourceOf(spec, raw)} is \`${value}\`, but only ${spec.choices.join(", ")} are possible.`,
    );
  }
  return value;
}

function environmentSwitch(spec: OptionSpec, environment: Environment): boolean {
  const text = nonEmpty(spec.env && environment(spec.env));
  if (text === undefined || text === "false" || text === "0") return false;
  if (text === "true" || text === "1") return true;
  throw new UsageError(
    `Environment variable ${spec.env} is \`${text}\`, but only true or false are possible.`,
  );
}

function sourceOf(spec: OptionSpec, raw: unknown): string {
  return typeof raw === "string" ? `Option \`--${spec.flag}\`` : `Environment variable ${spec.env}`;
}

/** The name alone: a value behind `=` may be a secret. */
function optionOf(argument: string): string {
  return argument.split("=", 1)[0]!;
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === "" ? undefined : text;
}

/** The help text of one command. `usage` is the line behind `Usage:`. */
export function helpText(
  summary: string,
  usage: string,
  table: OptionTable,
  positionals: readonly PositionalSpec[],
): string {
  const suffix = (spec: { env?: string; default?: string; choices?: readonly string[] }) =>
    [
      spec.choices ? ` One of: ${spec.choices.join(", ")}.` : "",
      spec.env ? ` [env: ${spec.env}]` : "",
      spec.default ? ` [default: ${spec.default}]` : "",
    ].join("");
  const rows = Object.values<OptionSpec>(table).filter((spec) => !spec.hidden).map((spec) => [
    `${spec.short ? `-${spec.short}, ` : "    "}--${spec.flag}${
      spec.kind !== "text"
        ? ""
        : spec.alone === undefined
        ? ` <${spec.value ?? "value"}>`
        : `[=${spec.value ?? "value"}]`
    }`,
    spec.help + suffix(spec),
  ]);
  rows.push(["-h, --help", "Show this text."]);
  const words = positionals.map((spec) => [`[${spec.name}]`, spec.help + suffix(spec)]);
  return [
    summary,
    "",
    `Usage: ${usage}`,
    ...(words.length > 0 ? ["", "Arguments:", ...columns(words)] : []),
    "",
    "Options:",
    ...columns(rows),
    "",
  ].join("\n");
}

function columns(rows: readonly (readonly string[])[]): string[] {
  const width = Math.max(...rows.map(([left]) => left!.length)) + 2;
  return rows.map(([left, right]) => `  ${left!.padEnd(width)}${right}`);
}
