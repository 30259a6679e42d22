/** The STUN messages of connectivity checks, in the attribute order of snownet §2.6. */
import type { SocketAddress } from "../packet/address.ts";
import {
  AttributeType,
  encodeStun,
  Method,
  type StunAttribute,
  StunClass,
  type StunMessage,
} from "../stun/mod.ts";

export const ROLE_CONFLICT = 487;

/** Where a candidate pair's checks get their keys and names from. */
export interface IceCredentials {
  /** At least 4 characters. */
  readonly ufrag: string;
  /** At least 22 characters. */
  readonly password: string;
}

export interface CheckRequest {
  /** 12 bytes. */
  readonly transactionId: Uint8Array;
  /** `<peer ufrag>:<own ufrag>`. */
  readonly username: string;
  readonly controlling: boolean;
  /** u64. */
  readonly tieBreaker: bigint;
  /** u32: own candidate's priority as a peer-reflexive one. */
  readonly priority: number;
  readonly useCandidate: boolean;
  /** Key made of the peer's password. */
  readonly key: Uint8Array;
}

export function encodeCheck(request: CheckRequest): Uint8Array {
  const role = request.controlling ? AttributeType.ICE_CONTROLLING : AttributeType.ICE_CONTROLLED;
  const attributes: StunAttribute[] = [
    [AttributeType.USERNAME, request.username],
    [role, request.tieBreaker],
    [AttributeType.PRIORITY, request.priority],
  ];
  if (request.useCandidate) attributes.push([AttributeType.USE_CANDIDATE]);
  return encodeStun({
    class: StunClass.REQUEST,
    method: Method.BINDING,
    transactionId: request.transactionId,
    attributes,
    integrityKey: request.key,
    fingerprint: true,
  });
}

/** `source` is where the request came from; `key` is made of our own password. */
export function encodeCheckSuccess(request: StunMessage, source: SocketAddress, key: Uint8Array): Uint8Array {
  return encodeReply(request, StunClass.SUCCESS, [AttributeType.XOR_MAPPED_ADDRESS, source], key);
}

/** 487: both sides claim the same role, and the sender is the one to give way (RFC 8445 §7.3.1.1). */
export function encodeRoleConflict(request: StunMessage, key: Uint8Array): Uint8Array {
  const error = { code: ROLE_CONFLICT, reason: "Role Conflict" };
  return encodeReply(request, StunClass.ERROR, [AttributeType.ERROR_CODE, error], key);
}

function encodeReply(
  request: StunMessage,
  messageClass: StunClass,
  attribute: StunAttribute,
  key: Uint8Array,
): Uint8Array {
  return encodeStun({
    class: messageClass,
    method: Method.BINDING,
    transactionId: request.transactionId,
    attributes: [attribute],
    integrityKey: key,
    fingerprint: true,
  });
}
