/**
 * Keeping a client's list of resources right (spec portal §4.8). No client notices that a grant is gone, and older ones
 * crash when a resource that they reach through one gateway is granted through another; both are served by taking the
 * resource away and giving it back ("flap"): the client then asks again with its next packet.
 */
import type { Id } from "../../../portal/types.ts";
import type { Connection } from "./connection.ts";
import type { Grant } from "./grants.ts";
import type { PortalState } from "./state.ts";
import { clientInterface, type ClientResourceView } from "./views.ts";

/** Resources by client: whose grants have ended. */
export type Revoked = Map<Id, Set<Id>>;

/** What a client is told of its resources, for the differences later. */
export function noteResources(state: PortalState, client: Connection): ClientResourceView[] {
  const views = state.resourcesOf(client).map(({ id }) => state.index.clientView(id)!);
  client.sentResources.clear();
  for (const view of views) client.sentResources.set(view.id, view);
  client.sentInterface = JSON.stringify(clientInterface(client.device, state.policy.account));
  return views;
}

/** Takes back those of the grants that no longer hold. */
export function revokeInvalid(state: PortalState, grants: Iterable<Grant>): Revoked {
  const revoked: Revoked = new Map();
  for (const grant of [...grants]) if (!state.isValid(grant)) revoke(state, grant, revoked);
  return revoked;
}

export function revoke(state: PortalState, grant: Grant, revoked: Revoked): void {
  state.revoke(grant);
  // Another process of the client never had it.
  if (state.online.client(grant.clientId)?.admission.publicKey !== grant.clientKey) return;
  const ids = revoked.get(grant.clientId);
  if (ids) ids.add(grant.resourceId);
  else revoked.set(grant.clientId, new Set([grant.resourceId]));
}

/** Tells the clients of revoked grants. */
export function refreshRevoked(state: PortalState, revoked: Revoked): void {
  for (const [clientId, ids] of revoked) {
    const client = state.online.client(clientId);
    if (client) refreshResources(state, client, ids, ids);
  }
}

/** Pushes what has changed about the right to use some resources; the resources themselves are as they were. */
export function refreshResources(
  state: PortalState,
  client: Connection,
  resourceIds: Iterable<Id>,
  revoked: ReadonlySet<Id> = new Set(),
): void {
  for (const id of resourceIds) {
    const had = client.sentResources.has(id), may = state.mayUse(client, id);
    const isRevoked = revoked.has(id);
    if (had && (!may || isRevoked)) client.push("resource_deleted", id);
    if (!may) client.sentResources.delete(id);
    else if (!had || isRevoked) {
      const view = state.index.clientView(id)!;
      client.sentResources.set(id, view);
      client.push("resource_created_or_updated", view);
    }
  }
}

/** Pushes the difference between what a client knows and what it should know. */
export function refreshClient(
  state: PortalState,
  client: Connection,
  revoked: ReadonlySet<Id> = new Set(),
): void {
  const before = new Map(client.sentResources);
  const { sentInterface } = client;
  const after = noteResources(state, client);
  if (sentInterface !== client.sentInterface) {
    client.push("config_changed", { interface: clientInterface(client.device, state.policy.account) });
  }
  for (const id of before.keys()) if (!client.sentResources.has(id)) client.push("resource_deleted", id);
  for (const view of after) {
    const known = before.get(view.id);
    const isRevoked = revoked.has(view.id);
    if (known === view && !isRevoked) continue;
    // Older clients can't change sites in place.
    if (known && (isRevoked || identity(known) !== identity(view))) client.push("resource_deleted", view.id);
    client.push("resource_created_or_updated", view);
  }
}

/** Makes a client forget a resource and learn it anew, so that it asks again. */
export function flap(state: PortalState, client: Connection, resourceId: Id): void {
  client.push("resource_deleted", resourceId);
  const view = client.sentResources.get(resourceId) ?? state.index.clientView(resourceId);
  client.push("resource_created_or_updated", view);
}

/** What a client can't change in place: kind, address and set of sites. */
function identity(view: ClientResourceView): string {
  const address = "address" in view ? view.address : "";
  return JSON.stringify([view.type, address, view.gateway_groups.map((site) => site.id)]);
}
