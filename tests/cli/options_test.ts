import assert from "node:assert/strict";
import fc from "fast-check";
import { UsageError } from "../../mod/cli/errors.ts";
import { helpText, parseOptions } from "../../mod/cli/options.ts";

const TABLE = {
  apiUrl: {
    flag: "api-url",
    short: "u",
    env: "API_URL",
    kind: "text",
    default: "wss://default",
    help: "Portal.",
  },
  name: { flag: "name", kind: "text", help: "Name." },
  noCheck: { flag: "no-check", env: "NO_CHECK", kind: "switch", help: "Skip." },
  format: {
    flag: "format",
    env: "FORMAT",
    kind: "text",
    choices: ["human", "json"],
    default: "human",
    help: "F.",
  },
} as const;
const TOKEN = [{ name: "TOKEN", env: "TOKEN", help: "Token." }];

function parse(args: string[], env: Record<string, string> = {}) {
  return parseOptions(TABLE, TOKEN, args, (name) => env[name]);
}

Deno.test("a flag beats the environment, which beats the default", () => {
  assert.equal(parse([]).options.apiUrl, "wss://default");
  assert.equal(parse([], { API_URL: "wss://env" }).options.apiUrl, "wss://env");
  assert.equal(parse(["--api-url", "wss://flag"], { API_URL: "wss://env" }).options.apiUrl, "wss://flag");
  assert.equal(parse(["-u", "wss://flag"]).options.apiUrl, "wss://flag");
  assert.equal(parse(["--api-url=wss://flag"]).options.apiUrl, "wss://flag");
});

Deno.test("the positional beats its variable, and numbers stay text", () => {
  assert.deepEqual(parse(["007"], { TOKEN: "env" }).positionals, ["007"]);
  assert.deepEqual(parse([], { TOKEN: "env" }).positionals, ["env"]);
  assert.deepEqual(parse(["--", "-dash"]).positionals, ["-dash"]);
  assert.deepEqual(parse([]).positionals, [undefined]);
});

Deno.test("an empty environment variable counts as unset", () => {
  assert.equal(parse([], { API_URL: "" }).options.apiUrl, "wss://default");
  assert.deepEqual(parse([], { TOKEN: "" }).positionals, [undefined]);
});

Deno.test("switches come from the flag or from a variable that says true or false", () => {
  assert.equal(parse([]).options.noCheck, false);
  assert.equal(parse(["--no-check"]).options.noCheck, true);
  assert.equal(parse([], { NO_CHECK: "true" }).options.noCheck, true);
  assert.equal(parse([], { NO_CHECK: "false" }).options.noCheck, false);
  assert.throws(() => parse([], { NO_CHECK: "maybe" }), /NO_CHECK is `maybe`/);
});

Deno.test("what cannot be meant is a usage error that names it", () => {
  const cases: [string[], RegExp][] = [
    [["--bogus"], /Unknown option `--bogus`/],
    [["--token=secret"], /Unknown option `--token`\.$/],
    [["-z"], /Unknown option `-z`/],
    [["a", "b"], /Unexpected argument `b`/],
    [["--name"], /`--name` needs a value/],
    [["--format", "xml"], /`--format` is `xml`, but only human, json/],
  ];
  for (const [args, message] of cases) {
    assert.throws(() => parse(args), (error) => error instanceof UsageError && message.test(error.message));
  }
  assert.throws(() => parse([], { FORMAT: "xml" }), /Environment variable FORMAT is `xml`/);
});

Deno.test("any words either parse or are a usage error", () => {
  fc.assert(fc.property(fc.array(fc.string({ maxLength: 12 }), { maxLength: 5 }), (args) => {
    try {
      parse(args);
    } catch (error) {
      assert.ok(error instanceof UsageError, String(error));
    }
  }));
});

Deno.test("the help text lists flags, variables, defaults and choices, but nothing hidden", () => {
  const table = { ...TABLE, secret: { flag: "inner", kind: "switch", help: "x", hidden: true } } as const;
  const text = helpText("Summary.", "postern gateway [TOKEN]", table, TOKEN);
  assert.match(text, /Usage: postern gateway \[TOKEN\]/);
  assert.match(text, /-u, --api-url <value> +Portal\. \[env: API_URL\] \[default: wss:\/\/default\]/);
  assert.match(text, /--format <value> +F\. One of: human, json\./);
  assert.match(text, /\[TOKEN\] +Token\. \[env: TOKEN\]/);
  assert.doesNotMatch(text, /inner/);
});

Deno.test("no option is called _, wherever it stands, and words stay as they were written", () => {
  for (const args of [["-_"], ["-_", "x"], ["--_", "x"], ["--_=x", "y"], ["-h_"]]) {
    assert.throws(() => parse(args), UsageError, String(args));
  }
  for (const word of ["007", "1e3", "_", "-"]) assert.deepEqual(parse([word]).positionals, [word]);
  assert.deepEqual(parse(["--", "-_"]).positionals, ["-_"]);
});
