/** What a policy demands of the moment, and until when it is met (spec portal §4.8). */
import type { Condition } from "./policy.ts";

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

/** @returns Unix seconds until which it holds (Infinity: no end in sight), undefined when it doesn't hold */
export function evaluate(condition: Condition, circumstances: Circumstances): number | undefined {
  return holds(condition, circumstances) ? Infinity : undefined;
}

function holds(condition: Condition, { region, providerId, verified }: Circumstances): boolean {
  switch (condition.property) {
    case "client_verified":
      return verified;
    case "remote_ip_location_region":
      return region !== undefined && condition.regions.includes(region) !== condition.negated;
    case "provider_id":
      return providerId !== undefined && condition.providers.includes(providerId) !== condition.negated;
    default:
      return false;
  }
}
