/** What must hold of everything that the portal says, whatever it was told: read along, message by message. */
import assert from "node:assert/strict";
import type { Admission } from "../../mod/embedded/portal/core/admission.ts";
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
    const process = `${id} ${admission.publicKey}`;
    const flows = this.#flows.get(process) ?? new Map<string, unknown>();
    this.#flows.set(process, flows);
    if (event === "disconnect") flows.clear(); // It signs out, and ends.
    if (event === "init") {
      const listed = new Set((payload.resources as { id: string }[]).map((one) => one.id));
      for (const resourceId of [...flows.keys()]) if (!listed.has(resourceId)) flows.delete(resourceId);
    }
    if (event === "resource_deleted") flows.delete(String(payload));
    if (event === "flow_created" || event === "authorization_created") {
      const resourceId = String(payload.resource_id), before = flows.get(resourceId);
      const isOld = admission.dialect === "v1";
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
