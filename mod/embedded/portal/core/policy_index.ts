/**
 * A policy with the look-ups that every request needs, so that none of them reads the whole of it, and with the
 * resources' payloads, made once: whoever was told a view was told the current one exactly when it is the same object.
 */
import type { Id } from "../../../portal/types.ts";
import type { AccessPolicy, ActorPolicy, PortalPolicy, ResourcePolicy } from "../policy/policy.ts";
import {
  clientResource,
  type ClientResourceView,
  gatewayResource,
  type GatewayResourceView,
} from "./views.ts";

export class PolicyIndex {
  /** Resources about which the time decides. */
  readonly timedResourceIds: ReadonlySet<Id>;
  readonly #actors: ReadonlyMap<string, ActorPolicy>;
  readonly #resources: ReadonlyMap<Id, ResourcePolicy>;
  readonly #accessPolicies: ReadonlyMap<Id, AccessPolicy>;
  readonly #accessByResource = new Map<Id, AccessPolicy[]>();
  readonly #clientViews = new Map<Id, ClientResourceView>();
  readonly #gatewayViews = new Map<Id, GatewayResourceView>();

  /** @param previous its views are taken over where they say the same */
  constructor(readonly policy: PortalPolicy, previous?: PolicyIndex) {
    this.#actors = new Map(policy.actors.map((actor) => [actor.name, actor]));
    this.#resources = new Map(policy.resources.map((resource) => [resource.id, resource]));
    this.#accessPolicies = new Map(policy.accessPolicies.map((one) => [one.id, one]));
    const timed = policy.accessPolicies.filter(({ conditions }) =>
      conditions.some(({ property }) => property === "current_utc_datetime")
    );
    this.timedResourceIds = new Set(timed.map(({ resourceId }) => resourceId));
    for (const one of policy.accessPolicies) {
      const list = this.#accessByResource.get(one.resourceId);
      if (list) list.push(one);
      else this.#accessByResource.set(one.resourceId, [one]);
    }
    for (const resource of policy.resources) {
      const { id } = resource;
      const forClients = clientResource(resource, policy.sites), forGateways = gatewayResource(resource);
      this.#clientViews.set(id, keep(previous?.clientView(id), forClients));
      this.#gatewayViews.set(id, keep(previous?.gatewayView(id), forGateways));
    }
  }

  actor(name: string): ActorPolicy | undefined {
    return this.#actors.get(name);
  }

  resource(id: Id): ResourcePolicy | undefined {
    return this.#resources.get(id);
  }

  accessPolicy(id: Id): AccessPolicy | undefined {
    return this.#accessPolicies.get(id);
  }

  /** Those about one resource, in the order in which they are tried. */
  accessTo(resourceId: Id): readonly AccessPolicy[] {
    return this.#accessByResource.get(resourceId) ?? [];
  }

  clientView(id: Id): ClientResourceView | undefined {
    return this.#clientViews.get(id);
  }

  gatewayView(id: Id): GatewayResourceView | undefined {
    return this.#gatewayViews.get(id);
  }
}

function keep<View>(old: View | undefined, view: View): View {
  return old !== undefined && JSON.stringify(old) === JSON.stringify(view) ? old : view;
}
