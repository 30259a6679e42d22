/**
 * Whether a client gets a resource, and through which gateway (spec portal §3.7, §4.3).
 *
 * One that the client is connected to is preferred, else the one with the fewest grants, by lot among equals. A gateway
 * that is probably gone is only taken when there is no other. Version numbers exclude as little as possible: clients
 * from 1.4.0 on need a gateway from there on; older ones speak of connections instead of flows, which only gateways of
 * the old dialect understand.
 */
import type { Id } from "../../../portal/types.ts";
import type { AccessPolicy, ActorPolicy, Condition, ResourcePolicy } from "../policy/policy.ts";
import type { Version } from "./admission.ts";
import type { Connection } from "./connection.ts";
import type { PortalState } from "./state.ts";

const FLOW_VERSION: Version = [1, 4, 0];

export interface Selection {
  readonly actor: ActorPolicy;
  readonly policy: AccessPolicy;
  /** Unix seconds. */
  readonly expiresAt: number;
  readonly resource: ResourcePolicy;
  readonly gateway: Connection;
}

export interface Refusal {
  readonly reason: "not_found" | "forbidden" | "offline" | "version_mismatch";
  readonly violated: readonly Condition["property"][];
}

export interface SelectionOptions {
  /** In the order of preference. */
  readonly connectedGatewayIds: readonly Id[];
  /** The client asks for a connection, not for a flow. */
  readonly deprecated: boolean;
  readonly isDoubtful: (gateway: Connection) => boolean;
}

export function select(
  state: PortalState,
  client: Connection,
  resourceId: Id,
  options: SelectionOptions,
): Selection | Refusal {
  const actor = state.actorOf(client.device);
  const resource = state.index.resource(resourceId);
  const access = state.accessOf(client, resourceId);
  if (!actor || !resource || !access) return refusal("not_found");
  if ("violated" in access) return { reason: "forbidden", violated: access.violated };
  const online = state.online.gatewaysOf(resource.siteIds);
  if (online.length === 0) return refusal("offline");
  const compatible = online.filter((gateway) =>
    options.deprecated ? !gateway.isV2 : isCompatible(client, gateway)
  );
  if (compatible.length === 0) return refusal(client.isV2 ? "version_mismatch" : "not_found");
  const alive = compatible.filter((gateway) => !options.isDoubtful(gateway));
  const gateway = choose(state, alive.length > 0 ? alive : compatible, options.connectedGatewayIds);
  const expiresAt = Math.min(state.expiryOf(client), access.until);
  return { actor, policy: access.policy, expiresAt, resource, gateway };
}

/** True when a client's flows may go through a gateway. */
export function isCompatible(client: Connection, gateway: Connection): boolean {
  const [theirs, ours] = [client.admission.version, gateway.admission.version];
  if (!theirs || !ours || compare(theirs, FLOW_VERSION) < 0) return true;
  return compare(ours, FLOW_VERSION) >= 0;
}

function choose(
  state: PortalState,
  gateways: readonly Connection[],
  connectedIds: readonly Id[],
): Connection {
  for (const id of connectedIds) {
    const known = gateways.find((gateway) => gateway.device.id === id);
    if (known) return known;
  }
  const load = (gateway: Connection) => state.grants.countOf(gateway.device.id);
  const least = Math.min(...gateways.map(load));
  const best = gateways.filter((gateway) => load(gateway) === least);
  return best[state.random(1)[0]! % best.length]!;
}

function refusal(reason: Refusal["reason"]): Refusal {
  return { reason, violated: [] };
}

function compare(a: Version, b: Version): number {
  return a[0] - b[0] || a[1] - b[1] || a[2] - b[2];
}
