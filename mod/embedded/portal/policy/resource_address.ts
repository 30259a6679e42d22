/**
 * What a resource's `address` means: `internet`, a network, a single address or a domain pattern, with the rules that
 * keep a resource from colliding with the tunnel's own addresses.
 */
import { parseIp } from "../../../packet/address.ts";
import { cidrContains, parseCidr, toCidr } from "../../../portal/cidr.ts";
import type { Cidr } from "../../../portal/types.ts";
import type { ResourceTarget } from "./policy.ts";

/** The ranges of tunnel addresses and of everything derived from them. */
const RESERVED = ["100.64.0.0/10", "fd00:2021:1111::/48"].map((text) => parseCidr(text)!);
/** `::ffff:0:0/96` (RFC 4291 §2.5.5.2). */
const MAPPED = parseCidr("::ffff:0:0/96")!;
const LOOPBACK = ["127.0.0.0/8", "::1/128"].map((text) => parseCidr(text)!);

/** The target, or a sentence's end that says what is wrong. */
export function parseTarget(text: string): ResourceTarget | string {
  if (text.toLowerCase() === "internet") return { type: "internet" };
  if (text.includes("/") || parseIp(text) !== undefined) return parseNetworkTarget(text);
  const pattern = toAscii(text.toLowerCase());
  return patternProblem(pattern) ?? { type: "dns", pattern };
}

function parseNetworkTarget(text: string): ResourceTarget | string {
  const cidr = toCidr(text);
  if (!cidr) return "is neither a network nor an address";
  if (cidr.prefix === 0) return 'covers everything; write "internet" for that';
  if (overlaps(MAPPED, cidr)) return "has IPv4 addresses in IPv6 notation; write them as IPv4";
  if (RESERVED.some((range) => overlaps(range, cidr))) return "overlaps the tunnel's own addresses";
  if (LOOPBACK.some((range) => overlaps(range, cidr))) return "overlaps the loopback addresses";
  return { type: "cidr", cidr };
}

function overlaps(a: Cidr, b: Cidr): boolean {
  return a.prefix <= b.prefix ? cidrContains(a, b.ip) : cidrContains(b, a.ip);
}

/** Queries have the labels of other scripts encoded (RFC 5891); one that can't be stays, and is refused. */
function toAscii(domain: string): string {
  return domain.split(".").map((label) => {
    // deno-lint-ignore no-control-regex
    if (/^[\x00-\x7f]*$|[*?]/.test(label)) return label;
    return URL.parse(`http://${label}.invalid`)?.hostname.replace(/\.invalid$/, "") ?? label;
  }).join(".");
}

function patternProblem(text: string): string | undefined {
  if (text.length > 253) return "is longer than 253 characters";
  const labels = text.split(".");
  const top = labels.at(-1)!;
  if (top === "localhost") return "is this host itself";
  if (labels.length < 2) return "is neither a network nor a domain with at least two labels";
  for (const label of labels) {
    if (label === "" || label.length > 63) return "has an empty label or one longer than 63 characters";
    if (label === "**") continue;
    if (label.includes("**")) return "has ** inside a label; it stands for whole labels only";
    if (!/^[a-z0-9_*?-]+$/.test(label)) return "has characters that no domain has";
  }
  if (/[*?]/.test(top)) return "has a wildcard in its top-level domain";
  if (/^\d+$/.test(top)) return "is neither an address nor a domain";
  if (isPublicTop(top) && labels.slice(0, -1).every((label) => /^[*?]+$/.test(label))) {
    return `covers all of .${top}; name a domain in it`;
  }
  return undefined;
}

/** Country codes and the old generic ones: what is under them belongs to everybody. */
function isPublicTop(label: string): boolean {
  return /^([a-z]{2}|com|net|org|edu|gov|mil|int|arpa|info|biz|name|pro|app|dev|cloud|online|xyz)$/.test(
    label,
  );
}
