/** `site|gateway|client|user|resource|policy` `add|set|remove|list|show`: the policy's objects, one by one. */
import type { EntryView, TokenView } from "../../../embedded/portal/control/mod.ts";
import { type PolicyDiff } from "../../../embedded/portal/policy/diff.ts";
import { OBJECT_KINDS, type ObjectKind } from "../../../embedded/portal/policy/objects.ts";
import { hashPassword } from "../../../embedded/portal/sign_in/mod.ts";
import type { OptionTable } from "../../options.ts";
import { readNewPassword } from "../../secret_input.ts";
import { tableLines } from "../../table.ts";
import { printDiff } from "./diff_output.ts";
import { documentOf, optionTable } from "./object_options.ts";
import { type MadeTokenView, printToken } from "./token_output.ts";
import { parseList, type PortalCaller, printJson, socketVerb, type Verb } from "./verb.ts";

/** How the portal shows that there is one. */
const SECRET = "(set)";
const NAME = [{ name: "NAME", help: "Its name." }];

const ADD_OPTIONS: Readonly<Partial<Record<ObjectKind, OptionTable>>> = {
  gateway: { noToken: { flag: "no-token", kind: "switch", help: "Make no token for it yet." } },
  client: { noToken: { flag: "no-token", kind: "switch", help: "Make no token for it yet." } },
  user: { noPassword: { flag: "no-password", kind: "switch", help: "Set no password yet." } },
};

export const OBJECT_VERBS: readonly Verb[] = OBJECT_KINDS.flatMap((kind) => {
  const route = ["objects", kind];
  const doing = (what: string) => ([name]: readonly string[]) => `${what} ${kind} "${name}"`;
  return [
    socketVerb({
      words: [kind, "add"],
      summary: `Add a ${kind}${hasToken(kind) ? " and make its token" : ""}`,
      positionals: NAME,
      options: { ...optionTable(kind), ...ADD_OPTIONS[kind] } as OptionTable,
      doing: doing("add"),
      run: async ({ options, positionals: [name], portal }) => {
        const document = documentOf(kind, options);
        if (kind === "user" && !options.noPassword) {
          // Nobody should type one for nothing.
          await portal("GET", ["status"]);
          document.password_hash = await hashPassword(await readNewPassword());
        }
        const diff = await portal<PolicyDiff>("POST", route, { name, document });
        const token = hasToken(kind) && !options.noToken ? await makeToken(portal, kind, name!) : undefined;
        if (options.json) return printJson({ ...diff, ...(token && { token }) });
        printDiff(diff);
        if (token) printToken(token);
      },
    }),
    socketVerb({
      words: [kind, "set"],
      summary: `Change a ${kind} that was added here`,
      positionals: NAME,
      options: {
        ...optionTable(kind),
        unset: {
          flag: "unset",
          kind: "text",
          value: "options",
          help: "Options to take back, separated by commas.",
        },
      } as OptionTable,
      doing: doing("change"),
      run: async ({ options, positionals: [name], portal }) => {
        const unset = parseList(typeof options.unset === "string" ? options.unset : "");
        const changes = documentOf(kind, options, unset);
        const diff = await portal<PolicyDiff>("PATCH", [...route, name!], { changes });
        options.json ? printJson(diff) : printDiff(diff);
      },
    }),
    socketVerb({
      words: [kind, "remove"],
      summary: `Remove a ${kind} that was added here${hasToken(kind) ? ", and its tokens" : ""}`,
      positionals: NAME,
      options: {},
      doing: doing("remove"),
      run: async ({ options, positionals: [name], portal }) => {
        const diff = await portal<PolicyDiff>("DELETE", [...route, name!]);
        options.json ? printJson(diff) : printDiff(diff);
      },
    }),
    socketVerb({
      words: [kind, "list"],
      summary: `List each ${kind} that is in force, from the file and from verbs`,
      positionals: [],
      options: {},
      doing: () => `list every ${kind}`,
      run: async ({ options, portal }) => {
        const entries = await portal<EntryView[]>("GET", route);
        options.json ? printJson(entries) : printEntries(entries);
      },
    }),
    socketVerb({
      words: [kind, "show"],
      summary: `Show one ${kind}`,
      positionals: NAME,
      options: {},
      doing: doing("show"),
      run: async ({ options, positionals: [name], portal }) => {
        const entry = await portal<EntryView>("GET", [...route, name!]);
        if (options.json) return printJson(entry);
        const rows = Object.entries({ name: entry.name, ...entry.values, "made by": entry.madeBy });
        for (const line of tableLines(["", ""], rows).slice(1)) console.log(line);
      },
    }),
  ];
});

function hasToken(kind: ObjectKind): kind is "gateway" | "client" {
  return kind === "gateway" || kind === "client";
}

async function makeToken(portal: PortalCaller, role: "gateway" | "client", name: string) {
  return await portal<TokenView & MadeTokenView>("POST", ["tokens"], { name, role });
}

function printEntries(entries: readonly EntryView[]): void {
  const all = [...new Set(entries.flatMap(({ values }) => Object.keys(values)))].filter((key) =>
    key !== "id"
  );
  const isSecret = (key: string) => entries.every(({ values }) => (values[key] ?? SECRET) === SECRET);
  const keys = [...all.filter((key) => !isSecret(key)), ...all.filter(isSecret)];
  const heading = ["name", ...keys, "made by"].map((key) => key.toUpperCase().replaceAll("_", " "));
  const rows = entries.map((
    { name, values, madeBy },
  ) => [name, ...keys.map((key) => values[key] ?? ""), madeBy]);
  for (const line of tableLines(heading, rows)) console.log(line);
}
