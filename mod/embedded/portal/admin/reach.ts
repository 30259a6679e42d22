/** Which resources an address or a name belongs to. */
import { parseIp } from "../../../packet/address.ts";
import { DomainPattern } from "../../../policy/domain_pattern.ts";
import { cidrContains } from "../../../portal/cidr.ts";
import type { ResourceTarget } from "../policy/policy.ts";

/** @param text an IP address or a name, as somebody typed it */
export function covers(target: ResourceTarget, text: string): boolean {
  const ip = parseIp(text);
  switch (target.type) {
    case "internet":
      return ip !== undefined;
    case "cidr":
      return ip !== undefined && cidrContains(target.cidr, ip);
    case "dns":
      return ip === undefined && new DomainPattern(target.pattern).matches(text.replace(/\.$/, ""));
  }
}
