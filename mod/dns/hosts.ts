/** The static table of names, hosts(5): `address name alias …` per line. */
import { parseIp } from "../packet/address.ts";

/** Lower-case name to addresses of both families. */
export type Hosts = ReadonlyMap<string, readonly Uint8Array[]>;

/** Lines that are not understood are skipped. */
export function parseHosts(text: string): Hosts {
  const hosts = new Map<string, Uint8Array[]>();
  for (const line of text.split("\n")) {
    const [address, ...names] = line.replace(/#.*/, "").trim().split(/\s+/);
    const bytes = parseIp(address ?? "");
    if (!bytes) continue;
    for (const name of names) {
      const key = name.toLowerCase().replace(/\.$/, "");
      const known = hosts.get(key);
      if (known) known.push(bytes);
      else hosts.set(key, [bytes]);
    }
  }
  return hosts;
}
