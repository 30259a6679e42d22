/** The resolver's configuration of this host, resolv.conf(5): nameservers, search list, ndots. */
import { parseIp, SocketAddress } from "../packet/address.ts";

const DNS_PORT = 53;
const MAX_NDOTS = 15;

export interface ResolvConf {
  /** In the order of the file, each once. */
  readonly nameservers: readonly SocketAddress[];
  /** Suffixes without dots at their ends, in order. */
  readonly search: readonly string[];
  /** A name with this many dots is tried as it is before the suffixes are. */
  readonly ndots: number;
}

/** Lines that are not understood are skipped, as every resolver does. The last `search` or `domain` line counts. */
export function parseResolvConf(text: string): ResolvConf {
  const nameservers = new Map<string, SocketAddress>();
  let search: readonly string[] = [], ndots = 1;
  for (const line of text.split("\n")) {
    const [keyword, ...values] = line.replace(/[#;].*/, "").trim().split(/\s+/);
    if (keyword === "nameserver") {
      const bytes = parseIp((values[0] ?? "").replace(/%.*/, ""));
      if (!bytes) continue;
      const address = SocketAddress.fromBytes(bytes, DNS_PORT);
      nameservers.set(address.key, address);
    } else if (keyword === "search" || keyword === "domain") {
      const suffixes = keyword === "domain" ? values.slice(0, 1) : values;
      search = suffixes.map((suffix) => suffix.replace(/^\.+|\.+$/g, "").toLowerCase())
        .filter((suffix) => suffix !== "");
    } else if (keyword === "options") {
      const stated = values.map((value) => /^ndots:(\d+)$/.exec(value)?.[1]).findLast((n) => n !== undefined);
      if (stated !== undefined) ndots = Math.min(Number(stated), MAX_NDOTS);
    }
  }
  return { nameservers: [...nameservers.values()], search, ndots };
}

/** The names to ask for, in order: search suffixes apply when a name does not exist as it stands. */
export function candidateNames(name: string, { search, ndots }: ResolvConf): string[] {
  const dots = name.split(".").length - 1;
  const suffixed = search.map((suffix) => `${name}.${suffix}`).filter((candidate) => candidate.length <= 253);
  return dots >= ndots ? [name, ...suffixed] : [...suffixed, name];
}
