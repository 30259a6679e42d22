/**
 * rtnetlink requests and answers (rtnetlink(7)): links, addresses, routes and rules. Pure encoding.
 *
 * Fixed headers, host order:
 * - ifinfomsg: u8 family, u8 -, u16 type, i32 index, u32 flags, u32 change mask
 * - ifaddrmsg: u8 family, u8 prefix length, u8 flags, u8 scope, u32 index
 * - rtmsg: u8 family, u8 dst length, u8 src length, u8 tos, u8 table, u8 protocol, u8 scope, u8 type, u32 flags
 * - fib_rule_hdr: u8 family, dst length, src length, tos, table, -, -, action, u32 flags
 */
import {
  type Attribute,
  decodeAttributes,
  encodeBody,
  nested,
  readNumber,
  readText,
  text,
  u32,
  u8,
} from "./message.ts";
import { AF_INET, AF_INET6 } from "../libc.ts";
import { formatIp, type IpFamily, parseIp } from "../../mod/packet/address.ts";

export const RTM_NEWLINK = 16, RTM_DELLINK = 17, RTM_GETLINK = 18;
export const RTM_NEWADDR = 20, RTM_DELADDR = 21, RTM_GETADDR = 22;
export const RTM_NEWROUTE = 24, RTM_DELROUTE = 25, RTM_GETROUTE = 26;
export const RTM_NEWRULE = 32, RTM_DELRULE = 33, RTM_GETRULE = 34;

const IFINFO_SIZE = 16, IFADDR_SIZE = 8, RTMSG_SIZE = 12, RULE_SIZE = 12;
const IFLA_IFNAME = 3, IFLA_MTU = 4, IFLA_TXQLEN = 13, IFLA_AF_SPEC = 26, IFLA_GSO_MAX_SIZE = 41;
const IFLA_INET6_ADDR_GEN_MODE = 8, IN6_ADDR_GEN_MODE_NONE = 1;
const IFF_UP = 1;
const IFA_ADDRESS = 1, IFA_LOCAL = 2;
const RTA_DST = 1, RTA_OIF = 4, RTA_PREFSRC = 7, RTA_TABLE = 15;
const RTPROT_KERNEL = 2, RTPROT_STATIC = 4, RTN_UNICAST = 1;
const FRA_IIFNAME = 3, FRA_OIFNAME = 17, FRA_FWMARK = 10, FRA_TABLE = 15, FRA_FWMASK = 16, FRA_PROTOCOL = 21;
const FIB_RULE_INVERT = 2, FR_ACT_TO_TBL = 1;

/** An address with a prefix length: `100.64.0.0/11`. */
export interface Prefix {
  /** 4 or 16 bytes, network order. */
  readonly address: Uint8Array;
  readonly length: number;
}

/** From `1.2.3.0/24`, or a bare address (its whole length). Throws a RangeError when it is neither. */
export function parsePrefix(textual: string): Prefix {
  const match = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(textual);
  const address = match ? parseIp(match[1]!) : undefined;
  const length = match?.[2] === undefined ? (address?.length ?? 0) * 8 : Number(match[2]);
  if (!address || length > address.length * 8) {
    throw new RangeError(
      `Cannot read ${JSON.stringify(textual)} as an IP prefix. Write it like 192.0.2.0/24.`,
    );
  }
  return { address, length };
}

export function formatPrefix({ address, length }: Prefix): string {
  return `${formatIp(address)}/${length}`;
}

export interface Link {
  readonly index: number;
  readonly name: string;
  readonly mtu: number;
  readonly up: boolean;
  readonly txQueueLength: number;
  readonly gsoMaxSize: number;
}

export interface LinkChange {
  readonly mtu?: number;
  readonly up?: boolean;
  /** Packets. */
  readonly txQueueLength?: number;
  /** Longest super-packet that the kernel hands to the device, in bytes. */
  readonly gsoMaxSize?: number;
  /** False: no link-local address appears by itself (address generation mode "none"). */
  readonly linkLocal?: false;
}

