/**
 * Strict STUN decoder (RFC 8489 §5, §6.3, §14; snownet §2.6).
 *
 * Every length is checked before the bytes behind it are read: the header's length must be a multiple of 4 and equal
 * what arrived, each attribute with its padding must end inside the message, fixed-size attributes must have their
 * size, text must be UTF-8. One violation rejects the message. Behind MESSAGE-INTEGRITY only FINGERPRINT is looked
 * at; behind FINGERPRINT nothing may follow. The fingerprint's value is not checked: it tells protocols apart, and
 * the cookie does that already. Unknown attributes never reject; the required ones are listed.
 */
import { type IpFamily, SocketAddress } from "../packet/address.ts";
import { AttributeType as A, HEADER_SIZE, MAGIC_COOKIE, type StunClass } from "./constants.ts";
import type { ErrorCode, StunMessage } from "./message.ts";

/** Longest USERNAME (RFC 8489 §14.3) and longest other text (§14.8 ff.: 127 characters), in bytes. */
const MAX_USERNAME = 513;
const MAX_TEXT = 763;

const CLASSES: readonly StunClass[] = ["request", "indication", "success", "error"];
const IGNORED_REQUIRED = new Set<number>([A.MAPPED_ADDRESS, A.UNKNOWN_ATTRIBUTES]);
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

type Draft = { -readonly [K in keyof StunMessage]: StunMessage[K] } & {
  xorRelayedAddresses: SocketAddress[];
  unknownRequired: number[];
};

/** Thrown and caught inside this file only: the one way out of the attribute readers. */
class Malformed extends Error {}
const MALFORMED = new Malformed();

/** True when bytes[offset, offset + length) have a STUN header: the cheap test before anything else. Allocates nothing. */
export function looksLikeStun(
  bytes: Uint8Array,
  offset = 0,
  length: number = bytes.length - offset,
): boolean {
  return length >= HEADER_SIZE && bytes[offset]! < 64 &&
    bytes[offset + 4] === 0x21 && bytes[offset + 5] === 0x12 &&
    bytes[offset + 6] === 0xa4 && bytes[offset + 7] === 0x42;
}

/** The message in `bytes`, or undefined when they are not exactly one well-formed STUN message. Never throws. */
export function decodeStun(bytes: Uint8Array): StunMessage | undefined {
  if (!looksLikeStun(bytes)) return undefined;
  const length = (bytes[2]! << 8) | bytes[3]!;
  if ((length & 3) !== 0 || length !== bytes.length - HEADER_SIZE) return undefined;
  const type = (bytes[0]! << 8) | bytes[1]!;
  const message: Draft = {
    class: CLASSES[((type >> 7) & 2) | ((type >> 4) & 1)]!,
    method: ((type >> 2) & 0xf80) | ((type >> 1) & 0x70) | (type & 0xf),
    transactionId: new Uint8Array(bytes.subarray(8, HEADER_SIZE)),
    raw: bytes,
    integrityOffset: 0,
    hasIntegrity: false,
    useCandidate: false,
    xorRelayedAddresses: [],
    unknownRequired: [],
  };
  try {
    return readAttributes(message, bytes) ? message : undefined;
  } catch (error) {
    if (error instanceof Malformed) return undefined;
    throw error;
  }
}

/** False when the attributes don't tile the message; throws MALFORMED for a bad value. */
function readAttributes(message: Draft, bytes: Uint8Array): boolean {
  let offset = HEADER_SIZE;
  while (offset < bytes.length) {
    const type = (bytes[offset]! << 8) | bytes[offset + 1]!;
    const length = (bytes[offset + 2]! << 8) | bytes[offset + 3]!;
    const start = offset + 4;
    const next = start + ((length + 3) & ~3);
    if (next > bytes.length) return false;
    if (type === A.FINGERPRINT) return length === 4 && next === bytes.length;
    if (type === A.MESSAGE_INTEGRITY) {
      if (length !== 20) return false;
      if (!message.hasIntegrity) {
        message.hasIntegrity = true;
        message.integrityOffset = offset;
      }
    } else if (!message.hasIntegrity) {
      readAttribute(message, type, bytes, start, length);
    }
    offset = next;
  }
  return true;
}

