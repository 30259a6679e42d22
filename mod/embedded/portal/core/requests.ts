/** What devices say: frames and payloads, decoded leniently, never with a throw. */
import * as v from "valibot";
import { candidate, uuid } from "../../../portal/schema/primitives.ts";
import type { Id } from "../../../portal/types.ts";
import type { Ref } from "./connection.ts";

export interface Request {
  readonly topic: string;
  readonly event: string;
  readonly payload: unknown;
  readonly ref: Ref;
}

/** A frame of serializer V1, or undefined when the socket should be closed over it. */
export function decodeRequest(text: string): Request | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null) return undefined;
  const { topic, event, payload, ref } = value as Record<string, unknown>;
  if (typeof topic !== "string" || typeof event !== "string" || payload === undefined) return undefined;
  if (ref === null || typeof ref === "number" || (typeof ref === "string" && ref.length <= 64)) {
    return { topic, event, payload, ref };
  }
  return undefined;
}

const MAX_GATEWAY_IDS = 100;
const MAX_PEERS = 100;
const MAX_CANDIDATES = 100;

const uuidOrNothing = v.fallback(v.nullable(uuid), null);

const accessRequest = v.object({
  resource_id: uuid,
  connected_gateway_ids: v.optional(v.array(uuidOrNothing), []),
});

/** `create_flow` / `request_authorization` */
export function readAccessRequest(
  payload: unknown,
): { resourceId: Id; connectedGatewayIds: Id[] } | undefined {
  const result = v.safeParse(accessRequest, payload);
  if (!result.success) return undefined;
  const ids = result.output.connected_gateway_ids.slice(0, MAX_GATEWAY_IDS).filter((id) => id !== null);
  return { resourceId: result.output.resource_id, connectedGatewayIds: ids };
}

const confirmation = v.object({ ref: v.string() });

/** `flow_authorized` / `authorization_created` */
export function readConfirmation(payload: unknown): string | undefined {
  const result = v.safeParse(confirmation, payload);
  return result.success ? result.output.ref : undefined;
}

const peers = v.array(uuidOrNothing);
const signal = v.object({
  candidates: v.array(v.unknown()),
  client_ids: v.optional(peers),
  gateway_ids: v.optional(peers),
  gateway_id: v.optional(uuidOrNothing),
});

/** Candidates for peers, in the spelling of either dialect; what is no candidate is left out. */
export function readSignal(payload: unknown): { peerIds: Id[]; candidates: string[] } | undefined {
  const result = v.safeParse(signal, payload);
  if (!result.success) return undefined;
  const { client_ids = [], gateway_ids = [], gateway_id, candidates } = result.output;
  const peerIds = [...client_ids, ...gateway_ids, gateway_id ?? null].filter((id) => id !== null);
  return {
    peerIds: peerIds.slice(0, MAX_PEERS),
    candidates: candidates.filter((one) => v.is(candidate, one)).slice(0, MAX_CANDIDATES),
  };
}
