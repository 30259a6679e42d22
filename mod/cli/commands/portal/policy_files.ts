/** `check`, `diff`, `reload`, `status` and `backup`: the policy file and the portal as a whole. */
import { resolve } from "node:path";
import type { StatusView } from "../../../embedded/portal/control/mod.ts";
import { entryCounts } from "../../../embedded/portal/control/mod.ts";
import { type PolicyDiff } from "../../../embedded/portal/policy/diff.ts";
import { readPolicy, snapshotPolicy } from "../../../embedded/portal/policy/io.ts";
import { PolicyError, problemText } from "../../../embedded/portal/policy/problems.ts";
import { EXIT_FAILURE, EXIT_OK } from "../../errors.ts";
import { POLICY_POSITIONAL } from "../../portal_options.ts";
import { tableLines } from "../../table.ts";
import { printDiff } from "./diff_output.ts";
import { JSON_OPTION, printJson, socketVerb, timeText, type Verb, verb } from "./verb.ts";

const PLURALS: Readonly<Record<string, string>> = { policy: "policies" };

export const FILE_VERBS: readonly Verb[] = [
  verb({
    words: ["check"],
    summary: "Check a policy file; no portal has to run",
    positionals: [POLICY_POSITIONAL],
    options: JSON_OPTION,
    run: ({ options, positionals: [path] }) => Promise.resolve(check(path!, options.json)),
  }),
  socketVerb({
    words: ["diff"],
    summary: "Show what a policy file would change in the running portal",
    positionals: [POLICY_POSITIONAL],
    options: {},
    doing: ([path]) => `compare ${path} with the policy in force`,
    run: async ({ options, positionals: [path], portal }) => {
      const snapshot = orReport(path!, options.json, snapshotPolicy);
      if (!snapshot) return EXIT_FAILURE;
      const diff = await portal<PolicyDiff>("POST", ["preview"], {
        file: snapshot.file,
        text: snapshot.text,
        secrets: Object.fromEntries(snapshot.secrets),
      });
      options.json ? printJson(diff) : printDiff(diff, "It would change nothing.");
      return EXIT_OK;
    },
  }),
  socketVerb({
    words: ["reload"],
    summary: "Have the running portal read its policy file again, now",
    positionals: [],
    options: {},
    doing: () => "reload the policy",
    run: async ({ options, portal }) => {
      const diff = await portal<PolicyDiff>("POST", ["reload"]);
      options.json ? printJson(diff) : printDiff(diff);
    },
  }),
  socketVerb({
    words: ["status"],
    summary: "Show what the running portal is doing",
    positionals: [],
    options: {},
    doing: () => "ask for the status",
    run: async ({ options, portal }) => {
      const status = await portal<StatusView>("GET", ["status"]);
      if (options.json) return printJson(status);
      const rows = Object.entries({
        state: status.suspended ?? "serving",
        url: status.url,
        version: status.version,
        since: `${timeText(status.startedAt)} UTC`,
        "policy file": status.policyFile,
        "state file": status.stateFile ?? "none: everything is forgotten at the end",
        policy: countsText(status.entries),
        online: `${count("gateway", status.online.gateways)}, ${count("client", status.online.clients)}`,
        known: `${count("device", status.devices)}, ${count("grant", status.grants)}, ${
          count("token", status.tokens)
        }`,
      });
      for (const line of tableLines(["", ""], rows).slice(1)) console.log(line);
      return status.suspended === undefined ? EXIT_OK : EXIT_FAILURE;
    },
  }),
  socketVerb({
    words: ["backup"],
    summary: "Copy the running portal's state to a new file",
    positionals: [{ name: "FILE", help: "Where to; it must not exist yet." }],
    options: {},
    doing: ([path]) => `back the state up to ${path}`,
    run: async ({ options, positionals: [path], portal }) => {
      await portal("POST", ["backup"], { path: resolve(path!) });
      options.json ? printJson({}) : console.log(`The state is in ${path}.`);
    },
  }),
];

function check(path: string, json: boolean): number {
  const read = orReport(path, json, () => readPolicy(path, [], "pretend"));
  if (!read) return EXIT_FAILURE;
  const entries = entryCounts(read.policy);
  json ? printJson({ entries, problems: [] }) : console.log(`${path} is fine: ${countsText(entries)}.`);
  return EXIT_OK;
}

/** What reading gives; or the file's mistakes are printed, a line for each. */
function orReport<T>(path: string, json: boolean, read: (path: string) => T): T | undefined {
  try {
    return read(path);
  } catch (error) {
    if (!(error instanceof PolicyError)) throw error;
    if (json) printJson({ problems: error.problems });
    else for (const problem of error.problems) console.error(problemText(path, problem));
    return undefined;
  }
}

function countsText(entries: Readonly<Record<string, number>>): string {
  return Object.entries(entries).filter(([, number]) => number > 0)
    .map(([kind, number]) => count(kind, number)).join(", ") || "nothing in it";
}

function count(what: string, number: number): string {
  return `${number} ${number === 1 ? what : PLURALS[what] ?? `${what}s`}`;
}
