/** Whether an actor may use a resource in these circumstances: the first policy whose conditions hold decides. */
import { type Circumstances, evaluate } from "./conditions.ts";
import { type AccessPolicy, type ActorPolicy, type Condition, names, type PortalPolicy } from "./policy.ts";
import type { Id } from "../../../portal/types.ts";

export type Access =
  /** Until Unix seconds `until`; Infinity: as long as the session. */
  | { readonly policy: AccessPolicy; readonly until: number }
  /** Some policy names the actor, but none of those is met: what they miss. */
  | { readonly violated: readonly Condition["property"][] };

/** Undefined when no policy at all gives the actor this resource. */
export function accessTo(
  resourceId: Id,
  actor: ActorPolicy,
  { accessPolicies }: Pick<PortalPolicy, "accessPolicies">,
  circumstances: Circumstances,
): Access | undefined {
  const violated = new Set<Condition["property"]>();
  let named = false;
  for (const policy of accessPolicies) {
    if (policy.resourceId !== resourceId || !names(policy, actor)) continue;
    named = true;
    let until = Infinity, met = true;
    for (const condition of policy.conditions) {
      const end = evaluate(condition, circumstances);
      if (end === undefined) {
        met = false;
        violated.add(condition.property);
      } else until = Math.min(until, end);
    }
    if (met) return { policy, until };
  }
  return named ? { violated: [...violated] } : undefined;
}
