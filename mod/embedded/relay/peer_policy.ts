/**
 * Which peers the relay sends to. A relay lends its network position to whoever holds a credential, so everything
 * that only that position can reach is refused: the host itself, its links, private networks, cloud metadata
 * (RFC 8656 §21.1.4). What an operator needs in spite of that is allowed by range.
 */
import { parseIp } from "../../packet/address.ts";

/** Special-purpose ranges (RFC 6890 and IANA's registries). The documentation ranges are left out: labs use them. */
const REFUSED = [
  "0.0.0.0/8",
  "10.0.0.0/8",
  "100.64.0.0/10",
  "127.0.0.0/8",
  "169.254.0.0/16",
  "172.16.0.0/12",
  "192.0.0.0/24",
  "192.88.99.0/24",
  "192.168.0.0/16",
  "198.18.0.0/15",
  "224.0.0.0/4",
  "240.0.0.0/4",
  // ::/96 holds unspecified, loopback and the IPv4-compatible addresses, ::ffff:0:0/96 the mapped ones
  "::/96",
  "::ffff:0:0/96",
  "64:ff9b:1::/48",
  "100::/64",
  "2001::/32",
  "2002::/16",
  "fc00::/7",
  "fe80::/10",
  "fec0::/10",
  "ff00::/8",
];
/** NAT64 (RFC 6052): the last four bytes are an IPv4 address, and that is what the packet reaches. */
const NAT64 = "64:ff9b::/96";

interface Range {
  readonly bytes: Uint8Array;
  readonly prefix: number;
}

export interface PeerPolicyOptions {
  /** Ranges (`10.0.0.0/8`, `fd00::/8`) or single addresses to allow although they are refused by default. */
  readonly allowed?: readonly string[];
  /** Ranges or addresses to refuse besides, such as the portal's own; stronger than `allowed`. */
  readonly refused?: readonly string[];
}

export class PeerPolicy {
  readonly #allowed: readonly Range[];
  readonly #refused: readonly Range[];

  /** Throws an Error that names the range which is none. */
  constructor(options: PeerPolicyOptions = {}) {
    this.#allowed = (options.allowed ?? []).map(parseRange);
    this.#refused = (options.refused ?? []).map(parseRange);
  }

  /** @param ip 4 or 16 bytes. */
  permits(ip: Uint8Array): boolean {
    if (this.permitsByName(ip)) return true;
    if (this.#refused.some((range) => contains(range, ip))) return false;
    if (contains(NAT64_RANGE, ip)) return this.permits(ip.subarray(12));
    return !REFUSED_RANGES.some((range) => contains(range, ip));
  }

  /** True when `ip` is in an allowed range, not merely in no refused one. */
  permitsByName(ip: Uint8Array): boolean {
    return this.#allowed.some((range) => contains(range, ip)) &&
      !this.#refused.some((range) => contains(range, ip));
  }
}

/** `address/prefix`, or an address alone. Throws an Error when it is neither. */
export function parseRange(text: string): Range {
  const [address, length, ...rest] = text.split("/");
  const bytes = parseIp(address!);
  const bits = bytes ? bytes.length * 8 : 0;
  const prefix = length === undefined ? bits : /^\d{1,3}$/.test(length) ? Number(length) : NaN;
  if (!bytes || rest.length > 0 || !(prefix <= bits)) {
    throw new Error(
      `Cannot use "${text}" as an address range: it is no IP address or CIDR. Write it like 10.0.0.0/8 or fd00::/8.`,
    );
  }
  return { bytes, prefix };
}

function contains(range: Range, ip: Uint8Array): boolean {
  if (range.bytes.length !== ip.length) return false;
  const whole = range.prefix >> 3, rest = range.prefix & 7;
  for (let i = 0; i < whole; i++) if (range.bytes[i] !== ip[i]) return false;
  return rest === 0 || ((range.bytes[whole]! ^ ip[whole]!) >> (8 - rest)) === 0;
}

const REFUSED_RANGES = REFUSED.map(parseRange);
const NAT64_RANGE = parseRange(NAT64);
