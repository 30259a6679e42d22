/** What every verb of `postern portal` is, and what they have in common. */
import {
  ControlClient,
  type ControlMethod,
  ControlRefusal,
  ControlUnreachable,
} from "../../../embedded/portal/control/mod.ts";
import { CONTROL_OPTIONS, controlPath } from "../../control_options.ts";
import { CommandError, EXIT_OK, UsageError } from "../../errors.ts";
import {
  type Environment,
  helpText,
  type OptionTable,
  type OptionValues,
  parseOptions,
  type PositionalSpec,
} from "../../options.ts";
import { PORTAL_OPTIONS } from "../../portal_options.ts";
import { parseDuration } from "../../values.ts";

export interface Verb {
  /** `["client", "add"]` */
  readonly words: readonly string[];
  /** One line for the list of verbs. */
  readonly summary: string;
  run(args: readonly string[], environment: Environment): Promise<number>;
}

export const JSON_OPTION = {
  json: { flag: "json", kind: "switch", help: "Print JSON." },
} as const satisfies OptionTable;

/** Options of every verb that talks to the running portal. */
export const SOCKET_OPTIONS = {
  ...CONTROL_OPTIONS,
  state: { ...PORTAL_OPTIONS.state, help: "State file of the running portal; its socket is next to it." },
  ...JSON_OPTION,
} as const satisfies OptionTable;

/** What a verb does with what was given to it. */
export interface VerbInput<T extends OptionTable> {
  readonly options: OptionValues<T>;
  readonly positionals: readonly string[];
}

interface VerbSpec<T extends OptionTable> {
  readonly words: readonly string[];
  readonly summary: string;
  readonly options: T;
  /** All of them have to be given. */
  readonly positionals: readonly PositionalSpec[];
  readonly run: (input: VerbInput<T>) => Promise<number | void>;
}

/** A verb from its tables. */
export function verb<const T extends OptionTable>(spec: VerbSpec<T>): Verb {
  const { words, summary, options: table, positionals: specs } = spec;
  return {
    words,
    summary,
    async run(args, environment) {
      const { options, positionals, help } = parseOptions(table, specs, args, environment);
      if (help) {
        const names = specs.map(({ name }) => ` ${name}`).join("");
        console.log(
          helpText(`${summary}.`, `postern portal ${words.join(" ")} [options]${names}`, table, specs),
        );
        return EXIT_OK;
      }
      const given = positionals.filter((one) => one !== undefined);
      if (given.length < specs.length) {
        throw new UsageError(`${words.join(" ")}: ${specs[given.length]!.name} is missing.`);
      }
      return await spec.run({ options, positionals: given }) ?? EXIT_OK;
    },
  };
}

type SocketVerbSpec<T extends OptionTable> = Omit<VerbSpec<T>, "run"> & {
  /** `add client "laptop"`, for errors. */
  readonly doing: (positionals: readonly string[]) => string;
  readonly run: (
    input: VerbInput<T & typeof SOCKET_OPTIONS> & { portal: PortalCaller },
  ) => Promise<number | void>;
};

/** Calls the running portal. */
export type PortalCaller = <A>(method: ControlMethod, route: readonly string[], body?: unknown) => Promise<A>;

/** A verb that talks to the running portal; its refusals become errors that name what was asked. */
export function socketVerb<const T extends OptionTable>(spec: SocketVerbSpec<T>): Verb {
  return verb({
    ...spec,
    options: { ...spec.options, ...SOCKET_OPTIONS },
    async run(input) {
      const path = controlPath(input.options as OptionValues<typeof SOCKET_OPTIONS>);
      const client = new ControlClient(path);
      try {
        return await spec.run({
          ...input as VerbInput<T & typeof SOCKET_OPTIONS>,
          portal: (method, route, body) => client.call(method, route, body),
        });
      } catch (error) {
        throw inWords(`Cannot ${spec.doing(input.positionals)}`, error);
      }
    },
  });
}

function inWords(what: string, error: unknown): unknown {
  if (error instanceof ControlUnreachable) {
    return new CommandError(`${what}: ${error.message}`);
  }
  if (!(error instanceof ControlRefusal)) return error;
  if (error.problems.length === 0) return new CommandError(`${what}: ${error.message}`);
  return new CommandError(
    `${what}: the policy would have ${error.problems.length} mistake(s), so nothing was changed:\n` +
      error.problems.join("\n"),
  );
}

/** A time to come: `2027-01-31`, `2027-01-31T12:00:00Z`, or from now on: `30d`. @returns Unix seconds */
export function parseExpiry(text: string, source: string): number {
  if (/^\d{4}-/.test(text)) {
    const time = Date.parse(text);
    if (Number.isFinite(time)) return Math.floor(time / 1000);
    throw new UsageError(`${source} is \`${text}\`, which is no date. Write it like 2027-01-31, or 30d.`);
  }
  return Math.floor((Date.now() + parseDuration(text, source)) / 1000);
}

/** `a, b` as its parts. */
export function parseList(text: string, separator = ","): string[] {
  return text.split(separator).map((part) => part.trim()).filter(Boolean);
}

export function printJson(value: unknown): void {
  console.log(JSON.stringify(value, undefined, 2));
}

/** Unix seconds as UTC. */
export function timeText(seconds: number): string {
  return new Date(seconds * 1000).toISOString().slice(0, 16).replace("T", " ");
}
