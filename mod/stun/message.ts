/**
 * The decoded form of a STUN message and the attribute values the encoder takes.
 * Both keep wire order and wire meaning; which attributes a message must carry is the business of ICE and TURN.
 */
import type { SocketAddress } from "../packet/address.ts";
import type { AttributeType, StunClass } from "./constants.ts";

/** ERROR-CODE: `code` is class * 100 + number, 300..699 (RFC 8489 §14.8). */
export interface ErrorCode {
  readonly code: number;
  readonly reason: string;
}

/**
 * A structurally valid message. A field is absent when its attribute is; of a repeated attribute the first counts
 * (RFC 8489 §14), except XOR-RELAYED-ADDRESS, which comes once per family. Attributes behind MESSAGE-INTEGRITY are
 * not shown. Nothing in here is authenticated until `verifyIntegrity` said so.
 */
export interface StunMessage {
  readonly class: StunClass;
  /** A {@link Method}, or any other number below 0x1000. */
  readonly method: number;
  /** 12 bytes, a copy. */
  readonly transactionId: Uint8Array<ArrayBuffer>;
  /** The whole message: a view of the bytes given to the decoder, valid as long as they are. */
  readonly raw: Uint8Array;
  /** Offset of the MESSAGE-INTEGRITY attribute in `raw`, 0 when there is none. */
  readonly integrityOffset: number;
  readonly hasIntegrity: boolean;
  readonly username?: string;
  readonly realm?: string;
  readonly nonce?: string;
  readonly software?: string;
  /** u32. */
  readonly priority?: number;
  readonly useCandidate: boolean;
  /** Tie-breaker, u64. */
  readonly iceControlling?: bigint;
  /** Tie-breaker, u64. */
  readonly iceControlled?: bigint;
  readonly xorMappedAddress?: SocketAddress;
  readonly xorPeerAddress?: SocketAddress;
  readonly xorRelayedAddresses: readonly SocketAddress[];
  readonly errorCode?: ErrorCode;
  /** Seconds. */
  readonly lifetime?: number;
  readonly channelNumber?: number;
  /** IP protocol number; 17 is UDP. */
  readonly requestedTransport?: number;
  /** 4, 6, or 0 for a family that does not exist. */
  readonly requestedFamily?: number;
  /** 4, 6, or 0 for a family that does not exist. */
  readonly additionalFamily?: number;
  /** EVEN-PORT is there; true when it asks to reserve the next port, too. */
  readonly evenPort?: boolean;
  /** Comprehension-required attribute types (below 0x8000) that this decoder gives no meaning. */
  readonly unknownRequired: readonly number[];
}

type Types = typeof AttributeType;

/** One attribute to encode: `[AttributeType.USERNAME, "a:b"]`, `[AttributeType.USE_CANDIDATE]`, … */
export type StunAttribute =
  | readonly [type: Types["USERNAME" | "REALM" | "NONCE" | "SOFTWARE"], text: string]
  | readonly [type: Types["PRIORITY" | "LIFETIME"], u32: number]
  | readonly [type: Types["CHANNEL_NUMBER"], u16: number]
  | readonly [type: Types["REQUESTED_TRANSPORT"], protocol: number]
  | readonly [
    type: Types[
      "REQUESTED_ADDRESS_FAMILY" | "ADDITIONAL_ADDRESS_FAMILY" | "ADDITIONAL_ADDRESS_FAMILY_COTURN"
    ],
    family: 4 | 6,
  ]
  | readonly [type: Types["ICE_CONTROLLED" | "ICE_CONTROLLING"], tieBreaker: bigint]
  | readonly [type: Types["USE_CANDIDATE" | "DONT_FRAGMENT"]]
  | readonly [
    type: Types["XOR_MAPPED_ADDRESS" | "XOR_PEER_ADDRESS" | "XOR_RELAYED_ADDRESS"],
    address: SocketAddress,
  ]
  | readonly [type: Types["ERROR_CODE"], error: ErrorCode]
  | readonly [type: Types["UNKNOWN_ATTRIBUTES"], types: readonly number[]]
  | readonly [type: Types["EVEN_PORT"], reserveNext: boolean]
  | readonly [type: Types["DATA"], bytes: Uint8Array];

/** What `encodeStun` serialises. MESSAGE-INTEGRITY and FINGERPRINT are added by it, in this order, at the end. */
export interface StunMessageInit {
  readonly class: StunClass;
  readonly method: number;
  /** 12 bytes. */
  readonly transactionId: Uint8Array;
  readonly attributes: readonly StunAttribute[];
  /** Key of `shortTermKey` or `longTermKey`; absent: no MESSAGE-INTEGRITY. */
  readonly integrityKey?: Uint8Array;
  readonly fingerprint?: boolean;
}
