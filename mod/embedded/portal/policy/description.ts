/**
 * A policy's entries in words: by kind and name, their keys and values as a person would write them. What is secret is
 * a {@link Secret}: it can be compared, not read.
 */
import type { Filter, Id } from "../../../portal/types.ts";
import {
  type ActorPolicy,
  type Condition,
  FAR_FUTURE,
  ownPolicyId,
  type PortalPolicy,
  targetText,
  type TimeRange,
} from "./policy.ts";

export const ENTRY_KINDS = [
  "account",
  "site",
  "gateway",
  "client",
  "user",
  "resource",
  "policy",
  "relay",
] as const;
export type EntryKind = typeof ENTRY_KINDS[number];

/** Something that is not shown. */
export class Secret {
  constructor(readonly value: string) {}
}

/** Keys without a value are left out. */
export type EntryDescription = ReadonlyMap<string, string | Secret>;

/** By kind, then by name. */
export function describePolicy(policy: PortalPolicy): Record<EntryKind, Map<string, EntryDescription>> {
  const sites = new Map(policy.sites.map(({ id, name }) => [id, name]));
  const resources = new Map(policy.resources.map(({ id, name }) => [id, name]));
  const siteNames = (ids: readonly Id[]) => ids.map((id) => sites.get(id) ?? id).join(", ");
  const { account } = policy;
  const own = new Map(
    policy.accessPolicies.filter((one) => one.id === ownPolicyId(one.resourceId)).map((
      one,
    ) => [one.resourceId, one]),
  );
  const actors = (kind: ActorPolicy["kind"]) =>
    new Map(policy.actors.filter((one) => one.kind === kind).map((one) => [one.name, describeActor(one)]));
  return {
    account: new Map([[
      account.slug,
      keys({ dns: account.dns.map(String).join(", "), search_domain: account.searchDomain }),
    ]]),
    site: new Map(policy.sites.map(({ name, id }) => [name, keys({ id })])),
    gateway: new Map(
      policy.gateways.map(({ name, siteId, token }) => [
        name,
        keys({ site: sites.get(siteId), token: secret(token) }),
      ]),
    ),
    client: actors("client"),
    user: actors("user"),
    resource: new Map(policy.resources.map((one) => [
      one.name,
      keys({
        address: targetText(one.target),
        site: siteNames(one.siteIds),
        allow: own.get(one.id)?.allow.join(", "),
        filters: one.filters.map(filterText).join(", "),
        description: one.description,
        ip_stack: one.ipStack === "dual" ? undefined : one.ipStack,
        id: one.id,
      }),
    ])),
    policy: new Map(
      policy.accessPolicies.filter((one) => own.get(one.resourceId) !== one).map((one) => [
        one.name,
        keys({
          resource: resources.get(one.resourceId),
          allow: one.allow.join(", "),
          conditions: one.conditions.map(conditionText).join("; "),
        }),
      ]),
    ),
    relay: new Map([
      ...policy.relays.map(({ v4, v6, stampSecret }) =>
        [
          [v4, v6].filter((address) => address !== undefined).map(String).join(" "),
          keys({ secret: secret(stampSecret) }),
        ] as const
      ),
      ...policy.relayTokens.map(({ name, token }) => [name, keys({ token: secret(token) })] as const),
    ]),
  };
}

function describeActor(actor: ActorPolicy): EntryDescription {
  const common = {
    groups: actor.groups.join(", "),
    expires: actor.expiresAt === FAR_FUTURE ? undefined : dateText(actor.expiresAt),
  };
  if (actor.kind === "client") return keys({ ...common, token: secret(actor.token) });
  return keys({
    display_name: actor.displayName,
    email: actor.email,
    ...common,
    admin: actor.admin ? "yes" : undefined,
    session: durationText(actor.sessionSeconds),
    password: secret(actor.passwordHash),
    totp: secret(actor.totpSecret?.toHex()),
  });
}

export function filterText(filter: Filter): string {
  if (filter.protocol === "icmp") return "icmp";
  const { protocol, portStart, portEnd } = filter;
  if (portStart === 0 && portEnd === 65535) return protocol;
  return `${protocol}/${portStart}${portEnd === portStart ? "" : `-${portEnd}`}`;
}

export function conditionText(condition: Condition): string {
  const not = "negated" in condition && condition.negated ? "not " : "";
  switch (condition.property) {
    case "remote_ip":
      return `address ${not}in ${condition.cidrs.map(({ text }) => text).join(", ")}`;
    case "remote_ip_location_region":
      return `region ${not}in ${condition.regions.join(", ")}`;
    case "provider_id":
      return `provider ${not}in ${condition.providers.join(", ")}`;
    case "client_verified":
      return "verified";
    case "current_utc_datetime":
      return `time ${timesText(condition.ranges)}`;
  }
}

const DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/** Days with the same times of one zone together: `mon,tue 09:00-17:00 UTC`. */
function timesText(ranges: readonly TimeRange[]): string {
  const byDay = new Map<string, string[]>();
  for (const { day, from, to, zone } of ranges) {
    const key = `${zone} ${day}`;
    byDay.set(key, [...byDay.get(key) ?? [], `${clockText(from)}-${clockText(to)}`]);
  }
  const byTimes = new Map<string, string[]>();
  for (const [key, times] of byDay) {
    const [zone, day] = key.split(" ");
    const text = `${times.join(",")} ${zone}`;
    byTimes.set(text, [...byTimes.get(text) ?? [], DAYS[Number(day)]!]);
  }
  return [...byTimes].map(([times, days]) => `${days.join(",")} ${times}`).join(", ");
}

function clockText(seconds: number): string {
  if (seconds === 86_399) return "24:00";
  const two = (value: number) => String(value).padStart(2, "0");
  const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  return `${two(h)}:${two(m)}${s === 0 ? "" : `:${two(s)}`}`;
}

/** Unix seconds as a date that a policy file takes. */
export function dateText(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replace(".000Z", "Z");
}

/** `7d`, `10h`, `90m`. */
export function durationText(seconds: number): string {
  for (const [unit, size] of [["d", 86_400], ["h", 3600], ["m", 60]] as const) {
    if (seconds % size === 0) return `${seconds / size}${unit}`;
  }
  return `${seconds}s`;
}

function secret(value: string | undefined): Secret | undefined {
  return value === undefined ? undefined : new Secret(value);
}

function keys(values: Readonly<Record<string, string | Secret | undefined>>): EntryDescription {
  const given = Object.entries(values).filter((entry): entry is [string, string | Secret] =>
    entry[1] !== undefined && entry[1] !== ""
  );
  return new Map(given);
}
