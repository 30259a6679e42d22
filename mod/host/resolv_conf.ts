/** The nameservers of this host: the upstreams of the gateway's DNS for its site. */
import { parseIp } from "../packet/address.ts";

export const RESOLV_CONF = "/etc/resolv.conf";

export interface ResolvConf {
  /** IP addresses in order, as written but without a zone; at most one per line. */
  readonly nameservers: readonly string[];
}

/** resolv.conf(5). Lines that are not understood are skipped, as every resolver does. */
export function parseResolvConf(text: string): ResolvConf {
  const nameservers = text.split("\n")
    .map((line) => /^nameserver\s+([^\s#;%]+)/.exec(line)?.[1])
    .filter((address): address is string => address !== undefined && parseIp(address) !== undefined);
  return { nameservers };
}

/** @throws Error when the file cannot be read: the gateway does not start without its resolvers. */
export function readResolvConf(path = RESOLV_CONF): ResolvConf {
  try {
    return parseResolvConf(Deno.readTextFileSync(path));
  } catch (cause) {
    throw new Error(`Cannot read ${path}. It must exist; an empty one is fine.`, { cause });
  }
}
