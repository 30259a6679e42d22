/**
 * The flow-log ingest token that newer devices require in every grant: a compact JWT (RFC 7519) whose claims they
 * read but whose signature they don't check. Uploads are switched off in it.
 */
import { hmac } from "@noble/hashes/hmac.js";
import { sha256 } from "@noble/hashes/sha2.js";

export interface IngestClaims {
  readonly role: "initiator" | "responder";
  readonly accountId: string;
  readonly clientId: string;
  readonly gatewayId: string;
  readonly authorizationId: string;
  readonly policyId: string;
  readonly resourceId: string;
  readonly resourceName: string;
  readonly resourceAddress: string;
  readonly actorId: string;
  readonly actorName: string;
  /** Unix seconds. */
  readonly authorizedAt: number;
  readonly expiresAt: number;
}

const THIRTY_DAYS = 30 * 86_400;

export function ingestToken(claims: IngestClaims, key: Uint8Array): string {
  const payload = {
    account_id: claims.accountId,
    iat: claims.authorizedAt,
    exp: claims.expiresAt + THIRTY_DAYS,
    uploads_enabled: false,
    role: claims.role,
    initiator_device_id: claims.clientId,
    responder_device_id: claims.gatewayId,
    policy_authorization_id: claims.authorizationId,
    policy_id: claims.policyId,
    resource_id: claims.resourceId,
    resource_name: claims.resourceName,
    resource_address: claims.resourceAddress,
    initiator_actor_id: claims.actorId,
    initiator_actor_name: claims.actorName,
    authorized_at: new Date(claims.authorizedAt * 1000).toISOString(),
    authorization_expires_at: new Date(claims.expiresAt * 1000).toISOString(),
  };
  const signed = `${segment({ alg: "HS256", typ: "JWT" })}.${segment(payload)}`;
  return `${signed}.${base64Url(hmac(sha256, key, utf8.encode(signed)))}`;
}

const utf8 = new TextEncoder();

function segment(value: unknown): string {
  return base64Url(utf8.encode(JSON.stringify(value)));
}

function base64Url(bytes: Uint8Array): string {
  return bytes.toBase64({ alphabet: "base64url", omitPadding: true });
}
