/** Shape of the policy file. Unknown keys are errors: a misspelt `filter` must not open a resource. */
import * as v from "valibot";
import { parseIp, SocketAddress } from "../../../packet/address.ts";
import type { Filter } from "../../../portal/types.ts";
import { parseUuid } from "../../../portal/uuid.ts";
import { isPasswordHash } from "../sign_in/password.ts";
import { decodeBase32 } from "./base32.ts";
import { conditionsSchema } from "./condition_schema.ts";
import { parsed } from "./parsed.ts";

// deno-lint-ignore no-control-regex
const CONTROL = /[\x00-\x1f\x7f]/;

const name = v.pipe(
  v.string(),
  v.trim(),
  v.check(
    (text) => text.length >= 1 && text.length <= 255 && !CONTROL.test(text),
    "it must have 1 to 255 printable characters",
  ),
);
const token = v.pipe(
  v.string(),
  v.check(
    (text) => /^[\x21-\x7e]{16,}$/.test(text),
    "a token has at least 16 ASCII characters and no spaces",
  ),
);
const path = v.pipe(v.string(), v.minLength(1, "it must name a file"));
const id = parsed(parseUuid, "it is not a UUID");
const names = v.array(name);

/** `1.1.1.1` or `1.1.1.1:5353`, `2606:4700::1111` or `[2606:4700::1111]:53`. */
const resolver = parsed((text) => {
  const bytes = parseIp(text);
  return bytes ? SocketAddress.fromBytes(bytes, 53) : SocketAddress.parse(text);
}, "it is not an IP address, with or without a port");

const ipv4 = parsed((text) => parseIp(text)?.length === 4 ? text : undefined, "it is not an IPv4 address");
const ipv6 = parsed((text) => parseIp(text)?.length === 16 ? text : undefined, "it is not an IPv6 address");

const filter = parsed(parseFilter, 'it is not one of "icmp", "tcp", "udp", "tcp/443", "udp/8000-8100"');

/** `icmp`, `tcp`, `udp`, `tcp/443`, `udp/8000-8100` */
export function parseFilter(text: string): Filter | undefined {
  if (text === "icmp") return { protocol: "icmp" };
  const match = /^(tcp|udp)(?:\/(\d{1,5})(?:\s*-\s*(\d{1,5}))?)?$/.exec(text);
  if (!match) return undefined;
  const portStart = Number(match[2] ?? 0);
  const portEnd = Number(match[3] ?? match[2] ?? 65535);
  if (portEnd > 65535 || portStart > portEnd) return undefined;
  return { protocol: match[1] as "tcp" | "udp", portStart, portEnd };
}

const DATE = /^\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d))?$/;

/** A TOML date, or its text as in an object that a verb made: Unix seconds. */
const expires = v.pipe(
  v.unknown(),
  v.rawTransform<unknown, number>(({ dataset: { value }, addIssue, NEVER }) => {
    const time = value instanceof Date
      ? value.getTime()
      : typeof value === "string" && DATE.test(value)
      ? Date.parse(value)
      : NaN;
    if (Number.isFinite(time)) return Math.floor(time / 1000);
    addIssue({ message: "it is not a date: write 2027-01-31T00:00:00Z, without quotes" });
    return NEVER;
  }),
);

const UNITS: Readonly<Record<string, number>> = { m: 60, h: 3600, d: 86_400, w: 7 * 86_400 };
const MAX_SESSION = 366 * 86_400;

/** `10h`, `7d`: seconds, from a minute to a year. */
const session = parsed((text) => {
  const match = /^(\d{1,6})\s*([mhdw])$/.exec(text.trim());
  const seconds = match ? Number(match[1]) * UNITS[match[2]!]! : 0;
  return seconds >= 60 && seconds <= MAX_SESSION ? seconds : undefined;
}, "it is no duration from 1m to 366d: write 10h or 7d");

/** 80 bits are the least that authenticator apps are given; RFC 4226 recommends 160. */
const totpSecret = parsed((text) => {
  const bytes = decodeBase32(text);
  return bytes && bytes.length >= 10 ? bytes : undefined;
}, "it is no base32 text of at least 16 characters");

const passwordHash = v.pipe(
  v.string(),
  v.check(isPasswordHash, "it is no scrypt hash: make one with `postern portal hash-password`"),
);

/** People sign in at `/{slug}`, where these are already. */
const RESERVED_SLUGS: readonly string[] = ["admin", "healthz"];

const entries = <T extends v.GenericSchema>(entry: T) => v.optional(v.array(entry), []);

export const policySchema = v.strictObject({
  account: v.optional(
    v.strictObject({
      slug: v.optional(
        v.pipe(
          v.string(),
          v.regex(/^[a-z0-9_-]{1,64}$/, "use a-z, 0-9, _ and -"),
          v.check((slug) => !RESERVED_SLUGS.includes(slug), "the portal has a page of its own there"),
        ),
        "postern",
      ),
      dns: v.optional(v.array(resolver), []),
      search_domain: v.optional(v.pipe(v.string(), v.regex(/^[A-Za-z0-9.-]{1,253}$/, "it is not a domain"))),
    }),
    {},
  ),
  site: entries(v.strictObject({ name, id: v.optional(id) })),
  gateway: entries(v.strictObject({
    name,
    site: v.optional(name),
    token: v.optional(token),
    token_file: v.optional(path),
  })),
  client: entries(v.strictObject({
    name,
    groups: v.optional(names, []),
    token: v.optional(token),
    token_file: v.optional(path),
    expires: v.optional(expires),
  })),
  user: entries(v.strictObject({
    name,
    display_name: v.optional(name),
    email: v.optional(v.pipe(v.string(), v.regex(/^[^\s@]+@[^\s@]+$/, "it is no mail address"))),
    groups: v.optional(names, []),
    password_hash: v.optional(passwordHash),
    password_hash_file: v.optional(path),
    totp_secret: v.optional(totpSecret),
    totp_secret_file: v.optional(path),
    admin: v.optional(v.boolean(), false),
    session: v.optional(session, "7d"),
    expires: v.optional(expires),
  })),
  resource: entries(v.strictObject({
    name,
    address: v.string(),
    allow: v.optional(names),
    id: v.optional(id),
    site: v.optional(name),
    sites: v.optional(names),
    filters: v.optional(v.array(filter), []),
    description: v.optional(v.string()),
    ip_stack: v.optional(v.picklist(["dual", "ipv4_only", "ipv6_only"]), "dual"),
  })),
  policy: entries(v.strictObject({
    name,
    resource: name,
    allow: names,
    conditions: v.optional(conditionsSchema, {}),
  })),
  relay: entries(v.strictObject({
    name: v.optional(name),
    ipv4: v.optional(ipv4),
    ipv6: v.optional(ipv6),
    port: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(65535))),
    secret: v.optional(v.pipe(v.string(), v.minLength(16, "a secret has at least 16 characters"))),
    secret_file: v.optional(path),
    token: v.optional(token),
    token_file: v.optional(path),
  })),
});

export type PolicyDocument = v.InferOutput<typeof policySchema>;
/** One entry of a list: `Entry<"client">`. */
export type Entry<K extends Exclude<keyof PolicyDocument, "account">> = PolicyDocument[K][number];

/** Both are kept in files as texts, and so read by the parser of the policy. */
export const passwordHashSchema = passwordHash;
export const totpSecretSchema = totpSecret;
export const tokenSchema = token;
