/** What must hold of everything that the portal says, whatever it was told: read along, message by message. */
import assert from "node:assert/strict";
import type { Admission } from "../../mod/embedded/portal/core/admission.ts";
import type { Grant } from "../../mod/embedded/portal/core/grants.ts";
import type { PortalPolicy } from "../../mod/embedded/portal/policy/policy.ts";

export interface Told {
  readonly event: string;
  readonly payload: Record<string, unknown>;
}

/** One device's connection. */
export interface Listener {
  readonly id: string;
  readonly admission: Admission;
}

const TO_GATEWAYS = [
  "authorize_flow",
  "create_authorization",
  "reject_access",
  "request_connection",
  "allow_access",
  "resource_updated",
];
const TO_CLIENTS = [
  "flow_created",
  "authorization_created",
  "flow_creation_failed",
  "authorization_creation_failed",
  "resource_created_or_updated",
  "resource_deleted",
  "config_changed",
  "device_pool_domain_resolution_failed",
];

export class Invariants {
  readonly #policies: readonly PortalPolicy[];
  readonly #resourceIds: ReadonlySet<string>;
  /** Pairs of which the gateway was told to let the client in. */
  readonly #pairs = new Set<string>();
  /** By gateway: what it lets in, as pairs of client and resource. (In this world a gateway's key never changes.) */
  readonly #access = new Map<string, Set<string>>();
  /** By client process: the gateway through which it believes to reach each resource. */
  readonly #flows = new Map<string, Map<string, unknown>>();

  /** @param policies all that are ever in force */
  constructor(policies: readonly PortalPolicy[]) {
    this.#policies = policies;
    this.#resourceIds = new Set(policies.flatMap(({ resources }) => resources.map(({ id }) => id)));
  }

  check(listener: Listener, told: Told): void {
    this.#checkCandidates(listener, told);
    if (listener.admission.role === "gateway") this.#checkGateway(listener, told);
    else this.#checkClient(listener, told);
  }

  /** Nobody hears the candidates of a stranger. */
  #checkCandidates({ id, admission }: Listener, { event, payload }: Told): void {
    if (!event.endsWith("ice_candidates")) return;
    const pair = admission.role === "gateway" ? `${payload.client_id} ${id}` : `${id} ${payload.gateway_id}`;
    assert.ok(this.#pairs.has(pair), "candidates of a stranger");
  }

  #checkGateway(listener: Listener, told: Told): void {
    assert.ok(!TO_CLIENTS.includes(told.event), `${told.event} to a gateway`);
    this.note(listener, told);
    this.#noteAccess(listener.id, told);
  }

  #noteAccess(id: string, { event, payload }: Told): void {
    const access = this.#access.get(id) ?? new Set<string>();
    this.#access.set(id, access);
    const { client, resource, client_id, resource_id, authorizations } = payload as {
      readonly client?: { readonly id: string };
      readonly resource?: { readonly id: string };
      readonly client_id?: string;
      readonly resource_id?: string;
      readonly authorizations?: readonly { readonly client_id: string; readonly resource_id: string }[];
    };
    if (event === "init") {
      const listed = new Set(authorizations!.map((one) => `${one.client_id} ${one.resource_id}`));
      for (const pair of access) if (!listed.has(pair)) access.delete(pair);
    }
    if (event === "reject_access") access.delete(`${client_id} ${resource_id}`);
    if (resource && (client ?? client_id)) access.add(`${client?.id ?? client_id} ${resource.id}`);
  }

  /** A gateway that is there lets nobody in who has no grant. */
  checkAccess(gatewayIds: readonly string[], grants: readonly Grant[]): void {
    const granted = new Set(grants.map((one) => `${one.gatewayId} ${one.clientId} ${one.resourceId}`));
    for (const id of gatewayIds) {
      for (const pair of this.#access.get(id) ?? []) {
        assert.ok(granted.has(`${id} ${pair}`), "a gateway lets somebody in who has no grant");
      }
    }
  }

  /** What a message means even if it is lost: the grant stands. */
  note({ id, admission }: Listener, { event, payload }: Told): void {
    if (admission.role !== "gateway") return;
    const client = payload.client as { id: string } | undefined;
    if (client) this.#pairs.add(`${client.id} ${id}`);
    if (event === "allow_access") this.#pairs.add(`${payload.client_id} ${id}`);
  }

  /** A client hears only of what some policy gives it, and an old one is never switched to another gateway. */
  #checkClient({ id, admission }: Listener, { event, payload }: Told): void {
    assert.ok(!TO_GATEWAYS.includes(event), `${event} to a client`);
    const process = `${id} ${admission.publicKey}`, { dialect } = admission;
    // No process changes its dialect: with another one it is another.
    if (event === "init") this.#flows.delete(`${process} ${dialect === "v1" ? "v2" : "v1"}`);
    const flows = this.#flows.get(`${process} ${dialect}`) ?? new Map<string, unknown>();
    this.#flows.set(`${process} ${dialect}`, flows);
    if (event === "disconnect") flows.clear(); // It signs out, and ends.
    if (event === "init") {
      const listed = new Set((payload.resources as { id: string }[]).map((one) => one.id));
      for (const resourceId of [...flows.keys()]) if (!listed.has(resourceId)) flows.delete(resourceId);
    }
    if (event === "resource_deleted") flows.delete(String(payload));
    if (event === "flow_created" || event === "authorization_created") {
      const resourceId = String(payload.resource_id), before = flows.get(resourceId);
      const isOld = dialect === "v1";
      assert.ok(!isOld || before === undefined || before === payload.gateway_id, "an old client crashed");
      flows.set(resourceId, payload.gateway_id);
    }
    const about = event === "resource_created_or_updated" ? payload.id : payload.resource_id;
    if (!this.#resourceIds.has(String(about)) || event.endsWith("_failed")) return;
    const isNamed = this.#policies.some(({ accessPolicies }) =>
      accessPolicies.some(({ resourceId, allow }) =>
        resourceId === about && allow.some((name) => name === "everyone" || name === admission.owner)
      )
    );
    assert.ok(isNamed, `${event} about ${about} to ${admission.owner}`);
  }
}
