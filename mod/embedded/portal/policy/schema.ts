/** Shape of the policy file. Unknown keys are errors: a misspelt `filter` must not open a resource. */
import * as v from "valibot";
import { parseIp, SocketAddress } from "../../../packet/address.ts";
import type { Filter } from "../../../portal/types.ts";
import { parseUuid } from "../../../portal/uuid.ts";

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

const expires = v.pipe(
  v.date("it is not a date: write 2027-01-31T00:00:00Z, without quotes"),
  v.transform((date) => Math.floor(date.getTime() / 1000)),
);

export const policySchema = v.strictObject({
  account: v.optional(
    v.strictObject({
      slug: v.optional(v.pipe(v.string(), v.regex(/^[a-z0-9_-]{1,64}$/, "use a-z, 0-9, _ and -")), "postern"),
      dns: v.optional(v.array(resolver), []),
      search_domain: v.optional(v.pipe(v.string(), v.regex(/^[A-Za-z0-9.-]{1,253}$/, "it is not a domain"))),
    }),
    {},
  ),
  site: v.optional(v.array(v.strictObject({ name, id: v.optional(id) })), []),
  gateway: v.optional(
    v.array(
      v.strictObject({
        name,
        site: v.optional(name),
        token: v.optional(token),
        token_file: v.optional(path),
      }),
    ),
    [],
  ),
  client: v.optional(
    v.array(v.strictObject({
      name,
      groups: v.optional(names, []),
      token: v.optional(token),
      token_file: v.optional(path),
      expires: v.optional(expires),
    })),
    [],
  ),
  resource: v.optional(
    v.array(v.strictObject({
      name,
      address: v.string(),
      allow: names,
      id: v.optional(id),
      site: v.optional(name),
      sites: v.optional(names),
      filters: v.optional(v.array(filter), []),
      description: v.optional(v.string()),
      ip_stack: v.optional(v.picklist(["dual", "ipv4_only", "ipv6_only"]), "dual"),
    })),
    [],
  ),
  relay: v.optional(
    v.array(v.strictObject({
      ipv4: v.optional(ipv4),
      ipv6: v.optional(ipv6),
      port: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(65535)), 3478),
      secret: v.optional(v.pipe(v.string(), v.minLength(16, "a secret has at least 16 characters"))),
      secret_file: v.optional(path),
    })),
    [],
  ),
});

export type PolicyDocument = v.InferOutput<typeof policySchema>;

function parsed<T>(parse: (text: string) => T | undefined, message: string) {
  return v.pipe(
    v.string(),
    v.rawTransform<string, T>(({ dataset, addIssue, NEVER }) => {
      const value = parse(dataset.value);
      if (value !== undefined) return value;
      addIssue({ message });
      return NEVER;
    }),
  );
}
