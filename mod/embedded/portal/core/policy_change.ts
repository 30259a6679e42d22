/**
 * A new policy under running devices: who has to go, which grants end, and what each device is told
 * (spec portal §3.5, §4.8). Gateways hear first, so that a client never reaches what was just taken from it.
 */
import type { Connection } from "./connection.ts";
import type { PortalPolicy } from "../policy/policy.ts";
import { targetText } from "../policy/policy.ts";
import { refreshClient, revokeInvalid } from "./client_updates.ts";
import type { PolicyIndex } from "./policy_index.ts";
import { goneRelays } from "./relay_list.ts";
import type { PortalState } from "./state.ts";
import { gatewayInit } from "./views.ts";

export function changePolicy(state: PortalState, policy: PortalPolicy): void {
  const old = state.index;
  state.setPolicy(policy);
  dismiss(state);
  const revoked = revokeInvalid(state, state.grants.all());
  for (const gateway of state.online.gateways()) updateGateway(state, gateway, old);
  for (const client of state.online.clients()) refreshClient(state, client, revoked.get(client.device.id));
  updateAllRelays(state);
}

export function updateAllRelays(state: PortalState): void {
  for (const connection of state.online.all()) updateRelays(state, connection);
}

/** Pushes the difference between the relays that a device knows and those it should know. */
function updateRelays(state: PortalState, connection: Connection): void {
  const current = state.relaysOf(connection);
  const sent = connection.sentRelays;
  if (JSON.stringify(sent) === JSON.stringify(current)) return;
  connection.sentRelays = current;
  connection.push("relays_presence", { disconnected_ids: goneRelays(sent, current), connected: current });
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
  for (const relay of [...state.relaySockets.values()]) {
    if (state.tokenOf(relay)?.role === "relay") continue;
    state.relays.remove(relay);
    state.expel(relay, "its token was removed");
  }
}

function updateGateway(state: PortalState, gateway: Connection, old: PolicyIndex): void {
  const { account } = state.policy;
  if (account.slug !== old.policy.account.slug) {
    const grants = state.grants.ofGateway(gateway.device.id);
    gateway.push("init", gatewayInit(gateway.device, account, gateway.sentRelays, grants));
  }
  for (const resource of state.policy.resources) {
    if (!resource.siteIds.includes(gateway.device.owner)) continue;
    const before = old.resource(resource.id);
    if (!before || targetText(before.target) !== targetText(resource.target)) continue;
    const view = state.index.gatewayView(resource.id);
    if (view !== old.gatewayView(resource.id)) gateway.push("resource_updated", view);
  }
}
