/**
 * What stock gateways and clients make of what the portal says, as far as it matters to the portal.
 *
 * A client that uses a resource asks for it every 2 s until it has it, doesn't notice that a grant is gone, and crashes
 * when a resource that it reaches through one gateway is granted through another (as those of 2025 do). A gateway keeps
 * what it was told and drops what `init` leaves out, what is rejected, and what has expired by its own clock.
 */
import assert from "node:assert/strict";
import { clientCodec } from "../../mod/portal/schema/client.ts";
import { gatewayCodec } from "../../mod/portal/schema/gateway.ts";
import type { ClientCommand, ClientEvent, GatewayCommand, GatewayEvent, Id } from "../../mod/portal/types.ts";
import { Device } from "./session_device.ts";
import type { Identity, SessionWorld } from "./session_world.ts";

const REQUEST_INTERVAL = 2_000;

export class StockGateway extends Device<GatewayEvent, GatewayCommand> {
  /** What each client may use, and until when (Unix seconds). */
  readonly access = new Map<Id, Map<Id, number | null>>();
  readonly candidates = new Map<Id, string[]>();
  /** Seconds by which its clock is wrong. */
  skew = 0;
  confirms = true;

  constructor(world: SessionWorld, identity: Identity) {
    super(world, { ...identity, role: "gateway" }, gatewayCodec(identity.dialect ?? "v1"));
  }

  lets(clientId: Id, resourceId: Id): boolean {
    const until = this.access.get(clientId)?.get(resourceId);
    return this.isAlive && until !== undefined && (until === null || until > this.world.unixNow + this.skew);
  }

  override handle(event: GatewayEvent): void {
    switch (event.type) {
      case "init": {
        if (event.init.authorizations === undefined) return;
        const listed = new Set(event.init.authorizations.map((one) => `${one.clientId} ${one.resourceId}`));
        for (const [clientId, resources] of this.access) {
          for (const id of [...resources.keys()]) if (!listed.has(`${clientId} ${id}`)) resources.delete(id);
        }
        return;
      }
      case "authorize": {
        const { client, resource, expiresAt, ref } = event.authorization;
        if (!this.confirms) return;
        const resources = this.access.get(client.id) ?? new Map<Id, number | null>();
        this.access.set(client.id, resources.set(resource.id, expiresAt));
        this.session.send({ type: "authorized", ref });
        return;
      }
      case "reject_access":
        this.access.get(event.clientId)?.delete(event.resourceId);
        return;
      case "ice_candidates":
        this.candidates.set(event.clientId, [
          ...this.candidates.get(event.clientId) ?? [],
          ...event.candidates,
        ]);
    }
  }
}

export class StockClient extends Device<ClientEvent, ClientCommand> {
  /** The gateway that it believes to reach each resource through. */
  readonly flows = new Map<Id, Id>();
  readonly resources = new Set<Id>();
  readonly refusals: string[] = [];
  #wanted: Id[] = [];
  #lastGateways: Id[] = [];

  constructor(world: SessionWorld, identity: Identity) {
    super(world, { ...identity, role: "client" }, clientCodec(identity.dialect ?? "v1"));
  }

  /** Sends packets to resources from here on. */
  use(...resourceIds: Id[]): void {
    const isIdle = this.#wanted.length === 0;
    this.#wanted.push(...resourceIds);
    if (isIdle) this.#send();
    else this.#ask();
    this.drain();
  }

  override handle(event: ClientEvent): void {
    switch (event.type) {
      case "init": {
        const listed = event.init.resources.map(({ id }) => id);
        for (const id of [...this.resources]) if (!listed.includes(id)) this.#forget(id);
        for (const id of listed) this.resources.add(id);
        return;
      }
      case "resource_upserted":
        this.resources.add(event.resource.id);
        return this.#ask();
      case "resource_deleted":
        return this.#forget(event.resourceId);
      case "flow_created": {
        const { resourceId, gatewayId } = event.flow;
        const known = this.flows.get(resourceId);
        if (this.identity.dialect !== "v2") {
          assert.ok(known === undefined || known === gatewayId, "the client crashed: another gateway");
        }
        this.flows.set(resourceId, gatewayId);
        this.#lastGateways = [gatewayId, ...this.#lastGateways.filter((id) => id !== gatewayId)].sort();
        return;
      }
      case "flow_failed":
        this.refusals.push(event.failure.reason);
    }
  }

  #forget(id: Id): void {
    this.resources.delete(id);
    this.flows.delete(id);
  }

  #send(): void {
    if (!this.isAlive) return;
    this.#ask();
    this.world.clock.at(this.world.now + REQUEST_INTERVAL, () => {
      this.#send();
      this.drain();
    });
  }

  #ask(): void {
    for (const resourceId of this.#wanted) {
      if (this.flows.has(resourceId) || !this.resources.has(resourceId)) continue;
      this.session.send({ type: "request", resourceId, connectedGatewayIds: this.#lastGateways });
    }
  }
}
