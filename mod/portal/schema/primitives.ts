/** Schemas of the wire's elementary values: ids, addresses, keys, times, candidates. */
import * as v from "valibot";
import { parseIp, SocketAddress } from "../../packet/address.ts";
import { parseCidr } from "../cidr.ts";
import { parseKey } from "../key.ts";
import { parseUuid } from "../uuid.ts";

/** A string that `parse` understands, as what it understands. */
function parsed<T>(what: string, parse: (text: string) => T | undefined) {
  return v.pipe(
    v.string(),
    v.rawTransform<string, T>(({ dataset, addIssue, NEVER }) => {
      const value = parse(dataset.value);
      if (value !== undefined) return value;
      addIssue({ message: `it is not ${what}` });
      return NEVER;
    }),
  );
}

export const uuid = parsed("a UUID", parseUuid);
export const key = parsed("a key of 32 bytes in base64", parseKey);
export const ipv4 = parsed("an IPv4 address", (text) => ofLength(parseIp(text), 4));
export const ipv6 = parsed("an IPv6 address", (text) => ofLength(parseIp(text), 16));
export const ip = parsed("an IP address", parseIp);
export const socketAddress = parsed("an IP address with a port", SocketAddress.parse);
export const cidr = parsed("a canonical network", parseCidr);

/** Whole Unix seconds. */
export const unixSeconds = v.pipe(
  v.number(),
  v.check((n) => Number.isSafeInteger(n) && n >= 0, "it is not a whole number of seconds"),
);
/** Null: never. The key itself must be there. */
export const expiry = v.nullable(unixSeconds);

export const port = v.pipe(
  v.number(),
  v.check((n) => Number.isInteger(n) && n >= 0 && n <= 65535, "it is not a port"),
);

/** Text of an ICE candidate; its grammar is the ICE agent's business. */
export const candidate = v.pipe(
  v.string(),
  v.check((text) => text.startsWith("candidate:") && text.length <= 512, "it is not a candidate"),
);

export const iceCredentials = v.pipe(
  v.object({ username: v.pipe(v.string(), v.minLength(1)), password: v.pipe(v.string(), v.minLength(1)) }),
  v.transform(({ username, password }) => ({ ufrag: username, password })),
);

export const tunnelInterface = v.object({ ipv4, ipv6 });

function ofLength<T extends Uint8Array>(bytes: T | undefined, length: number): T | undefined {
  return bytes?.length === length ? bytes : undefined;
}
