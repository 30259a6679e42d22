/** What devices say: frames and payloads, decoded leniently, never with a throw. */
import * as v from "valibot";
import { parseKey } from "../../../portal/key.ts";
import { candidate, uuid } from "../../../portal/schema/primitives.ts";
import type { Id } from "../../../portal/types.ts";
import type { Ref } from "./socket.ts";

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

/** `request_connection` of clients before 1.4; the payload goes on unread. */
export interface ConnectionRequest {
  readonly gatewayId: Id;
  readonly resourceId: Id;
  readonly payload: unknown;
  /** Base64, as the client made it. */
  readonly presharedKey: string;
}

/** `reuse_connection`: one more resource over the same connection. */
export type ConnectionReuse = Omit<ConnectionRequest, "presharedKey">;

const presharedKey = v.pipe(v.string(), v.check((text) => parseKey(text) !== undefined));
const connectionRequest = v.object({
  gateway_id: uuid,
  resource_id: uuid,
  client_payload: v.record(v.string(), v.unknown()),
  client_preshared_key: presharedKey,
});

export function readConnectionRequest(payload: unknown): ConnectionRequest | undefined {
  const result = v.safeParse(connectionRequest, payload);
  return result.success
    ? {
      gatewayId: result.output.gateway_id,
      resourceId: result.output.resource_id,
      payload: result.output.client_payload,
      presharedKey: result.output.client_preshared_key,
    }
    : undefined;
}

const connectionReuse = v.object({
  gateway_id: uuid,
  resource_id: uuid,
  payload: v.optional(v.nullable(v.record(v.string(), v.unknown())), null),
});

export function readConnectionReuse(payload: unknown): ConnectionReuse | undefined {
  const result = v.safeParse(connectionReuse, payload);
  return result.success
    ? {
      gatewayId: result.output.gateway_id,
      resourceId: result.output.resource_id,
      payload: result.output.payload,
    }
    : undefined;
}

const readiness = v.object({ ref: v.string(), gateway_payload: v.record(v.string(), v.unknown()) });

/** `connection_ready` */
export function readReadiness(payload: unknown): { ref: string; payload: unknown } | undefined {
  const result = v.safeParse(readiness, payload);
  return result.success ? { ref: result.output.ref, payload: result.output.gateway_payload } : undefined;
}

const poolDomain = v.object({ resource_id: uuid, domain: v.pipe(v.string(), v.maxLength(253)) });

/** `resolve_device_pool_domain` */
export function readPoolDomain(payload: unknown): { resourceId: Id; domain: string } | undefined {
  const result = v.safeParse(poolDomain, payload);
  return result.success ? { resourceId: result.output.resource_id, domain: result.output.domain } : undefined;
}

const relayJoin = v.object({ stamp_secret: v.pipe(v.string(), v.regex(/^[\x21-\x7e]{16,255}$/)) });

/** A relay's `phx_join` @returns its secret */
export function readRelayJoin(payload: unknown): string | undefined {
  const result = v.safeParse(relayJoin, payload);
  return result.success ? result.output.stamp_secret : undefined;
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
