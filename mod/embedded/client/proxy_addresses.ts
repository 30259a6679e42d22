/** The addresses that stand for names of DNS resources, from 100.96.0.0/11 and fd00:2021:1111:8000::/107. */
import { formatIp, parseIp } from "../../packet/address.ts";
import type { DnsResourceName } from "../../runtime/messages.ts";

/** Where applications find DNS; its whole /24 stands for no names. */
export const DNS_SENTINEL = "100.100.111.1";
const PER_FAMILY = 4;
/** Both ranges have 21 variable bits. */
const RANGE_SIZE = 1 << 21;
const V4_BASE = 0x64600000;
const V6_BASE = [0xfd, 0x00, 0x20, 0x21, 0x11, 0x11, 0x80, 0x00, 0, 0, 0, 0];
const SENTINELS_BEGIN = 0x46f00, SENTINELS_END = 0x47000;

export class ProxyAddresses {
  readonly #byName = new Map<string, readonly string[]>();
  readonly #names = new Map<string, string>();
  #next = { 4: 1, 6: 1 };

  /** Four addresses for each family that the resource has; the same for ever. Undefined when there are no more. */
  of(name: string, ipStack: DnsResourceName["ipStack"]): readonly string[] | undefined {
    const key = `${ipStack} ${name}`;
    const known = this.#byName.get(key);
    if (known) return known;
    if (Math.max(this.#next[4], this.#next[6]) > RANGE_SIZE - 2 * PER_FAMILY) return undefined;
    const addresses = [
      ...(ipStack === "ipv6_only" ? [] : this.#take(4)),
      ...(ipStack === "ipv4_only" ? [] : this.#take(6)),
    ];
    this.#byName.set(key, addresses);
    for (const address of addresses) this.#names.set(reverseName(parseIp(address)!), name);
    return addresses;
  }

  /** The name behind a proxy address, given as the name that a PTR query asks for. */
  behind(reverse: string): string | undefined {
    return this.#names.get(reverse);
  }

  #take(family: 4 | 6): string[] {
    return Array.from({ length: PER_FAMILY }, () => {
      if (family === 4 && this.#next[4] === SENTINELS_BEGIN) this.#next[4] = SENTINELS_END;
      const number = this.#next[family]++;
      const word = family === 4 ? V4_BASE + number : number;
      const bytes = [word >>> 24, word >>> 16 & 255, word >>> 8 & 255, word & 255];
      return formatIp(Uint8Array.from(family === 4 ? bytes : [...V6_BASE, ...bytes]));
    });
  }
}

/** RFC 1035 §3.5, RFC 3596 §2.5. */
function reverseName(bytes: Uint8Array): string {
  if (bytes.length === 4) return `${[...bytes].reverse().join(".")}.in-addr.arpa`;
  const nibbles = [...bytes].flatMap((byte) => [byte >> 4, byte & 15]);
  return `${nibbles.reverse().map((nibble) => nibble.toString(16)).join(".")}.ip6.arpa`;
}
