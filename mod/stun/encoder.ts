/**
 * STUN encoder (RFC 8489 §5, §14). Attributes keep the order given; padding is zero, because relays re-serialise a
 * message to verify its integrity (snownet §3.1). MESSAGE-INTEGRITY is computed with the header's length ending
 * behind it, FINGERPRINT with the final length.
 */
import type { SocketAddress } from "../packet/address.ts";
import { AttributeType as A, HEADER_SIZE, MAGIC_COOKIE, type StunClass } from "./constants.ts";
import { crc32, FINGERPRINT_MASK } from "./fingerprint.ts";
import { INTEGRITY_SIZE, messageIntegrity } from "./integrity.ts";
import type { StunAttribute, StunMessageInit } from "./message.ts";

const CLASS_BITS: Readonly<Record<StunClass, number>> = {
  request: 0x000,
  indication: 0x010,
  success: 0x100,
  error: 0x110,
};
const utf8 = new TextEncoder();

/** Serialises one message. Throws a RangeError when an attribute or the message is longer than 65535 bytes. */
export function encodeStun(init: StunMessageInit): Uint8Array<ArrayBuffer> {
  const values = init.attributes.map((attribute) => encodeValue(attribute, init.transactionId));
  let length = HEADER_SIZE + (init.integrityKey ? 4 + INTEGRITY_SIZE : 0) + (init.fingerprint ? 8 : 0);
  for (const value of values) length += 4 + ((value.length + 3) & ~3);
  if (length - HEADER_SIZE > 0xffff) {
    throw new RangeError(
      `Cannot encode a STUN message of ${length} bytes: the limit is 65535. Shorten its texts.`,
    );
  }
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, messageType(init.class, init.method));
  view.setUint32(4, MAGIC_COOKIE);
  bytes.set(init.transactionId, 8);
  let offset = HEADER_SIZE;
  const put = (type: number, value: Uint8Array) => {
    view.setUint16(offset, type);
    view.setUint16(offset + 2, value.length);
    bytes.set(value, offset + 4);
    offset += 4 + ((value.length + 3) & ~3);
  };
  init.attributes.forEach((attribute, i) => put(attribute[0], values[i]!));
  if (init.integrityKey) put(A.MESSAGE_INTEGRITY, messageIntegrity(bytes, offset, init.integrityKey));
  view.setUint16(2, length - HEADER_SIZE);
  if (init.fingerprint) {
    const value = new Uint8Array(4);
    new DataView(value.buffer).setUint32(0, crc32(bytes, 0, offset) ^ FINGERPRINT_MASK);
    put(A.FINGERPRINT, value);
  }
  return bytes;
}

function messageType(messageClass: StunClass, method: number): number {
  return CLASS_BITS[messageClass] | ((method & 0xf80) << 2) | ((method & 0x70) << 1) | (method & 0xf);
}

function encodeValue(attribute: StunAttribute, transactionId: Uint8Array): Uint8Array {
  switch (attribute[0]) {
    case A.USERNAME:
    case A.REALM:
    case A.NONCE:
    case A.SOFTWARE:
      return utf8.encode(attribute[1]);
    case A.PRIORITY:
    case A.LIFETIME:
      return u32(attribute[1]);
    case A.CHANNEL_NUMBER:
      return u32(attribute[1] << 16);
    case A.REQUESTED_TRANSPORT:
      return u32(attribute[1] << 24);
    case A.REQUESTED_ADDRESS_FAMILY:
    case A.ADDITIONAL_ADDRESS_FAMILY:
    case A.ADDITIONAL_ADDRESS_FAMILY_COTURN:
      return u32((attribute[1] === 4 ? 1 : 2) << 24);
    case A.ICE_CONTROLLED:
    case A.ICE_CONTROLLING:
      return u64(attribute[1]);
    case A.USE_CANDIDATE:
    case A.DONT_FRAGMENT:
      return new Uint8Array(0);
    case A.XOR_MAPPED_ADDRESS:
    case A.XOR_PEER_ADDRESS:
    case A.XOR_RELAYED_ADDRESS:
      return xorAddress(attribute[1], transactionId);
    case A.ERROR_CODE: {
      const { code, reason } = attribute[1];
      const text = utf8.encode(reason);
      const value = new Uint8Array(4 + text.length);
      value[2] = Math.trunc(code / 100);
      value[3] = code % 100;
      value.set(text, 4);
      return value;
    }
    case A.UNKNOWN_ATTRIBUTES: {
      const value = new Uint8Array(2 * attribute[1].length);
      attribute[1].forEach((type, i) => value.set([type >> 8, type & 255], 2 * i));
      return value;
    }
    case A.EVEN_PORT:
      return Uint8Array.of(attribute[1] ? 0x80 : 0);
    case A.DATA:
      return attribute[1];
  }
}

function u32(value: number): Uint8Array {
  return Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value);
}

function u64(value: bigint): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, value);
  return bytes;
}

function xorAddress(address: SocketAddress, transactionId: Uint8Array): Uint8Array {
  const value = new Uint8Array(4 + address.bytes.length);
  const view = new DataView(value.buffer);
  value[1] = address.family === 4 ? 1 : 2;
  view.setUint16(2, address.port ^ (MAGIC_COOKIE >>> 16));
  value.set(address.bytes, 4);
  view.setUint32(4, view.getUint32(4) ^ MAGIC_COOKIE);
  for (let i = 8; i < value.length; i++) value[i]! ^= transactionId[i - 8]!;
  return value;
}
