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
const LOOPBACK = ["127.0.0.0/8", "::1/128"].map((text) => parseCidr(text)!);

/** The target, or a sentence's end that says what is wrong. */
export function parseTarget(text: string): ResourceTarget | string {
  if (text === "internet") return { type: "internet" };
  if (text.includes("/") || parseIp(text) !== undefined) return parseNetworkTarget(text);
  const problem = patternProblem(text);
  return problem ?? { type: "dns", pattern: text.toLowerCase() };
}

function parseNetworkTarget(text: string): ResourceTarget | string {
  const cidr = toCidr(text);
  if (!cidr) return "is neither a network nor an address";
  if (cidr.prefix === 0) return 'covers everything; write "internet" for that';
  if (RESERVED.some((range) => overlaps(range, cidr))) return "overlaps the tunnel's own addresses";
  if (LOOPBACK.some((range) => overlaps(range, cidr))) return "overlaps the loopback addresses";
  return { type: "cidr", cidr };
}

function overlaps(a: Cidr, b: Cidr): boolean {
  return a.prefix <= b.prefix ? cidrContains(a, b.ip) : cidrContains(b, a.ip);
}

function patternProblem(text: string): string | undefined {
  if (text.length > 253) return "is longer than 253 characters";
  const labels = text.split(".");
  if (text === "localhost" || labels.at(-1) === "localhost") return "is this host itself";
  if (labels.length < 2) return "is neither a network nor a domain with at least two labels";
  for (const label of labels) {
    if (label === "" || label.length > 63) return "has an empty label or one longer than 63 characters";
    if (label === "**") continue;
    if (label.includes("**")) return "has ** inside a label; it stands for whole labels only";
    if (!/^[\p{L}\p{N}_*?-]+$/u.test(label)) return "has characters that no domain has";
  }
  if (/[*?]/.test(labels.at(-1)!)) return "has a wildcard in its top-level domain";
  if (/^\d+$/.test(labels.at(-1)!)) return "is neither an address nor a domain";
  return undefined;
}