export interface Route {
  readonly destination: Prefix;
  /** Interface index. */
  readonly link: number;
  readonly table: number;
}

/** `not fwmark MARK lookup TABLE protocol kernel`. */
export interface UnmarkedRule {
  readonly family: IpFamily;
  readonly mark: number;
  readonly table: number;
}

export function encodeGetLink(name: string): Uint8Array {
  return encodeBody(new Uint8Array(IFINFO_SIZE), [{ type: IFLA_IFNAME, value: text(name) }]);
}

/** Undefined when `body` is no link. */
export function decodeLink(body: Uint8Array): Link | undefined {
  if (body.length < IFINFO_SIZE) return undefined;
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  const attributes = decodeAttributes(body, IFINFO_SIZE);
  return {
    index: view.getInt32(4, true),
    name: readText(attributes.get(IFLA_IFNAME)) ?? "",
    mtu: readNumber(attributes.get(IFLA_MTU)) ?? 0,
    up: (view.getUint32(8, true) & IFF_UP) !== 0,
    txQueueLength: readNumber(attributes.get(IFLA_TXQLEN)) ?? 0,
    gsoMaxSize: readNumber(attributes.get(IFLA_GSO_MAX_SIZE)) ?? 0,
  };
}

export function encodeLinkChange(index: number, change: LinkChange): Uint8Array {
  const header = new Uint8Array(IFINFO_SIZE);
  const view = new DataView(header.buffer);
  view.setInt32(4, index, true);
  if (change.up !== undefined) {
    view.setUint32(8, change.up ? IFF_UP : 0, true);
    view.setUint32(12, IFF_UP, true);
  }
  const attributes: Attribute[] = [];
  if (change.mtu !== undefined) attributes.push({ type: IFLA_MTU, value: u32(change.mtu) });
  if (change.txQueueLength !== undefined) {
    attributes.push({ type: IFLA_TXQLEN, value: u32(change.txQueueLength) });
  }
  if (change.gsoMaxSize !== undefined) {
    attributes.push({ type: IFLA_GSO_MAX_SIZE, value: u32(change.gsoMaxSize) });
  }
  if (change.linkLocal === false) {
    const mode = { type: IFLA_INET6_ADDR_GEN_MODE, value: u8(IN6_ADDR_GEN_MODE_NONE) };
    attributes.push(nested(IFLA_AF_SPEC, [nested(AF_INET6, [mode])]));
  }
  return encodeBody(header, attributes);
}

export function encodeAddress(link: number, { address, length }: Prefix): Uint8Array {
  const header = new Uint8Array(IFADDR_SIZE);
  header[0] = family(address);
  header[1] = length;
  new DataView(header.buffer).setUint32(4, link, true);
  return encodeBody(header, [{ type: IFA_LOCAL, value: address }, { type: IFA_ADDRESS, value: address }]);
}

/** For a dump of every address. */
export function encodeGetAddresses(): Uint8Array {
  return new Uint8Array(IFADDR_SIZE);
}

/** Undefined when `body` is no IPv4 or IPv6 address. */
export function decodeAddress(body: Uint8Array): { link: number; prefix: Prefix } | undefined {
  if (body.length < IFADDR_SIZE) return undefined;
  const attributes = decodeAttributes(body, IFADDR_SIZE);
  const address = (attributes.get(IFA_LOCAL) ?? attributes.get(IFA_ADDRESS))?.slice();
  if (!address || (address.length !== 4 && address.length !== 16)) return undefined;
  const link = new DataView(body.buffer, body.byteOffset, body.byteLength).getUint32(4, true);
  return { link, prefix: { address, length: body[1]! } };
}

/** Protocol static, scope universe, no gateway. */
export function encodeRoute({ destination, link, table }: Route): Uint8Array {
  const header = new Uint8Array(RTMSG_SIZE);
  header[0] = family(destination.address);
  header[1] = destination.length;
  header[5] = RTPROT_STATIC;
  header[7] = RTN_UNICAST;
  return encodeBody(header, [
    { type: RTA_DST, value: destination.address },
    { type: RTA_OIF, value: u32(link) },
    { type: RTA_TABLE, value: u32(table) },
  ]);
}

