/** A policy's `conditions` in the file: a table whose keys must all hold. */
import * as v from "valibot";
import { toCidr } from "../../../portal/cidr.ts";
import type { Cidr } from "../../../portal/types.ts";
import type { Condition, TimeRange } from "./policy.ts";
import { parsed } from "./parsed.ts";
import { parseTimes } from "./time_text.ts";

const network = parsed(ipv4OfMapped, "it is neither a network nor an address");
const region = parsed(
  (text) => /^[A-Za-z]{2}$/.test(text) ? text.toUpperCase() : undefined,
  "it is no country: write two letters such as DE",
);
const provider = v.pipe(v.string(), v.minLength(1, "it is empty"));
const times = v.pipe(
  v.string(),
  v.rawTransform<string, readonly TimeRange[]>(({ dataset, addIssue, NEVER }) => {
    const ranges = parseTimes(dataset.value);
    if (typeof ranges !== "string") return ranges;
    addIssue({ message: ranges });
    return NEVER;
  }),
);

const list = <T extends v.GenericSchema>(item: T) =>
  v.optional(v.pipe(v.array(item), v.minLength(1, "name at least one")));

export const conditionsSchema = v.pipe(
  v.strictObject({
    remote_ip_in: list(network),
    remote_ip_not_in: list(network),
    region_in: list(region),
    region_not_in: list(region),
    provider_in: list(provider),
    provider_not_in: list(provider),
    verified: v.optional(v.literal(true, "write true, or leave it out")),
    time: list(times),
  }),
  v.transform((table) => {
    const conditions: Condition[] = [];
    for (const negated of [false, true]) {
      const [cidrs, regions, providers] = negated
        ? [table.remote_ip_not_in, table.region_not_in, table.provider_not_in]
        : [table.remote_ip_in, table.region_in, table.provider_in];
      if (cidrs) conditions.push({ property: "remote_ip", negated, cidrs });
      if (regions) conditions.push({ property: "remote_ip_location_region", negated, regions });
      if (providers) conditions.push({ property: "provider_id", negated, providers });
    }
    if (table.verified) conditions.push({ property: "client_verified" });
    if (table.time) conditions.push({ property: "current_utc_datetime", ranges: table.time.flat() });
    return conditions;
  }),
);

/** Circumstances have IPv4 addresses plain; a network in the mapped notation means those. */
function ipv4OfMapped(text: string): Cidr | undefined {
  const cidr = toCidr(text.trim());
  const mapped = /^::ffff:/.test(cidr?.text ?? "") && cidr!.prefix >= 96;
  return mapped ? toCidr(`${cidr!.ip.subarray(12).join(".")}/${cidr!.prefix - 96}`) : cidr;
}
