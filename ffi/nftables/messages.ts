/**
 * nf_tables over nfnetlink (`<linux/netfilter/nf_tables.h>`): tables, chains, rules and the few expressions that
 * masquerading needs. Pure encoding. Integers inside attributes are big-endian; interface names are 16 bytes.
 *
 * A transaction is a batch: BEGIN, changes, END in one datagram; the kernel applies all of it or nothing.
 */
import {
  type Attribute,
  be32,
  encodeBody,
  listAttributes,
  nested,
  readText,
  text,
} from "../netlink/message.ts";
import {
  type NetlinkMessage,
  NLM_F_ACK,
  NLM_F_APPEND,
  NLM_F_CREATE,
  NLM_F_EXCL,
  NLM_F_REQUEST,
} from "../netlink/message.ts";

export const NFPROTO_INET = 1, NFPROTO_IPV4 = 2, NFPROTO_IPV6 = 10;
export const NF_INET_FORWARD = 2, NF_INET_POST_ROUTING = 4;
/** NF_IP_PRI_NAT_SRC, `srcnat` in nft. */
export const PRIORITY_SRCNAT = 100;
export const NF_DROP = 0, NF_ACCEPT = 1;

const SUBSYSTEM = 10 << 8, NFNETLINK_HEADER_SIZE = 4, NFNL_SUBSYS_NFTABLES = 10;
const BATCH_BEGIN = 16, BATCH_END = 17;
const NEWTABLE = SUBSYSTEM | 0, DELTABLE = SUBSYSTEM | 2, NEWCHAIN = SUBSYSTEM | 3;
const NEWRULE = SUBSYSTEM | 6, DELRULE = SUBSYSTEM | 8;
export const NFT_MSG_GETCHAIN = SUBSYSTEM | 4, NFT_MSG_GETRULE = SUBSYSTEM | 7;

const TABLE_NAME = 1, TABLE_FLAGS = 2, TABLE_F_OWNER = 2;
const CHAIN_TABLE = 1, CHAIN_NAME = 3, CHAIN_HOOK = 4, CHAIN_POLICY = 5, CHAIN_TYPE = 7;
const HOOK_NUMBER = 1, HOOK_PRIORITY = 2;
const RULE_TABLE = 1, RULE_CHAIN = 2, RULE_HANDLE = 3, RULE_EXPRESSIONS = 4, RULE_USERDATA = 7;
const LIST_ELEMENT = 1, EXPRESSION_NAME = 1, EXPRESSION_DATA = 2;
const USERDATA_COMMENT = 0;

const REGISTER_1 = 1, REGISTER_VERDICT = 0;
export const META_OIFNAME = 7, META_IIFNAME = 6, META_NFPROTO = 15;
export const CMP_EQ = 0, CMP_NEQ = 1;
export const PAYLOAD_NETWORK_HEADER = 1;
const DATA_VALUE = 1, DATA_VERDICT = 2, VERDICT_CODE = 1;
const INTERFACE_NAME_SIZE = 16;

/** Family header of a message. */
function header(family: number, resource = 0): Uint8Array {
  return Uint8Array.of(family, 0, resource >> 8, resource & 255);
}

/** Wraps changes into an atomic batch in which each of them is acknowledged. */
export function batch(changes: readonly NetlinkMessage[]): NetlinkMessage[] {
  const edge = (type: number) => ({ type, flags: NLM_F_REQUEST, body: header(0, NFNL_SUBSYS_NFTABLES) });
  return [
    edge(BATCH_BEGIN),
    ...changes.map((change) => ({ ...change, flags: change.flags | NLM_F_REQUEST | NLM_F_ACK })),
    edge(BATCH_END),
  ];
}

/** @param owned The kernel removes the table when the creating socket closes (Linux 5.12). */
export function newTable(family: number, name: string, owned: boolean): NetlinkMessage {
  const attributes: Attribute[] = [{ type: TABLE_NAME, value: text(name) }];
  if (owned) attributes.push({ type: TABLE_FLAGS, value: be32(TABLE_F_OWNER) });
  return { type: NEWTABLE, flags: NLM_F_CREATE | NLM_F_EXCL, body: encodeBody(header(family), attributes) };
}

export function deleteTable(family: number, name: string): NetlinkMessage {
  return {
    type: DELTABLE,
    flags: 0,
    body: encodeBody(header(family), [{ type: TABLE_NAME, value: text(name) }]),
  };
}

/** A base chain of source NAT, policy accept. */
export function newPostroutingChain(family: number, table: string, name: string): NetlinkMessage {
  const hook = nested(CHAIN_HOOK, [
    { type: HOOK_NUMBER, value: be32(NF_INET_POST_ROUTING) },
    { type: HOOK_PRIORITY, value: be32(PRIORITY_SRCNAT) },
  ]);
  return {
    type: NEWCHAIN,
    flags: NLM_F_CREATE,
    body: encodeBody(header(family), [
      { type: CHAIN_TABLE, value: text(table) },
      { type: CHAIN_NAME, value: text(name) },
      hook,
      { type: CHAIN_POLICY, value: be32(NF_ACCEPT) },
      { type: CHAIN_TYPE, value: text("nat") },
    ]),
  };
}

export interface RulePlace {
  readonly family: number;
  readonly table: string;
  readonly chain: string;
}

/** @param append Behind the chain's other rules, else before them. */
export function newRule(
  { family, table, chain }: RulePlace,
  expressions: readonly Attribute[],
  comment: string,
  append: boolean,
): NetlinkMessage {
  const words = text(comment);
  return {
    type: NEWRULE,
    flags: NLM_F_CREATE | (append ? NLM_F_APPEND : 0),
    body: encodeBody(header(family), [
      { type: RULE_TABLE, value: text(table) },
      { type: RULE_CHAIN, value: text(chain) },
      nested(RULE_EXPRESSIONS, expressions),
      { type: RULE_USERDATA, value: Uint8Array.of(USERDATA_COMMENT, words.length, ...words) },
    ]),
  };
}