function readAttribute(message: Draft, type: number, bytes: Uint8Array, at: number, length: number): void {
  switch (type) {
    case A.USERNAME:
      message.username ??= readText(bytes, at, length, MAX_USERNAME);
      break;
    case A.REALM:
      message.realm ??= readText(bytes, at, length, MAX_TEXT);
      break;
    case A.NONCE:
      message.nonce ??= readText(bytes, at, length, MAX_TEXT);
      break;
    case A.SOFTWARE:
      message.software ??= readText(bytes, at, length, MAX_TEXT);
      break;
    case A.PRIORITY:
      message.priority ??= readU32(bytes, at, length);
      break;
    case A.LIFETIME:
      message.lifetime ??= readU32(bytes, at, length);
      break;
    case A.CHANNEL_NUMBER:
      message.channelNumber ??= readU32(bytes, at, length) >>> 16;
      break;
    case A.REQUESTED_TRANSPORT:
      message.requestedTransport ??= readU32(bytes, at, length) >>> 24;
      break;
    case A.REQUESTED_ADDRESS_FAMILY:
      message.requestedFamily ??= readFamily(bytes, at, length);
      break;
    case A.ADDITIONAL_ADDRESS_FAMILY:
    case A.ADDITIONAL_ADDRESS_FAMILY_COTURN:
      message.additionalFamily ??= readFamily(bytes, at, length);
      break;
    case A.EVEN_PORT:
      if (length !== 1) throw MALFORMED;
      message.evenPort ??= (bytes[at]! & 0x80) !== 0;
      break;
    case A.USE_CANDIDATE:
      if (length !== 0) throw MALFORMED;
      message.useCandidate = true;
      break;
    case A.ICE_CONTROLLED:
      message.iceControlled ??= readU64(bytes, at, length);
      break;
    case A.ICE_CONTROLLING:
      message.iceControlling ??= readU64(bytes, at, length);
      break;
    case A.XOR_MAPPED_ADDRESS:
      message.xorMappedAddress ??= readXorAddress(bytes, at, length);
      break;
    case A.XOR_PEER_ADDRESS:
      message.xorPeerAddress ??= readXorAddress(bytes, at, length);
      break;
    case A.XOR_RELAYED_ADDRESS:
      message.xorRelayedAddresses.push(readXorAddress(bytes, at, length));
      break;
    case A.ERROR_CODE:
      message.errorCode ??= readErrorCode(bytes, at, length);
      break;
    default:
      if (type < 0x8000 && !IGNORED_REQUIRED.has(type)) message.unknownRequired.push(type);
  }
}

function readText(bytes: Uint8Array, at: number, length: number, limit: number): string {
  if (length > limit) throw MALFORMED;
  try {
    return utf8.decode(bytes.subarray(at, at + length));
  } catch {
    throw MALFORMED;
  }
}

function readU32(bytes: Uint8Array, at: number, length: number): number {
  if (length !== 4) throw MALFORMED;
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
}

function readU64(bytes: Uint8Array, at: number, length: number): bigint {
  if (length !== 8) throw MALFORMED;
  return (BigInt(readU32(bytes, at, 4)) << 32n) | BigInt(readU32(bytes, at + 4, 4));
}

function readFamily(bytes: Uint8Array, at: number, length: number): IpFamily | 0 {
  const value = readU32(bytes, at, length) >>> 24;
  return value === 1 ? 4 : value === 2 ? 6 : 0;
}

function readErrorCode(bytes: Uint8Array, at: number, length: number): ErrorCode {
  if (length < 4) throw MALFORMED;
  const hundreds = bytes[at + 2]! & 7, rest = bytes[at + 3]!;
  if (hundreds < 3 || hundreds > 6 || rest > 99) throw MALFORMED;
  return { code: hundreds * 100 + rest, reason: readText(bytes, at + 4, length - 4, MAX_TEXT) };
}

/** The XOR mask is the cookie and the transaction id, i.e. the header bytes 4..19 (RFC 8489 §14.2). */
function readXorAddress(bytes: Uint8Array, at: number, length: number): SocketAddress {
  const size = bytes[at + 1] === 1 ? 4 : bytes[at + 1] === 2 ? 16 : 0;
  if (length < 8 || size === 0 || length !== 4 + size) throw MALFORMED;
  const ip = new Uint8Array(size);
  for (let i = 0; i < size; i++) ip[i] = bytes[at + 4 + i]! ^ bytes[4 + i]!;
  return SocketAddress.fromBytes(ip, ((bytes[at + 2]! << 8) | bytes[at + 3]!) ^ (MAGIC_COOKIE >>> 16));
}
