/** What a policy demands of the moment, and until when it is met (spec portal §4.8). */
import { parseIp } from "../../../packet/address.ts";
import { cidrContains } from "../../../portal/cidr.ts";
import type { Condition } from "./policy.ts";
import { heldUntil } from "./time_ranges.ts";

/** Where and when somebody asks. */
export interface Circumstances {
  /** IP address that the device connected to the portal from. */
  readonly remoteIp: string;
  /** Two-letter country code that a trusted proxy named. */
  readonly region: string | undefined;
  /** By whom the actor was signed in; undefined for tokens of machines. */
  readonly providerId: string | undefined;
  readonly verified: boolean;
  /** Unix seconds. */
  readonly unixNow: number;
}

/**
 * What is not known (no region, no provider, no readable address) meets no condition, a negated one neither.
 * @returns Unix seconds of the first second at which it no longer holds (Infinity: no end in sight), undefined when it
 *   doesn't hold
 */
export function evaluate(condition: Condition, circumstances: Circumstances): number | undefined {
  if (condition.property === "current_utc_datetime") {
    return heldUntil(condition.ranges, circumstances.unixNow);
  }
  return holds(condition, circumstances) ? Infinity : undefined;
}

type Lasting = Exclude<Condition, { property: "current_utc_datetime" }>;

function holds(condition: Lasting, { remoteIp, region, providerId, verified }: Circumstances): boolean {
  switch (condition.property) {
    case "client_verified":
      return verified;
    case "remote_ip_location_region":
      return region !== undefined && condition.regions.includes(region.toUpperCase()) !== condition.negated;
    case "provider_id":
      return providerId !== undefined && condition.providers.includes(providerId) !== condition.negated;
    case "remote_ip": {
      const ip = plainIp(remoteIp);
      return ip !== undefined && condition.cidrs.some((cidr) => cidrContains(cidr, ip)) !== condition.negated;
    }
  }
}

/** An IPv4 address that arrives at an IPv6 socket (`::ffff:192.0.2.1`, RFC 4291 §2.5.5.2) is an IPv4 address. */
function plainIp(text: string): Uint8Array | undefined {
  const ip = parseIp(text.replace(/%.*$/, ""));
  const mapped = ip?.length === 16 && ip.subarray(0, 10).every((byte) => byte === 0) &&
    ip[10] === 0xff && ip[11] === 0xff;
  return mapped ? ip.subarray(12) : ip;
}
