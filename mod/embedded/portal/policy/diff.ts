/** What a new policy changes: entries that come, go and change, and which devices lose what. */
import { accessTo } from "./access.ts";
import type { Circumstances } from "./conditions.ts";
import { describePolicy, ENTRY_KINDS, type EntryDescription, type EntryKind, Secret } from "./description.ts";
import { type ActorPolicy, names, type PortalPolicy } from "./policy.ts";

export interface PolicyChange {
  readonly kind: EntryKind;
  readonly name: string;
  readonly change: "added" | "removed" | "changed";
  /** `address: 10.0.0.0/8 → 10.1.0.0/16`; of secrets only that they changed. */
  readonly details: readonly string[];
}

/** A device that may not use these resources any more. */
export interface AccessLoss {
  /** Name of the client or user. */
  readonly actor: string;
  /** Name of the device; undefined: of all that it may have, as none is known. */
  readonly device: string | undefined;
  /** Names. */
  readonly resources: readonly string[];
}

export interface PolicyDiff {
  readonly changes: readonly PolicyChange[];
  readonly losses: readonly AccessLoss[];
}

/** A device of a client or user that has been seen. */
export interface KnownDevice {
  readonly name: string;
  /** Name of the client or user. */
  readonly owner: string;
  /** Where and how it is connected; undefined while it is not, so that conditions can't be judged. */
  readonly circumstances: Circumstances | undefined;
}

export function diffPolicies(
  old: PortalPolicy,
  next: PortalPolicy,
  devices: readonly KnownDevice[],
): PolicyDiff {
  const [before, after] = [describePolicy(old), describePolicy(next)];
  return {
    changes: ENTRY_KINDS.flatMap((kind) => changesOf(kind, before[kind], after[kind])),
    losses: losses(old, next, devices),
  };
}

/** One line for each change and loss, for logs and terminals. */
export function diffLines({ changes, losses }: PolicyDiff): string[] {
  const signs = { added: "+", removed: "-", changed: "~" };
  return [
    ...changes.map(({ kind, name, change, details }) =>
      `${signs[change]} ${kind} "${name}"${details.length > 0 ? `: ${details.join("; ")}` : ""}`
    ),
    ...losses.map(({ actor, device, resources }) =>
      `! "${actor}"${device === undefined ? "" : ` on "${device}"`} loses ${resources.join(", ")}`
    ),
  ];
}

function changesOf(
  kind: EntryKind,
  before: ReadonlyMap<string, EntryDescription>,
  after: ReadonlyMap<string, EntryDescription>,
): PolicyChange[] {
  const changes: PolicyChange[] = [];
  for (const [name, entry] of before) {
    const now = after.get(name);
    const details = now ? detailsOf(entry, now) : [];
    if (!now) changes.push({ kind, name, change: "removed", details });
    else if (details.length > 0) changes.push({ kind, name, change: "changed", details });
  }
  for (const [name, entry] of after) {
    if (before.has(name)) continue;
    const details = [...entry].filter(([key, value]) => key !== "id" && !(value instanceof Secret))
      .map(([key, value]) => `${key}: ${value}`);
    changes.push({ kind, name, change: "added", details });
  }
  return changes;
}

function detailsOf(before: EntryDescription, after: EntryDescription): string[] {
  const details: string[] = [];
  for (const key of new Set([...before.keys(), ...after.keys()])) {
    const [old, now] = [before.get(key), after.get(key)];
    if (old instanceof Secret || now instanceof Secret) {
      if (textOf(old) === textOf(now)) continue;
      details.push(`${key} ${old === undefined ? "added" : now === undefined ? "removed" : "changed"}`);
    } else if (old !== now) details.push(`${key}: ${old ?? "none"} → ${now ?? "none"}`);
  }
  return details;
}

function textOf(value: string | Secret | undefined): string | undefined {
  return value instanceof Secret ? value.value : value;
}

function losses(old: PortalPolicy, next: PortalPolicy, devices: readonly KnownDevice[]): AccessLoss[] {
  const actors = new Map(next.actors.map((actor) => [actor.name, actor]));
  const changed = old.resources.filter(({ id }) => rightsTo(id, old) !== rightsTo(id, next));
  const devicesOf = Map.groupBy(devices, ({ owner }) => owner);
  return old.actors.flatMap((actor) => {
    const now = actors.get(actor.name);
    const isSame = now !== undefined && now.expiresAt === actor.expiresAt &&
      now.groups.join("\n") === actor.groups.join("\n");
    const resources = isSame ? changed : old.resources;
    const seen = devicesOf.get(actor.name) ?? [{ name: undefined, circumstances: undefined }];
    return seen.flatMap(({ name, circumstances }) => {
      const lost = resources.filter(({ id }) =>
        mayUse(id, actor, old, circumstances) && !(now && mayUse(id, now, next, circumstances))
      );
      if (lost.length === 0) return [];
      return [{ actor: actor.name, device: name, resources: lost.map((one) => one.name) }];
    });
  });
}

/** Equal texts mean equal rights to a resource. */
function rightsTo(id: string, { resources, accessPolicies }: PortalPolicy): string {
  const exists = resources.some((one) => one.id === id);
  const rights = accessPolicies.filter(({ resourceId }) => resourceId === id)
    .map(({ allow, conditions }) => [allow, conditions]);
  return JSON.stringify([exists, rights]);
}

/** Without circumstances: whether it may in any. */
function mayUse(
  resourceId: string,
  actor: ActorPolicy,
  policy: PortalPolicy,
  circumstances: Circumstances | undefined,
): boolean {
  if (circumstances === undefined) {
    return policy.resources.some(({ id }) => id === resourceId) &&
      policy.accessPolicies.some((one) => one.resourceId === resourceId && names(one, actor));
  }
  if (actor.expiresAt <= circumstances.unixNow) return false;
  const access = accessTo(resourceId, actor, policy, circumstances);
  return access !== undefined && "policy" in access;
}
