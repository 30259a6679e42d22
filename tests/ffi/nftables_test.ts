import assert from "node:assert/strict";
import fc from "fast-check";
import { encodeBody, nested } from "../../ffi/netlink/message.ts";
import { parsePrefix, type Prefix } from "../../ffi/netlink/mod.ts";
import { isMasqueraded } from "../../ffi/nftables/coverage.ts";
import { masqueradeRule } from "../../ffi/nftables/masquerade.ts";
import {
  batch,
  type Chain,
  CMP_EQ,
  compare,
  counter,
  decodeChain,
  decodeRule,
  interfaceName,
  loadMeta,
  loadPayload,
  mask,
  masquerade,
  META_OIFNAME,
  newPostroutingChain,
  newRule,
  newTable,
  NFPROTO_INET,
  NFPROTO_IPV4,
  NFPROTO_IPV6,
  PAYLOAD_NETWORK_HEADER,
  type Rule,
} from "../../ffi/nftables/messages.ts";
import type { Attribute } from "../../ffi/netlink/message.ts";
import { namespaceTest } from "./namespace.ts";

const hex = (text: string) => Uint8Array.fromHex(text.replace(/[\s|]/g, ""));
const TUN = "tun-firezone";
const V4 = parsePrefix("100.64.0.0/11"), V6 = parsePrefix("fd00:2021:1111::/107");

Deno.test("a batch frames its changes, and every change is acknowledged", () => {
  const messages = batch([newTable(NFPROTO_INET, "t", true)]);
  assert.deepEqual(messages.map(({ type, flags }) => [type, flags]), [[16, 1], [0xa00, 0x605], [17, 1]]);
  assert.deepEqual(messages[0]!.body, hex("00 00 000a"));
  assert.deepEqual(messages[1]!.body, hex("01 00 0000 | 0600 0100 74000000 | 0800 0200 00000002"));
});

Deno.test("the chain is a base chain of source NAT after routing", () => {
  const { body } = newPostroutingChain(NFPROTO_INET, "t", "c");
  assert.deepEqual(
    body,
    hex(`01 00 0000 | 0600 0100 74000000 | 0600 0300 63000000
      | 1400 0480 | 0800 0100 00000004 | 0800 0200 00000064
      | 0800 0500 00000001 | 0800 0700 6e617400`),
  );
  assert.deepEqual(decodeChain(body), {
    family: NFPROTO_INET,
    table: "t",
    chain: "c",
    type: "nat",
    hook: 4,
    policy: 1,
  });
});

Deno.test("a masquerade rule has the expressions that nft writes, in order", () => {
  const rule = decodeRule(
    newRule({ family: NFPROTO_INET, table: "t", chain: "c" }, masqueradeRule(V4, TUN), "x", true).body,
  );
  assert.deepEqual(rule.expressions.map(({ name }) => name), [
    "meta",
    "cmp",
    "payload",
    "bitwise",
    "cmp",
    "meta",
    "cmp",
    "counter",
    "masq",
  ]);
  assert.deepEqual(rule.expressions[3]!.data.get(4), hex("0800 0100 ffe00000"));
  assert.deepEqual(rule.expressions[4]!.data.get(3), hex("0800 0100 64400000"));
  assert.equal(rule.comment, "x");
});

function coveredBy(
  range: Prefix,
  family: number,
  expressions: readonly Attribute[],
  chain: Partial<Chain> = {},
): boolean {
  const place = { family, table: "t", chain: "c" };
  const rule = decodeRule(newRule(place, expressions, "x", true).body);
  return isMasqueraded(range, TUN, [{ ...place, type: "nat", hook: 4, policy: 1, ...chain }], [rule]);
}

const source = (text: string): Attribute[] => {
  const { address, length } = parsePrefix(text);
  const v4 = address.length === 4;
  const bits = address.map((_, i) => 0xff00 >> Math.max(0, Math.min(8, length - 8 * i)) & 0xff);
  return [
    loadPayload(PAYLOAD_NETWORK_HEADER, v4 ? 12 : 8, address.length),
    mask(bits),
    compare(CMP_EQ, address),
  ];
};
/** iptables' own target, as iptables-nft writes it. */
const target = (name: string) =>
  nested(1, [
    { type: 1, value: new TextEncoder().encode("target\0") },
    nested(2, [{ type: 1, value: new TextEncoder().encode(name + "\0") }]),
  ]);

