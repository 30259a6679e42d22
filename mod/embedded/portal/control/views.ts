/** What the control socket tells, as plain JSON: no secrets, no hashes of any. */
import type { DeviceDetails } from "../core/device_details.ts";
import type { TokenRecord } from "../core/tokens.ts";
import { describePolicy, ENTRY_KINDS, type EntryDescription, Secret } from "../policy/description.ts";
import { OBJECT_KINDS, type ObjectKind, type PolicyObject } from "../policy/objects.ts";
import type { PortalPolicy } from "../policy/policy.ts";
import type { Administration } from "./administration.ts";

export interface EntryView {
  readonly kind: ObjectKind;
  readonly name: string;
  /** Where it can be changed. */
  readonly madeBy: "file" | "verb";
  /** Keys and values as a person would write them; of secrets only that there is one. */
  readonly values: Readonly<Record<string, string>>;
}

export interface TokenView {
  readonly id: string;
  readonly role: "gateway" | "client";
  readonly owner: string;
  /** The policy has no such owner at the moment: the token works again when it comes back. */
  readonly isOrphan: boolean;
  /** Undefined: made by a verb. */
  readonly provider: string | undefined;
  /** Unix seconds. */
  readonly createdAt: number;
  readonly expiresAt: number;
  /** Names of the devices that are joined with it. */
  readonly devices: readonly string[];
}

export interface DeviceView extends Omit<DeviceDetails, "owner"> {
  /** Name of the site, or of the client or user. */
  readonly owner: string;
}

export interface StatusView {
  readonly version: string;
  readonly url: string;
  readonly policyFile: string;
  /** Undefined: nothing is kept. */
  readonly stateFile: string | undefined;
  /** Unix seconds. */
  readonly startedAt: number;
  readonly unixNow: number;
  readonly suspended: string | undefined;
  /** Number of entries by kind. */
  readonly entries: Readonly<Record<string, number>>;
  readonly online: { readonly gateways: number; readonly clients: number };
  readonly devices: number;
  readonly grants: number;
  readonly tokens: number;
}

export function entryViews(
  policy: PortalPolicy,
  objects: readonly PolicyObject[],
  kind: ObjectKind,
): EntryView[] {
  return [...describePolicy(policy)[kind]].map(([name, values]) => ({
    kind,
    name,
    madeBy: objects.some((one) => one.kind === kind && one.name === name) ? "verb" : "file",
    values: plain(values),
  }));
}

/** How many of each there are. */
export function entryCounts(policy: PortalPolicy): Record<string, number> {
  const description = describePolicy(policy);
  const kinds = ENTRY_KINDS.filter((kind) =>
    (OBJECT_KINDS as readonly string[]).includes(kind) || kind === "relay"
  );
  return Object.fromEntries(kinds.map((kind) => [kind, description[kind].size]));
}

function plain(values: EntryDescription): Record<string, string> {
  return Object.fromEntries(
    [...values].map(([key, value]) => [key, value instanceof Secret ? "(set)" : value]),
  );
}

export function tokenView(
  { id, role, owner, providerId, createdAt, expiresAt }: TokenRecord,
  policy: PortalPolicy,
  devices: readonly DeviceDetails[],
): TokenView {
  const owners: readonly { readonly name: string }[] = role === "gateway" ? policy.gateways : policy.actors;
  return {
    id,
    role,
    owner,
    isOrphan: !owners.some(({ name }) => name === owner),
    provider: providerId,
    createdAt,
    expiresAt,
    devices: devices.filter(({ session }) => session?.tokenId === id).map(({ name }) => name),
  };
}

export function deviceView(device: DeviceDetails, { sites }: PortalPolicy): DeviceView {
  const owner = device.role === "gateway"
    ? sites.find(({ id }) => id === device.owner)?.name ?? device.owner
    : device.owner;
  return { ...device, owner };
}

export function statusView(
  { portal, suspended }: Administration,
  about: Pick<StatusView, "version" | "url" | "policyFile" | "stateFile" | "startedAt">,
): StatusView {
  const online = portal.online();
  return {
    ...about,
    unixNow: portal.unixNow(),
    suspended,
    entries: entryCounts(portal.policy),
    online: {
      gateways: online.filter(({ role }) => role === "gateway").length,
      clients: online.filter(({ role }) => role === "client").length,
    },
    devices: portal.devices().length,
    grants: portal.grants().length,
    tokens: portal.tokens().length,
  };
}
