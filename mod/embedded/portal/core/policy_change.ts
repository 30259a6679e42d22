/**
 * A new policy under running devices: who has to go, which grants end, and what each device is told
 * (spec portal §3.5, §4.8). Gateways hear first, so that a client never reaches what was just taken from it.
 */
import type { Id } from "../../../portal/types.ts";
import type { Connection } from "./connection.ts";
import { type PortalPolicy, targetText } from "../policy/policy.ts";
import { goneRelays } from "./relay_list.ts";
import type { PortalState } from "./state.ts";
import {
  clientInterface,
  clientResource,
  type ClientResourceView,
  gatewayInit,
  gatewayResource,
} from "./views.ts";

export function changePolicy(state: PortalState, policy: PortalPolicy): void {
  const old = state.policy;
  state.policy = policy;
  state.tokens.setPolicy(policy);
  dismiss(state);
  const revoked = revokeGrants(state);
  for (const gateway of joined(state, "gateway")) updateGateway(state, gateway, old);
  for (const client of joined(state, "client")) updateClient(state, client, revoked.get(client.device.id));
  for (const connection of state.connections.values()) updateRelays(state, connection);
}

/** Pushes the difference between the relays that a device knows and those it should know. */
export function updateRelays(state: PortalState, connection: Connection): void {
  if (!connection.joined) return;
  const current = state.relaysOf(connection);
  const sent = connection.sentRelays;
  if (JSON.stringify(sent) === JSON.stringify(current)) return;
  connection.sentRelays = current;
  connection.push("relays_presence", { disconnected_ids: goneRelays(sent, current), connected: current });
}

/** What a client is told of its resources, for the differences later. */
export function noteResources(state: PortalState, client: Connection): ClientResourceView[] {
  const views = state.resourcesOf(client).map((one) => clientResource(one, state.policy.sites));
  client.sentResources.clear();
  for (const view of views) client.sentResources.set(view.id, view);
  client.sentInterface = JSON.stringify(clientInterface(client.device, state.policy.account));
  return views;
}

function joined(state: PortalState, topic: "gateway" | "client"): Connection[] {
  return [...state.online.values()].filter((connection) => connection.topic === topic);
}

/** Closes the connections whose token is gone; those whose token means somebody else now come back as that. */
function dismiss(state: PortalState): void {
  for (const connection of [...state.connections.values()]) {
    const { tokenHash, role, owner } = connection.admission;
    const entry = role === "gateway" ? state.tokens.gateway(tokenHash) : state.tokens.actor(tokenHash);
    if (!entry) {
      state.expel(connection, "its token was removed");
      continue;
    }
    const now = "siteId" in entry ? entry.siteId : entry.name;
    if (now !== owner) state.close(connection, 1012, "moved");
  }
}

/** @returns the resources whose grants ended, by client */
function revokeGrants(state: PortalState): Map<Id, Set<Id>> {
  const revoked = new Map<Id, Set<Id>>();
  for (const grant of [...state.grants.all()]) {
    if (state.isValid(grant)) continue;
    state.revoke(grant);
    const ids = revoked.get(grant.clientId) ?? new Set();
    revoked.set(grant.clientId, ids.add(grant.resourceId));
  }
  return revoked;
}

function updateGateway(state: PortalState, gateway: Connection, old: PortalPolicy): void {
  const { account } = state.policy;
  if (account.slug !== old.account.slug) {
    const grants = state.grants.ofGateway(gateway.device.id);
    gateway.push("init", gatewayInit(gateway.device, account, gateway.sentRelays, grants));
  }
  for (const resource of state.policy.resources) {
    if (!resource.siteIds.includes(gateway.device.owner)) continue;
    const before = old.resources.find((one) => one.id === resource.id);
    if (!before || targetText(before.target) !== targetText(resource.target)) continue;
    const view = gatewayResource(resource);
    if (JSON.stringify(gatewayResource(before)) !== JSON.stringify(view)) {
      gateway.push("resource_updated", view);
    }
  }
}

function updateClient(state: PortalState, client: Connection, revoked: ReadonlySet<Id> = new Set()): void {
  const before = new Map(client.sentResources);
  const { sentInterface } = client;
  const after = noteResources(state, client);
  const view = clientInterface(client.device, state.policy.account);
  if (sentInterface !== JSON.stringify(view)) client.push("config_changed", { interface: view });
  for (const id of before.keys()) if (!client.sentResources.has(id)) client.push("resource_deleted", id);
  for (const resource of after) {
    const known = before.get(resource.id);
    const changed = JSON.stringify(known) !== JSON.stringify(resource);
    if (!changed && !revoked.has(resource.id)) continue;
    // Older clients can't change sites in place, and no client notices by itself that a grant is gone.
    if (known && (revoked.has(resource.id) || identity(known) !== identity(resource))) {
      client.push("resource_deleted", resource.id);
    }
    client.push("resource_created_or_updated", resource);
  }
}

/** What a client can't change in place: kind, address and set of sites. */
function identity(view: ClientResourceView): string {
  const address = "address" in view ? view.address : "";
  return JSON.stringify([view.type, address, view.gateway_groups.map((site) => site.id)]);
}