export function deleteRule({ family, table, chain }: RulePlace, handle: Uint8Array): NetlinkMessage {
  return {
    type: DELRULE,
    flags: 0,
    body: encodeBody(header(family), [
      { type: RULE_TABLE, value: text(table) },
      { type: RULE_CHAIN, value: text(chain) },
      { type: RULE_HANDLE, value: handle },
    ]),
  };
}

/** Body of a dump request of all families. */
export function dumpAll(): Uint8Array {
  return header(0);
}

// Expressions; each uses register 1.

function expression(name: string, data: readonly Attribute[]): Attribute {
  return nested(LIST_ELEMENT, [
    { type: EXPRESSION_NAME, value: text(name) },
    nested(EXPRESSION_DATA, data),
  ]);
}

export function loadMeta(key: number): Attribute {
  return expression("meta", [{ type: 1, value: be32(REGISTER_1) }, { type: 2, value: be32(key) }]);
}

export function loadPayload(base: number, offset: number, length: number): Attribute {
  return expression("payload", [
    { type: 1, value: be32(REGISTER_1) },
    { type: 2, value: be32(base) },
    { type: 3, value: be32(offset) },
    { type: 4, value: be32(length) },
  ]);
}

/** register &= mask */
export function mask(bits: Uint8Array): Attribute {
  return expression("bitwise", [
    { type: 1, value: be32(REGISTER_1) },
    { type: 2, value: be32(REGISTER_1) },
    { type: 3, value: be32(bits.length) },
    nested(4, [{ type: DATA_VALUE, value: bits }]),
    nested(5, [{ type: DATA_VALUE, value: new Uint8Array(bits.length) }]),
  ]);
}

export function compare(operator: number, value: Uint8Array): Attribute {
  return expression("cmp", [
    { type: 1, value: be32(REGISTER_1) },
    { type: 2, value: be32(operator) },
    nested(3, [{ type: DATA_VALUE, value }]),
  ]);
}

export function counter(): Attribute {
  return expression("counter", []);
}

export function masquerade(): Attribute {
  return expression("masq", []);
}

export function accept(): Attribute {
  const verdict = nested(DATA_VERDICT, [{ type: VERDICT_CODE, value: be32(NF_ACCEPT) }]);
  return expression("immediate", [{ type: 1, value: be32(REGISTER_VERDICT) }, nested(2, [verdict])]);
}

/** An interface name as `meta iifname` and `oifname` load it. */
export function interfaceName(name: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(INTERFACE_NAME_SIZE);
  bytes.set(new TextEncoder().encode(name).subarray(0, INTERFACE_NAME_SIZE - 1));
  return bytes;
}

// Answers

export interface Chain extends RulePlace {
  /** `nat`, `filter`, …; empty for a chain that hangs on no hook. */
  readonly type: string;
  readonly hook: number | undefined;
  readonly policy: number | undefined;
}

export interface Expression {
  readonly name: string;
  /** Raw attributes by type. */
  readonly data: ReadonlyMap<number, Uint8Array>;
}

export interface Rule extends RulePlace {
  readonly handle: Uint8Array;
  readonly expressions: readonly Expression[];
  readonly comment: string | undefined;
  readonly body: Uint8Array;
}

function attributesOf(bytes: Uint8Array, skip: number): Map<number, Uint8Array> {
  return new Map(listAttributes(bytes, skip).map(({ type, value }) => [type, value]));
}

/** A big-endian u32; undefined when it is none. */
export function readBe32(value: Uint8Array | undefined): number | undefined {
  if (value?.length !== 4) return undefined;
  return new DataView(value.buffer, value.byteOffset, 4).getUint32(0, false);
}

export function decodeChain(body: Uint8Array): Chain {
  const attributes = attributesOf(body, NFNETLINK_HEADER_SIZE);
  const hook = attributes.get(CHAIN_HOOK);
  return {
    family: body[0] ?? 0,
    table: readText(attributes.get(CHAIN_TABLE)) ?? "",
    chain: readText(attributes.get(CHAIN_NAME)) ?? "",
    type: readText(attributes.get(CHAIN_TYPE)) ?? "",
    hook: hook && readBe32(attributesOf(hook, 0).get(HOOK_NUMBER)),
    policy: readBe32(attributes.get(CHAIN_POLICY)),
  };
}

export function decodeRule(body: Uint8Array): Rule {
  const attributes = attributesOf(body, NFNETLINK_HEADER_SIZE);
  const userdata = attributes.get(RULE_USERDATA);
  return {
    family: body[0] ?? 0,
    table: readText(attributes.get(RULE_TABLE)) ?? "",
    chain: readText(attributes.get(RULE_CHAIN)) ?? "",
    handle: attributes.get(RULE_HANDLE) ?? new Uint8Array(8),
    expressions: listAttributes(attributes.get(RULE_EXPRESSIONS) ?? new Uint8Array()).map(({ value }) => {
      const parts = attributesOf(value, 0);
      return {
        name: readText(parts.get(EXPRESSION_NAME)) ?? "",
        data: attributesOf(parts.get(EXPRESSION_DATA) ?? new Uint8Array(), 0),
      };
    }),
    comment: userdata && userdata[0] === USERDATA_COMMENT ? readText(userdata.subarray(2)) : undefined,
    body,
  };
}

/** The bytes in a `cmp` or `bitwise` operand; undefined when it has none. */
export function readValue(operand: Uint8Array | undefined): Uint8Array | undefined {
  return operand && attributesOf(operand, 0).get(DATA_VALUE);
}
