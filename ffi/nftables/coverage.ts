/**
 * Whether a rule that somebody else made already masquerades a range: then we add none of our own.
 *
 * Recognised is a rule that does so whatever interface the packet leaves through (or any but our TUN): an optional
 * family check, an optional source prefix that contains the range, then masquerade, as nft writes it or as iptables
 * does. A rule with any other condition covers only a part, and so does not count.
 */
import {
  type Chain,
  CMP_EQ,
  CMP_NEQ,
  type Expression,
  interfaceName,
  META_NFPROTO,
  META_OIFNAME,
  NF_INET_POST_ROUTING,
  NFPROTO_INET,
  NFPROTO_IPV4,
  NFPROTO_IPV6,
  PAYLOAD_NETWORK_HEADER,
  readBe32,
  readValue,
  type Rule,
} from "./messages.ts";
import { readText } from "../netlink/message.ts";
import type { Prefix } from "../netlink/route_messages.ts";

const SOURCE_OFFSET_IPV4 = 12, SOURCE_OFFSET_IPV6 = 8;

/** True when a base chain on postrouting with NAT has a rule that masquerades all of `range`. */
export function isMasqueraded(
  range: Prefix,
  tun: string,
  chains: readonly Chain[],
  rules: readonly Rule[],
): boolean {
  return rules.some((rule) =>
    chains.some((chain) =>
      chain.type === "nat" && chain.hook === NF_INET_POST_ROUTING && chain.family === rule.family &&
      chain.table === rule.table && chain.chain === rule.chain
    ) && covers(rule, range, tun)
  );
}

function covers(rule: Rule, range: Prefix, tun: string): boolean {
  const family = range.address.length === 4 ? NFPROTO_IPV4 : NFPROTO_IPV6;
  if (rule.family !== NFPROTO_INET && rule.family !== family) return false;
  let familyKnown = rule.family === family;
  let loaded: "family" | "output" | "source" | undefined;
  let bits: Uint8Array | undefined;
  for (const expression of rule.expressions) {
    const { name, data } = expression;
    if (name === "counter") continue;
    if (name === "masq") return true;
    if (name === "target") return readText(data.get(1)) === "MASQUERADE";
    if (name === "meta") {
      const key = readBe32(data.get(2));
      loaded = key === META_NFPROTO ? "family" : key === META_OIFNAME ? "output" : undefined;
    } else if (name === "payload") {
      loaded = familyKnown && loadsSource(expression, range) ? "source" : undefined;
      bits = undefined;
    } else if (name === "bitwise" && loaded === "source") {
      bits = readValue(data.get(4));
    } else if (name === "cmp") {
      const operator = readBe32(data.get(2)), value = readValue(data.get(3));
      if (!value) return false;
      if (loaded === "family" && operator === CMP_EQ && value[0] === family) familyKnown = true;
      else if (loaded === "output" && operator === CMP_NEQ && equal(value, interfaceName(tun))) continue;
      else if (loaded !== "source" || operator !== CMP_EQ || !contains(value, bits, range)) return false;
    } else {
      return false;
    }
    if (loaded === undefined) return false;
  }
  return false;
}

function loadsSource({ data }: Expression, range: Prefix): boolean {
  const offset = range.address.length === 4 ? SOURCE_OFFSET_IPV4 : SOURCE_OFFSET_IPV6;
  return readBe32(data.get(2)) === PAYLOAD_NETWORK_HEADER && readBe32(data.get(3)) === offset;
}

/** True when every address of `range` has `value` under the mask `bits` (none: all bits of the value's length). */
function contains(value: Uint8Array, bits: Uint8Array | undefined, range: Prefix): boolean {
  if (value.length > range.address.length || (bits && bits.length !== value.length)) return false;
  return value.every((byte, i) => {
    const care = bits ? bits[i]! : 0xff;
    const fixed = Math.max(0, Math.min(8, range.length - 8 * i));
    const known = 0xff00 >> fixed & 0xff;
    return (care & ~known) === 0 && (range.address[i]! & care) === byte;
  });
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
