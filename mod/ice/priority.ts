/**
 * Candidate and pair priorities (RFC 8445 §5.1.2, §6.1.2.3) with Firezone's choice of numbers (snownet §2.5).
 *
 * `priority = type << 24 | localPreference << 8 | 255`. The type preference of a relay is 2, not 0. The local
 * preference starts at a value of the kind, so that it alone already orders the kinds, is one lower for IPv4, two
 * lower for each candidate of the same kind and family that was there before, and 1000 lower for a relay that was
 * reached over the other IP family than the address it gave us.
 */
import type { IpFamily } from "../packet/address.ts";

export type CandidateKind = "host" | "prflx" | "srflx" | "relay";

const TYPE_PREFERENCE: Readonly<Record<CandidateKind, number>> = {
  host: 126,
  prflx: 110,
  srflx: 100,
  relay: 2,
};
const LOCAL_PREFERENCE: Readonly<Record<CandidateKind, number>> = {
  host: 65535,
  prflx: 49151,
  srflx: 32767,
  relay: 16383,
};
const CROSS_FAMILY_PENALTY = 1000;

/** Local preference of a candidate that no agent has adopted yet: 65534 for IPv4, 65535 for IPv6. */
export function defaultLocalPreference(family: IpFamily): number {
  return family === 4 ? 65534 : 65535;
}

/** Local preference of a candidate in an agent; `siblings` counts those of the same kind and family before it. */
export function localPreference(
  kind: CandidateKind,
  family: IpFamily,
  siblings: number,
  crossFamily: boolean,
): number {
  const preference = LOCAL_PREFERENCE[kind] - (family === 4 ? 1 : 0) - 2 * siblings -
    (crossFamily ? CROSS_FAMILY_PENALTY : 0);
  return Math.max(preference, 0);
}

/** u32. */
export function candidatePriority(kind: CandidateKind, localPreference: number): number {
  return ((TYPE_PREFERENCE[kind] << 24) | (localPreference << 8) | 255) >>> 0;
}

/** u32: what the peer would give the candidate if it first learned it from a check, the PRIORITY attribute. */
export function peerReflexivePriority(priority: number): number {
  return ((TYPE_PREFERENCE.prflx << 24) | (priority & 0xffffff)) >>> 0;
}

/** u64: 2^32 * min + 2 * max + (controlling > controlled); the same number on both sides. */
export function pairPriority(controlling: number, controlled: number): bigint {
  const low = Math.min(controlling, controlled), high = Math.max(controlling, controlled);
  return (BigInt(low) << 32n) + 2n * BigInt(high) + (controlling > controlled ? 1n : 0n);
}
