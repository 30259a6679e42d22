/** The options of `add` and `set` by kind of object, and the documents that they make. */
import { dateText } from "../../../embedded/portal/policy/description.ts";
import type { ObjectKind } from "../../../embedded/portal/policy/objects.ts";
import { UsageError } from "../../errors.ts";
import type { OptionSpec, OptionTable } from "../../options.ts";
import { parseExpiry, parseList } from "./verb.ts";

interface ObjectOption {
  /** In the document: `["conditions", "time"]`. */
  readonly key: readonly string[];
  readonly spec: OptionSpec;
  /** Undefined: the text itself. */
  readonly parse?: (text: string) => unknown;
}

const text = (flag: string, value: string, help: string, key = flag.replaceAll("-", "_")): ObjectOption => ({
  key: [key],
  spec: { flag, kind: "text", value, help },
});

const list = (
  flag: string,
  value: string,
  help: string,
  key = [flag.replaceAll("-", "_")],
): ObjectOption => ({
  key,
  spec: { flag, kind: "text", value, help: `${help}, separated by commas.` },
  parse: (given) => parseList(given),
});

const flag = (flag: string, help: string, key = [flag]): ObjectOption => ({
  key,
  spec: { flag, kind: "switch", help },
});

const ID = text(
  "id",
  "uuid",
  "Keeps devices' ideas of it when it gets another name; made of the name when absent.",
);
const GROUPS = list("groups", "names", "Groups, as policies name them");
const ALLOW = list("allow", "names", "Clients, users and groups that may use it, or everyone");
const EXPIRES: ObjectOption = {
  ...text("expires", "time", "When all its sessions end: 2027-01-31, or 30d."),
  parse: (given) => dateText(parseExpiry(given, "`--expires`")),
};

export const OBJECT_OPTIONS: Readonly<Record<ObjectKind, readonly ObjectOption[]>> = {
  site: [ID],
  gateway: [text("site", "name", "The site that it serves; the only one when absent.")],
  client: [GROUPS, EXPIRES],
  user: [
    text("display-name", "name", "What the person is called."),
    text("email", "address", "Mail address."),
    GROUPS,
    flag("admin", "May use the admin pages."),
    text("session", "duration", "How long a sign-in lasts: 10h, 7d (the default)."),
    EXPIRES,
  ],
  resource: [
    text("address", "address", "Network, address, domain pattern or `internet`."),
    list("sites", "names", "Sites whose gateways reach it; the only one when absent"),
    ALLOW,
    list("filters", "filters", "What passes, such as tcp/443,udp/8000-8100,icmp; everything when absent"),
    text("description", "text", "Shown by clients."),
    ID,
    text("ip-stack", "stack", "dual, ipv4_only or ipv6_only."),
  ],
  policy: [
    text("resource", "name", "The resource that it is about."),
    ALLOW,
    ...["remote-ip-in", "remote-ip-not-in"].map((name) =>
      list(name, "networks", "Condition: networks that the device connects from", [
        "conditions",
        name.replaceAll("-", "_"),
      ])
    ),
    ...["region-in", "region-not-in"].map((name) =>
      list(name, "codes", "Condition: countries such as DE", ["conditions", name.replaceAll("-", "_")])
    ),
    ...["provider-in", "provider-not-in"].map((name) =>
      list(name, "names", "Condition: by whom the user was signed in", [
        "conditions",
        name.replaceAll("-", "_"),
      ])
    ),
    flag("verified", "Condition: the device was verified.", ["conditions", "verified"]),
    {
      key: ["conditions", "time"],
      spec: {
        flag: "time",
        kind: "text",
        value: "times",
        help: "Condition: times such as `mon-fri 09:00-17:00 Europe/Berlin`, separated by semicolons.",
      },
      parse: (given) => parseList(given, ";"),
    },
  ],
};

export function optionTable(kind: ObjectKind): OptionTable {
  return Object.fromEntries(OBJECT_OPTIONS[kind].map(({ spec }) => [spec.flag, spec]));
}

type Document = Record<string, unknown>;

/** The keys that were given, and null for those to be removed. */
export function documentOf(
  kind: ObjectKind,
  values: Readonly<Record<string, string | boolean | undefined>>,
  unset: readonly string[] = [],
): Document {
  const document: Document = {};
  for (const { key, spec, parse } of OBJECT_OPTIONS[kind]) {
    const given = values[spec.flag];
    if (given === undefined || given === false) continue;
    put(document, key, typeof given === "string" && parse ? parse(given) : given);
  }
  for (const name of unset) {
    const option = OBJECT_OPTIONS[kind].find(({ spec }) => spec.flag === name.replace(/^--/, ""));
    if (!option) {
      const known = OBJECT_OPTIONS[kind].map(({ spec }) => spec.flag).join(", ") || "none";
      throw new UsageError(`\`--unset\` has \`${name}\`, but only these can be: ${known}.`);
    }
    put(document, option.key, null);
  }
  return document;
}

/** A key is one of the document, or of a table in it. */
function put(document: Document, [first, second]: readonly string[], value: unknown): void {
  if (second === undefined) document[first!] = value;
  else document[first!] = { ...document[first!] as Document | undefined, [second]: value };
}
