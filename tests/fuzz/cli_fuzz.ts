import assert from "node:assert/strict";
import { COMPATIBILITY_OPTIONS } from "../../mod/cli/compatibility.ts";
import { UsageError } from "../../mod/cli/errors.ts";
import { parseLogFilter, passes } from "../../mod/cli/log/filter.ts";
import { helpText, parseOptions } from "../../mod/cli/options.ts";
import { PORTAL_OPTIONS } from "../../mod/cli/portal_options.ts";
import { RELAY_OPTIONS } from "../../mod/cli/relay_options.ts";
import { TUNNEL_OPTIONS, tunnelOptions } from "../../mod/cli/tunnel_options.ts";
import {
  parseAddressOf,
  parseCidrs,
  parseDuration,
  parseListenAddress,
  parsePort,
  parsePortRange,
} from "../../mod/cli/values.ts";
import corpus from "./corpus/cli.hex" with { type: "text" };
import type { Dice } from "./dice.ts";
import { fromText, type FuzzTarget } from "./target.ts";

const OPTIONS = { ...TUNNEL_OPTIONS, ...COMPATIBILITY_OPTIONS, ...RELAY_OPTIONS, ...PORTAL_OPTIONS } as const;
const POSITIONALS = [{ name: "TOKEN", env: "FIREZONE_TOKEN", help: "x" }];
const FLAGS = Object.values(OPTIONS).map(({ flag }) => `--${flag}`);
const VALUES = [
  "",
  "x",
  "-",
  "--",
  "-u",
  "=",
  "24h",
  "human",
  "json",
  "[::]:1",
  "0.0.0.0:65536",
  "1-2",
  "10.0.0.0/8,",
  "true",
  "0",
]
  .concat([
    "--help",
    "-h",
    "__proto__",
    "--__proto__=1",
    "--constructor",
    "--no-check=false",
    "--a.b=c",
    "-abc",
    "--=",
    "ü",
    "\u0000",
  ]);
const VALUE_PARSERS: readonly ((text: string) => unknown)[] = [
  (text) => assert.ok(parseDuration(text, "x") > 0),
  (text) => parseListenAddress(text, "x"),
  (text) => assert.ok(parsePort(text, "x") > 0),
  (text) => parsePortRange(text, "x"),
  (text) => parseAddressOf(4, text, "x"),
  (text) => parseAddressOf(6, text, "x"),
  (text) => parseCidrs(text, "x"),
];

function generate(dice: Dice): Uint8Array {
  const words = Array.from({ length: dice.below(6) }, () => {
    const flag = dice.pick(FLAGS);
    return dice.pick([flag, `${flag}=${dice.pick(VALUES)}`, dice.pick(VALUES)]);
  });
  return fromText(words.join("\n"));
}

/** "ok", or "usage" for the only kind of error that an operator may see. */
function attempt(work: () => unknown): string {
  try {
    work();
    return "ok";
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    return "usage";
  }
}

export const target: FuzzTarget = {
  title: "what an operator writes is understood or a usage error, and nothing else",
  seeds: ["--api-url\nws://x\ntoken", "info,portal=debug", "1h 30m", "[::]:8080", "49152-65535", "10.0.0.0/8"]
    .map(
      fromText,
    ),
  corpus,
  maxLength: 512,
  dictionary: [...FLAGS, ...VALUES, "\n"].map(fromText),
  generate,
  smoke: 600,
  start: () => (input) => {
    const text = new TextDecoder().decode(input);
    const filter = parseLogFilter(text);
    passes(filter, ["portal"], "info");
    const outcomes = VALUE_PARSERS.map((parse) => attempt(() => parse(text)));
    const args = text.split("\n");
    // The same words on the command line and, for the switches, in the environment.
    outcomes.push(attempt(() => {
      const { options, positionals } = parseOptions(OPTIONS, POSITIONALS, args, () => undefined);
      assert.equal(positionals.length, 1);
      for (const [key, spec] of Object.entries(OPTIONS)) {
        const value = options[key as keyof typeof options];
        assert.equal(
          typeof value,
          spec.kind === "switch" ? "boolean" : value === undefined ? "undefined" : "string",
          key,
        );
      }
      outcomes.push(attempt(() => tunnelOptions(options)));
    }));
    outcomes.push(attempt(() => parseOptions(OPTIONS, POSITIONALS, [], () => text)));
    assert.ok(helpText("x", "x", OPTIONS, POSITIONALS).length > 100);
    return `${outcomes} ${filter.targets.length > 0} ${filter.ignored.length > 0}`;
  },
};
