/**
 * STUN encoder (RFC 8489 §5, §14). Attributes keep the order given; padding is zero, because relays re-serialise a
 * message to verify its integrity (snownet §3.1). MESSAGE-INTEGRITY is computed with the header's length ending
 * behind it, FINGERPRINT with the final length.
 *
 * A message is written once, into a scratch buffer, and cut out of it: a gateway with many idle clients does little
 * else than making these, and what they cost was mostly the arrays of their parts. Not re-entrant, never asynchronous.
 */
import type { SocketAddress } from "../packet/address.ts";
import { takeBytes } from "./chunk.ts";
import { AttributeType as A, HEADER_SIZE, MAGIC_COOKIE, type StunClass } from "./constants.ts";
import { crc32, FINGERPRINT_MASK } from "./fingerprint.ts";
import { INTEGRITY_SIZE, writeIntegrity } from "./integrity.ts";
import type { StunAttribute, StunMessageInit } from "./message.ts";

const CLASS_BITS: Readonly<Record<StunClass, number>> = {
  request: 0x000,
  indication: 0x010,
  success: 0x100,
  error: 0x110,
};
const MAX_LENGTH = 0xffff;
const utf8 = new TextEncoder();
/** No attribute is longer than 65535 bytes, and the last one begins within the limit. */
const scratch = new Uint8Array(HEADER_SIZE + 2 * (MAX_LENGTH + 8));
const view = new DataView(scratch.buffer);

/** Serialises one message, in bytes that share their buffer with others'. Throws a RangeError when an attribute or the message is longer than 65535 bytes. */
export function encodeStun(init: StunMessageInit): Uint8Array<ArrayBuffer> {
  const { transactionId, attributes, integrityKey } = init;
  view.setUint16(0, messageType(init.class, init.method));
  view.setUint32(4, MAGIC_COOKIE);
  for (let i = 0; i < 12; i++) scratch[8 + i] = transactionId[i]!;
  let end = HEADER_SIZE;
  for (let i = 0; i < attributes.length; i++) end = putAttribute(end, attributes[i]!);
  if (integrityKey) {
    const at = end;
    end = finishAttribute(at, A.MESSAGE_INTEGRITY, INTEGRITY_SIZE);
    view.setUint16(2, end - HEADER_SIZE);
    writeIntegrity(scratch, at, integrityKey);
  }
  if (init.fingerprint) {
    const at = end;
    end = finishAttribute(at, A.FINGERPRINT, 4);
    view.setUint16(2, end - HEADER_SIZE);
    view.setUint32(at + 4, crc32(scratch, 0, at) ^ FINGERPRINT_MASK);
  }
  view.setUint16(2, end - HEADER_SIZE);
  const message = takeBytes(end);
  for (let i = 0; i < end; i++) message[i] = scratch[i]!;
  return message;
}

function messageType(messageClass: StunClass, method: number): number {
  return CLASS_BITS[messageClass] | ((method & 0xf80) << 2) | ((method & 0x70) << 1) | (method & 0xf);
}

/** Writes header and padding around a value of `length` bytes that is, or will be, at `at + 4`; where it ends. */
function finishAttribute(at: number, type: number, length: number): number {
  const end = at + 4 + ((length + 3) & ~3);
  if (end - HEADER_SIZE > MAX_LENGTH) throw tooLong(end);
  scratch[at] = type >> 8;
  scratch[at + 1] = type;
  scratch[at + 2] = length >> 8;
  scratch[at + 3] = length;
  for (let i = at + 4 + length; i < end; i++) scratch[i] = 0;
  return end;
}

function tooLong(length: number): RangeError {
  return new RangeError(
    `Cannot encode a STUN message of ${length} bytes: the limit is 65535. Shorten its texts.`,
  );
}

/** Writes one attribute at `at`; where it ends. */
function putAttribute(at: number, attribute: StunAttribute): number {
  return finishAttribute(at, attribute[0], putValue(at + 4, attribute));
}

/** Writes an attribute's value at `at`; its length. */
function putValue(at: number, attribute: StunAttribute): number {
  switch (attribute[0]) {
    case A.USERNAME:
    case A.REALM:
    case A.NONCE:
    case A.SOFTWARE:
      return putText(at, attribute[1]);
    case A.PRIORITY:
    case A.LIFETIME:
      return putU32(at, attribute[1]);
    case A.CHANNEL_NUMBER:
      return putU32(at, attribute[1] << 16);
    case A.REQUESTED_TRANSPORT:
      return putU32(at, attribute[1] << 24);
    case A.REQUESTED_ADDRESS_FAMILY:
    case A.ADDITIONAL_ADDRESS_FAMILY:
    case A.ADDITIONAL_ADDRESS_FAMILY_COTURN:
      return putU32(at, (attribute[1] === 4 ? 1 : 2) << 24);
    case A.ICE_CONTROLLED:
    case A.ICE_CONTROLLING:
      view.setBigUint64(at, attribute[1]);
      return 8;
    case A.USE_CANDIDATE:
    case A.DONT_FRAGMENT:
      return 0;
    case A.XOR_MAPPED_ADDRESS:
    case A.XOR_PEER_ADDRESS:
    case A.XOR_RELAYED_ADDRESS:
      return putXorAddress(at, attribute[1]);
    case A.ERROR_CODE: {
      const { code, reason } = attribute[1];
      putU32(at, (Math.trunc(code / 100) << 8) | code % 100);
      return 4 + putText(at + 4, reason);
    }
    case A.UNKNOWN_ATTRIBUTES:
      if (2 * attribute[1].length > MAX_LENGTH) throw tooLong(at + 2 * attribute[1].length);
      attribute[1].forEach((type, i) => view.setUint16(at + 2 * i, type));
      return 2 * attribute[1].length;
    case A.EVEN_PORT:
      scratch[at] = attribute[1] ? 0x80 : 0;
      return 1;
    case A.DATA:
      if (attribute[1].length > MAX_LENGTH) throw tooLong(at + attribute[1].length);
      scratch.set(attribute[1], at);
      return attribute[1].length;
  }
}

function putU32(at: number, value: number): number {
  scratch[at] = value >>> 24;
  scratch[at + 1] = value >>> 16;
  scratch[at + 2] = value >>> 8;
  scratch[at + 3] = value;
  return 4;
}

/** UTF-8; the texts in use are ASCII, for which a call of the encoder would cost more than the message. */
function putText(at: number, text: string): number {
  const { length } = text;
  if (length > MAX_LENGTH) throw tooLong(at + length);
  for (let i = 0; i < length; i++) {
    const code = text.charCodeAt(i);
    if (code > 127) return putEncoded(at, utf8.encode(text));
    scratch[at + i] = code;
  }
  return length;
}

function putEncoded(at: number, bytes: Uint8Array): number {
  if (bytes.length > MAX_LENGTH) throw tooLong(at + bytes.length);
  scratch.set(bytes, at);
  return bytes.length;
}

/** The XOR mask is the cookie and the transaction id, i.e. the header bytes 4..19 (RFC 8489 §14.2). */
function putXorAddress(at: number, { bytes, port }: SocketAddress): number {
  const { length } = bytes;
  putU32(at, ((length === 4 ? 1 : 2) << 16) | (port ^ (MAGIC_COOKIE >>> 16)));
  for (let i = 0; i < length; i++) scratch[at + 4 + i] = bytes[i]! ^ scratch[4 + i]!;
  return 4 + length;
}
