/** `token`, `session` and `device` verbs: who can log in, who has, and with what. */
import type { DeviceView, TokenView } from "../../../embedded/portal/control/mod.ts";
import { FAR_FUTURE } from "../../../embedded/portal/policy/policy.ts";
import { tableLines } from "../../table.ts";
import { parseDuration } from "../../values.ts";
import { type MadeTokenView, printToken } from "./token_output.ts";
import { parseExpiry, printJson, socketVerb, timeText, type Verb } from "./verb.ts";

const ROLE = {
  flag: "role",
  kind: "text",
  value: "role",
  choices: ["gateway", "client"],
  help: "Which one, when a gateway and a client have the same name.",
} as const;

type Made = TokenView & MadeTokenView & {
  readonly replaced: readonly { readonly id: string; readonly endsAt: number }[];
};

export const TOKEN_VERBS: readonly Verb[] = [
  socketVerb({
    words: ["token", "list"],
    summary: "List the tokens that were made here, not those of the policy file",
    positionals: [],
    options: {},
    doing: () => "list the tokens",
    run: async ({ options, portal }) => {
      const tokens = await portal<TokenView[]>("GET", ["tokens"]);
      if (options.json) return printJson(tokens);
      const rows = tokens.map((
        one,
      ) => [one.id, one.role, ownerText(one), ...times(one), one.devices.join(", ")]);
      print(["ID", "ROLE", "OF", "MADE (UTC)", "EXPIRES", "DEVICES"], rows);
    },
  }),
  socketVerb({
    words: ["token", "create"],
    summary: "Make another token for a gateway or client, from the file or from verbs",
    positionals: [{ name: "NAME", help: "Name of the gateway or client." }],
    options: {
      role: ROLE,
      expires: {
        flag: "expires",
        kind: "text",
        value: "time",
        help: "2027-01-31, or 30d; never when absent.",
      },
    },
    doing: ([name]) => `make a token for "${name}"`,
    run: async ({ options, positionals: [name], portal }) => {
      const expiresAt = options.expires && parseExpiry(options.expires, "`--expires`");
      const made = await portal<Made>("POST", ["tokens"], {
        name,
        ...(options.role && { role: options.role }),
        ...(expiresAt && { expiresAt }),
      });
      options.json ? printJson(made) : printToken(made);
    },
  }),
  socketVerb({
    words: ["token", "rotate"],
    summary: "Replace the tokens of a gateway or client that were made here",
    positionals: [{ name: "NAME", help: "Name of the gateway or client, or the id of one token." }],
    options: {
      role: ROLE,
      grace: {
        flag: "grace",
        kind: "text",
        value: "duration",
        help: "How long the old tokens are good for yet, such as 1h; they end at once when absent.",
      },
    },
    doing: ([name]) => `rotate the token of "${name}"`,
    run: async ({ options, positionals: [name], portal }) => {
      const grace = options.grace === undefined
        ? 0
        : Math.ceil(parseDuration(options.grace, "`--grace`") / 1000);
      const made = await portal<Made>("POST", ["tokens", "rotate"], {
        name,
        grace,
        ...(options.role && { role: options.role }),
      });
      if (options.json) return printJson(made);
      for (const { id, endsAt } of made.replaced) {
        console.error(`Token ${id} ${grace === 0 ? "is revoked." : `ends at ${timeText(endsAt)} UTC.`}`);
      }
      if (made.replaced.length === 0) {
        console.error(
          "It had no token that was made here; one of the policy file stays good until it is changed there.",
        );
      }
      printToken(made);
    },
  }),
  socketVerb({
    words: ["token", "revoke"],
    summary: "End a token; the devices that use it are out at once",
    positionals: [{ name: "ID", help: "As `token list` shows it." }],
    options: {},
    doing: ([id]) => `revoke token ${id}`,
    run: async ({ options, positionals: [id], portal }) => {
      await portal("DELETE", ["tokens", id!]);
      options.json ? printJson({}) : console.log(`Token ${id} is revoked.`);
    },
  }),
  socketVerb({
    words: ["session", "list"],
    summary: "List who is signed in, on which device",
    positionals: [],
    options: {},
    doing: () => "list the sessions",
    run: async ({ options, portal }) => {
      const sessions = await portal<TokenView[]>("GET", ["sessions"]);
      if (options.json) return printJson(sessions);
      const rows = sessions.map((one) => [
        one.id,
        ownerText(one),
        one.provider ?? "",
        ...times(one),
        one.devices.join(", "),
      ]);
      print(["ID", "USER", "SIGNED IN BY", "SINCE (UTC)", "EXPIRES", "DEVICES"], rows);
    },
  }),
  socketVerb({
    words: ["session", "revoke"],
    summary: "Sign a device out, or all devices of a user",
    positionals: [{ name: "WHICH", help: "Id of a session, or name of a user." }],
    options: {},
    doing: ([which]) => `end session ${which}`,
    run: async ({ options, positionals: [which], portal }) => {
      const { revoked } = await portal<{ revoked: string[] }>("DELETE", ["sessions", which!]);
      if (options.json) return printJson({ revoked });
      for (const id of revoked) console.log(`Session ${id} is over.`);
    },
  }),
  socketVerb({
    words: ["device", "list"],
    summary: "List every device that ever connected",
    positionals: [],
    options: {},
    doing: () => "list the devices",
    run: async ({ options, portal }) => {
      const devices = await portal<DeviceView[]>("GET", ["devices"]);
      if (options.json) return printJson(devices);
      const rows = devices.map((one) => [
        one.id,
        one.role,
        one.owner,
        one.name,
        one.ipv4,
        one.ipv6,
        one.verified ? "yes" : "",
        one.session ? `since ${timeText(one.session.since)}` : "",
        one.session?.remoteIp ?? "",
        one.session?.version ?? "",
      ]);
      print(
        ["ID", "ROLE", "OF", "NAME", "IPV4", "IPV6", "VERIFIED", "ONLINE (UTC)", "FROM", "VERSION"],
        rows,
      );
    },
  }),
  socketVerb({
    words: ["device", "verify"],
    summary: "Say that you have looked at a client's machine, for policies that ask for that",
    positionals: [{ name: "ID", help: "As `device list` shows it." }],
    options: { off: { flag: "off", kind: "switch", help: "Take it back." } },
    doing: ([id]) => `verify device ${id}`,
    run: async ({ options, positionals: [id], portal }) => {
      await portal("PATCH", ["devices", id!], { verified: !options.off });
      options.json
        ? printJson({})
        : console.log(`Device ${id} is ${options.off ? "not verified any more" : "verified"}.`);
    },
  }),
  socketVerb({
    words: ["device", "remove"],
    summary: "Forget a device: its addresses are free; with a good token it may come back as a new one",
    positionals: [{ name: "ID", help: "As `device list` shows it." }],
    options: {},
    doing: ([id]) => `remove device ${id}`,
    run: async ({ options, positionals: [id], portal }) => {
      await portal("DELETE", ["devices", id!]);
      options.json ? printJson({}) : console.log(`Device ${id} is forgotten.`);
    },
  }),
];

function ownerText({ owner, isOrphan }: TokenView): string {
  return isOrphan ? `${owner} (not in the policy)` : owner;
}

function times({ createdAt, expiresAt }: TokenView): [made: string, expires: string] {
  return [timeText(createdAt), expiresAt >= FAR_FUTURE ? "never" : timeText(expiresAt)];
}

function print(heading: readonly string[], rows: readonly (readonly string[])[]): void {
  for (const line of tableLines(heading, rows)) console.log(line);
}