Deno.test("our own rules are recognised as covering their range, and no other", () => {
  assert.equal(coveredBy(V4, NFPROTO_INET, masqueradeRule(V4, TUN)), true);
  assert.equal(coveredBy(V6, NFPROTO_INET, masqueradeRule(V6, TUN)), true);
  assert.equal(coveredBy(V6, NFPROTO_INET, masqueradeRule(V4, TUN)), false);
  assert.equal(coveredBy(V4, NFPROTO_INET, masqueradeRule(V4, "eth0")), false, "not out of eth0");
});

Deno.test("a rule for a wider range, for everything, or by iptables covers; a narrower or other one does not", () => {
  const rule = (...expressions: Attribute[]) => coveredBy(V4, NFPROTO_IPV4, expressions);
  assert.equal(rule(...source("100.64.0.0/10"), masquerade()), true);
  assert.equal(rule(...source("100.64.0.0/11"), counter(), target("MASQUERADE")), true);
  assert.equal(rule(counter(), masquerade()), true);
  assert.equal(
    rule(loadPayload(PAYLOAD_NETWORK_HEADER, 12, 1), compare(CMP_EQ, hex("64")), masquerade()),
    true,
  );
  assert.equal(rule(...source("100.64.0.0/12"), masquerade()), false);
  assert.equal(rule(...source("100.96.0.0/11"), masquerade()), false);
  assert.equal(rule(...source("10.0.0.0/8"), masquerade()), false);
  assert.equal(rule(...source("100.64.0.0/10"), target("SNAT")), false);
  assert.equal(rule(...source("100.64.0.0/10")), false, "it does nothing");
});

Deno.test("a rule with any further condition covers only a part", () => {
  const only = (name: string) => [loadMeta(META_OIFNAME), compare(CMP_EQ, interfaceName(name))];
  assert.equal(coveredBy(V4, NFPROTO_IPV4, [...only("eth0"), masquerade()]), false);
  assert.equal(coveredBy(V4, NFPROTO_IPV4, [loadMeta(16), compare(CMP_EQ, hex("06")), masquerade()]), false);
  const destination = [loadPayload(PAYLOAD_NETWORK_HEADER, 16, 4), compare(CMP_EQ, hex("0a000001"))];
  assert.equal(coveredBy(V4, NFPROTO_IPV4, [...destination, masquerade()]), false);
});

Deno.test("only a chain that does NAT after routing counts, of the right family", () => {
  const all = [masquerade()];
  assert.equal(coveredBy(V4, NFPROTO_IPV4, all, { type: "filter" }), false);
  assert.equal(coveredBy(V4, NFPROTO_IPV4, all, { hook: 2 }), false);
  assert.equal(coveredBy(V4, NFPROTO_IPV4, all, { table: "other" }), false);
  assert.equal(coveredBy(V6, NFPROTO_IPV4, all), false);
  assert.equal(coveredBy(V6, NFPROTO_IPV6, all), true);
  assert.equal(coveredBy(V6, NFPROTO_INET, all), true);
  assert.equal(
    coveredBy(V4, NFPROTO_INET, [...source("100.64.0.0/10"), masquerade()]),
    false,
    "family unchecked",
  );
});

Deno.test("no bytes make a decoder throw", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.uint8Array({ maxLength: 60 }), (bytes, expression) => {
      decodeChain(bytes);
      decodeRule(bytes);
      const rules: Rule[] = [
        decodeRule(
          encodeBody(Uint8Array.of(1, 0, 0, 0), [nested(4, [nested(1, [{ type: 1, value: expression }])])]),
        ),
      ];
      isMasqueraded(V4, TUN, [{ ...rules[0]!, type: "nat", hook: 4, policy: 1 }], rules);
    }),
  );
});

namespaceTest("masquerading works on real packets, is never doubled, and is gone afterwards", "nftables");
