/**
 * Clients of a gateway that is gone are made to ask for another one of the site.
 *
 * The portal can't see tunnels: a gateway that lost only its link to the portal serves on, and whoever is moved away
 * from it loses his TCP connections for nothing. So what counts is how it went:
 *
 * - It said goodbye (close code 1000): it is shutting down, its clients move at once.
 * - Its connection broke: a killed process looks like that, and so does a hiccup. Devices of every generation try again
 *   at once or within half a second, then at growing intervals: after 8 s one that is alive and has a network has tried
 *   four times at least, and 12 of the 20 seconds that a change of gateway may take are left for the change itself.
 * - It is merely silent: its host may be gone without a word. One that sends heartbeats every 10 s has missed one by
 *   far after 14 s. (Of older ones, which send one every 30 s, nobody can know before the idle timeout; their clients
 *   notice by themselves that nothing comes back, ask again, and get another gateway.) But when others are late, too,
 *   it is the portal that doesn't hear.
 *
 * Only a gateway that stayed connected all the while is a reason to be quick: when all went together, the trouble was
 * the portal's own (its network, its restart), and whoever comes back waits for the others as long as the longest pause
 * between two attempts takes. Without another gateway nobody is moved.
 */
import type { Id } from "../../../portal/types.ts";
import { refreshRevoked, revoke, type Revoked } from "./client_updates.ts";
import type { Connection } from "./connection.ts";
import type { Grant } from "./grants.ts";
import { isCompatible } from "./selection.ts";
import { Silence } from "./silence.ts";
import type { PortalState } from "./state.ts";

/** After a connection broke, and another gateway of the site kept its own. */
export const RECONNECT_GRACE = 8_000;
/** After another gateway came back from an outage that had taken all of them. */
export const OUTAGE_GRACE = 120_000;

interface Absence {
  since: number;
  readonly how: Departure;
}

/** It said goodbye, its connection broke, or it was heard no more. */
export type Departure = "goodbye" | "broken" | "silent";

export class Failover {
  readonly #state: PortalState;
  readonly #absent = new Map<Id, Absence>();
  readonly #silence: Silence;

  /** Gateways with grants of an earlier run are absent from now on. */
  constructor(state: PortalState, now: number) {
    this.#state = state;
    this.#silence = new Silence(state);
    for (const id of state.grants.gatewayIds()) this.#absent.set(id, { since: now, how: "broken" });
  }

  handleLeft(gateway: Connection, how: Departure, now: number): void {
    const { id } = gateway.device;
    if (this.#state.online.gateway(id) !== undefined) return; // A newer connection has taken its place.
    this.#absent.set(id, { since: now, how });
    if (how === "goodbye") this.handleTimeout(now);
  }

  /** Before it is told what is granted. Another process than before knows nothing of what was granted to that. */
  handleJoining(gateway: Connection): void {
    const { device, admission } = gateway;
    this.#absent.delete(device.id);
    const revoked: Revoked = new Map();
    for (const grant of this.#state.grants.ofGateway(device.id)) {
      if (grant.gatewayKey !== admission.publicKey) revoke(this.#state, grant, revoked);
    }
    refreshRevoked(this.#state, revoked);
  }

  handleStandstill(milliseconds: number): void {
    for (const absence of this.#absent.values()) absence.since += milliseconds;
  }

  handleTimeout(now: number): void {
    this.#silence.handleTimeout(now);
    const revoked: Revoked = new Map();
    for (const [id, absence] of this.#absent) {
      if (this.#state.grants.countOf(id) === 0) this.#absent.delete(id);
      else this.#move(id, absence, now, revoked);
    }
    for (const gateway of this.#state.online.gateways()) {
      if (!gateway.isSilent(now) || this.#state.grants.countOf(gateway.device.id) === 0) continue;
      this.#move(gateway.device.id, { since: gateway.lastHeard, how: "silent" }, now, revoked);
    }
    refreshRevoked(this.#state, revoked);
  }

  /** Takes back the grants that are better given through another gateway. */
  #move(gatewayId: Id, { since, how }: Absence, now: number, revoked: Revoked): void {
    if (how !== "goodbye" && now - since < RECONNECT_GRACE) return;
    if (how === "silent" && this.#silence.isOurs(now)) return;
    for (const grant of this.#state.grants.ofGateway(gatewayId)) {
      const client = this.#state.online.client(grant.clientId);
      if (client?.admission.publicKey !== grant.clientKey) continue; // Asks anew, if ever.
      const others = this.#alternatives(client, grant, now);
      const isBetter = (other: Connection) =>
        how === "goodbye" || other.joinedAt <= since || now - other.joinedAt >= OUTAGE_GRACE;
      if (others.some(isBetter)) revoke(this.#state, grant, revoked);
    }
  }

  #alternatives(client: Connection, grant: Grant, now: number): Connection[] {
    const siteIds = this.#state.index.resource(grant.resourceId)?.siteIds ?? [];
    return this.#state.online.gatewaysOf(siteIds).filter((other) =>
      other.device.id !== grant.gatewayId && !other.isSilent(now) && isCompatible(client, other)
    );
  }
}
