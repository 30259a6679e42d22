/** @jsxImportSource hono/jsx */
/** Who may use what, and why not: a policy's verdict in words. */
import { Expiry, Muted, Name, State } from "./components.tsx";
import { conditionText, VIOLATIONS } from "./words.ts";
import type { DeviceDetails } from "../core/device_details.ts";
import {
  type AccessPolicy,
  type ActorPolicy,
  EVERYONE,
  names,
  type ResourcePolicy,
} from "../policy/policy.ts";
import type { Snapshot } from "./snapshot.ts";
import type { View } from "./view.ts";

/** The policies that give an actor a resource, in the order in which they are tried. */
export function policiesFor(
  snapshot: Snapshot,
  actor: ActorPolicy,
  resource: ResourcePolicy,
): AccessPolicy[] {
  return snapshot.policy.accessPolicies.filter((policy) =>
    policy.resourceId === resource.id && names(policy, actor)
  );
}

/** `at once`, or what has to hold. */
export function Conditions({ policy }: { policy: AccessPolicy }) {
  if (policy.conditions.length === 0) return <>always</>;
  return <>only {policy.conditions.map(conditionText).join(", and ")}</>;
}

/** Names of actors and groups that a policy allows. */
export function Allowed({ view, policy }: { view: View; policy: AccessPolicy }) {
  if (policy.allow.length === 0) return <Muted>nobody</Muted>;
  return (
    <>
      {policy.allow.map((name, index) => (
        <>
          {index > 0 && ", "}
          {name === EVERYONE
            ? "everyone"
            : view.snapshot.actor(name)
            ? (
              <a href={`${view.base}/people/${encodeURIComponent(name)}`}>
                <Name text={name} />
              </a>
            )
            : (
              <>
                group <Name text={name} />
              </>
            )}
        </>
      ))}
    </>
  );
}

/** Whether a device may use a resource right now; for one that isn't there, on what it depends. */
export function Verdict({ view, device, resource }: {
  view: View;
  device: DeviceDetails;
  resource: ResourcePolicy;
}) {
  const { snapshot } = view;
  if (!device.session) {
    const actor = snapshot.actor(device.owner);
    const policies = actor ? policiesFor(snapshot, actor, resource) : [];
    if (policies.length === 0) return <State mood="bad">no: no policy gives it</State>;
    const free = policies.some(({ conditions }) => conditions.length === 0);
    return <State mood="idle">{free ? "yes, when online" : "when online and its conditions hold"}</State>;
  }
  const access = snapshot.access(device, resource.id);
  if (access === undefined) return <State mood="bad">no: no policy gives it</State>;
  if ("policy" in access) {
    const { until } = access;
    const online = resource.siteIds.some((id) =>
      snapshot.gateways().some(({ session, owner }) => session && owner === id)
    );
    return (
      <>
        <State mood={online ? "good" : "warn"}>yes{!online && ", but no gateway is online"}</State>
        {Number.isFinite(until) && (
          <Muted>
            {", ends "}
            <Expiry at={until} now={snapshot.unixNow} />
          </Muted>
        )}
      </>
    );
  }
  return <State mood="bad">no: {access.violated.map((property) => VIOLATIONS[property]).join("; ")}</State>;
}