/** For a dump of every route of a family. */
export function encodeGetRoutes(of: IpFamily): Uint8Array {
  const header = new Uint8Array(RTMSG_SIZE);
  header[0] = of === 4 ? AF_INET : AF_INET6;
  return header;
}

/** For the route that a packet to `destination` would take. */
export function encodeGetRouteTo(destination: Uint8Array): Uint8Array {
  const header = new Uint8Array(RTMSG_SIZE);
  header[0] = family(destination);
  header[1] = destination.length * 8;
  return encodeBody(header, [{ type: RTA_DST, value: destination }]);
}

/** The address that packets on this route come from; undefined when `body` doesn't say. */
export function decodeRouteSource(body: Uint8Array): Uint8Array | undefined {
  if (body.length < RTMSG_SIZE) return undefined;
  const source = decodeAttributes(body, RTMSG_SIZE).get(RTA_PREFSRC)?.slice();
  return source?.length === 4 || source?.length === 16 ? source : undefined;
}

/** Undefined when `body` is no route through an interface to a prefix. */
export function decodeRoute(body: Uint8Array): Route | undefined {
  if (body.length < RTMSG_SIZE) return undefined;
  const attributes = decodeAttributes(body, RTMSG_SIZE);
  const link = readNumber(attributes.get(RTA_OIF));
  const size = body[0] === AF_INET ? 4 : body[0] === AF_INET6 ? 16 : 0;
  const address = attributes.get(RTA_DST)?.slice() ?? new Uint8Array(size);
  if (link === undefined || size === 0 || address.length !== size) return undefined;
  return {
    destination: { address, length: body[1]! },
    link,
    table: readNumber(attributes.get(RTA_TABLE)) ?? body[4]!,
  };
}

export function encodeRule({ family: of, mark, table }: UnmarkedRule): Uint8Array {
  const header = new Uint8Array(RULE_SIZE);
  header[0] = of === 4 ? AF_INET : AF_INET6;
  header[7] = FR_ACT_TO_TBL;
  new DataView(header.buffer).setUint32(8, FIB_RULE_INVERT, true);
  return encodeBody(header, [
    { type: FRA_FWMARK, value: u32(mark) },
    { type: FRA_FWMASK, value: u32(0xffffffff) },
    { type: FRA_TABLE, value: u32(table) },
    { type: FRA_PROTOCOL, value: u8(RTPROT_KERNEL) },
  ]);
}

/** For a dump of every rule of a family. */
export function encodeGetRules(of: IpFamily): Uint8Array {
  const header = new Uint8Array(RULE_SIZE);
  header[0] = of === 4 ? AF_INET : AF_INET6;
  return header;
}

/** Undefined when `body` is a rule of another form. */
export function decodeRule(body: Uint8Array): UnmarkedRule | undefined {
  if (body.length < RULE_SIZE || body[7] !== FR_ACT_TO_TBL) return undefined;
  const flags = new DataView(body.buffer, body.byteOffset, body.byteLength).getUint32(8, true);
  const attributes = decodeAttributes(body, RULE_SIZE);
  const mark = readNumber(attributes.get(FRA_FWMARK)), mask = readNumber(attributes.get(FRA_FWMASK));
  const selective = body[1] !== 0 || body[2] !== 0 || attributes.has(FRA_IIFNAME) ||
    attributes.has(FRA_OIFNAME);
  if ((flags & FIB_RULE_INVERT) === 0 || mark === undefined || mask !== 0xffffffff || selective) {
    return undefined;
  }
  return {
    family: body[0] === AF_INET ? 4 : 6,
    mark,
    table: readNumber(attributes.get(FRA_TABLE)) ?? body[4]!,
  };
}

function family(address: Uint8Array): number {
  return address.length === 4 ? AF_INET : AF_INET6;
}
