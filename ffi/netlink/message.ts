/**
 * Netlink messages as bytes (RFC 3549; Linux `<linux/netlink.h>`). Pure: no socket here.
 *
 * A message is a 16-byte header (u32 length, u16 type, u16 flags, u32 sequence, u32 port id), a fixed family-specific
 * header, and attributes: u16 length, u16 type, payload, padded to 4. Integers are in host order (little-endian on
 * every supported machine) unless a family says otherwise.
 */
export const NLMSG_HEADER_SIZE = 16;
const ATTRIBUTE_HEADER_SIZE = 4;

export const NLMSG_ERROR = 2, NLMSG_DONE = 3;
export const NLM_F_REQUEST = 0x1, NLM_F_ACK = 0x4, NLM_F_DUMP = 0x300;
export const NLM_F_EXCL = 0x200, NLM_F_CREATE = 0x400, NLM_F_APPEND = 0x800;
const NLM_F_CAPPED = 0x100, NLM_F_ACK_TLVS = 0x200;
/** Marks an attribute whose payload is attributes. */
const NLA_F_NESTED = 0x8000, NLA_TYPE_MASK = 0x3fff;
const NLMSGERR_ATTR_MSG = 1;

/** One attribute: bytes, or a list of attributes (nested). */
export interface Attribute {
  readonly type: number;
  readonly value: Uint8Array | readonly Attribute[];
}

/** A request or answer without its netlink header. */
export interface NetlinkMessage {
  readonly type: number;
  readonly flags: number;
  /** Family-specific header and attributes. */
  readonly body: Uint8Array;
}

export function u8(value: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.of(value);
}

export function u32(value: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
}

/** Big-endian, as netfilter wants it. */
export function be32(value: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, false);
  return bytes;
}

/** NUL-terminated text. */
export function text(value: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(value + "\0");
}

export function nested(type: number, value: readonly Attribute[]): Attribute {
  return { type, value };
}

/** Joins a family header and attributes to a body. */
export function encodeBody(header: Uint8Array, attributes: readonly Attribute[]): Uint8Array<ArrayBuffer> {
  return concat([header, ...attributes.map(encodeAttribute)]);
}

/** The message with its header, padded to 4. */
export function encodeMessage(message: NetlinkMessage, sequence: number): Uint8Array<ArrayBuffer> {
  const length = NLMSG_HEADER_SIZE + message.body.length;
  const bytes = new Uint8Array(align(length));
  const view = new DataView(bytes.buffer);
  view.setUint32(0, length, true);
  view.setUint16(4, message.type, true);
  view.setUint16(6, message.flags, true);
  view.setUint32(8, sequence, true);
  bytes.set(message.body, NLMSG_HEADER_SIZE);
  return bytes;
}

export interface ReceivedMessage extends NetlinkMessage {
  readonly sequence: number;
}

/** All messages of one received datagram; what is cut short at the end is left out. Never throws. */
export function decodeMessages(bytes: Uint8Array): ReceivedMessage[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const messages: ReceivedMessage[] = [];
  for (let at = 0; at + NLMSG_HEADER_SIZE <= bytes.length;) {
    const length = view.getUint32(at, true);
    if (length < NLMSG_HEADER_SIZE || at + length > bytes.length) break;
    messages.push({
      type: view.getUint16(at + 4, true),
      flags: view.getUint16(at + 6, true),
      sequence: view.getUint32(at + 8, true),
      body: bytes.subarray(at + NLMSG_HEADER_SIZE, at + length),
    });
    at += align(length);
  }
  return messages;
}

/** Attributes by type (the last of each) behind a family header of `skip` bytes. Never throws. */
export function decodeAttributes(body: Uint8Array, skip: number): Map<number, Uint8Array> {
  return new Map(listAttributes(body, skip).map(({ type, value }) => [type, value]));
}

/** Attributes in order: for lists whose elements have one type. Never throws. */
export function listAttributes(body: Uint8Array, skip = 0): { type: number; value: Uint8Array }[] {
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  const attributes: { type: number; value: Uint8Array }[] = [];
  for (let at = align(skip); at + ATTRIBUTE_HEADER_SIZE <= body.length;) {
    const length = view.getUint16(at, true);
    if (length < ATTRIBUTE_HEADER_SIZE || at + length > body.length) break;
    attributes.push({
      type: view.getUint16(at + 2, true) & NLA_TYPE_MASK,
      value: body.subarray(at + ATTRIBUTE_HEADER_SIZE, at + length),
    });
    at += align(length);
  }
  return attributes;
}

/** The number in an attribute of up to 4 bytes, host order; undefined when absent or empty. */
export function readNumber(value: Uint8Array | undefined): number | undefined {
  if (!value || value.length === 0 || value.length > 4) return undefined;
  let result = 0;
  for (let i = value.length - 1; i >= 0; i--) result = result * 256 + value[i]!;
  return result;
}

/** Text up to its NUL; undefined when absent. */
export function readText(value: Uint8Array | undefined): string | undefined {
  if (!value) return undefined;
  const end = value.indexOf(0);
  return new TextDecoder().decode(end < 0 ? value : value.subarray(0, end));
}

/** errno (0 = acknowledged) and the kernel's own words, if any, of an NLMSG_ERROR. */
export function decodeError(message: NetlinkMessage): { errno: number; text: string | undefined } {
  const { body, flags } = message;
  if (body.length < 4) return { errno: 0, text: undefined };
  const errno = 0 - new DataView(body.buffer, body.byteOffset, 4).getInt32(0, true);
  if ((flags & NLM_F_ACK_TLVS) === 0 || body.length < 4 + NLMSG_HEADER_SIZE) {
    return { errno, text: undefined };
  }
  // Behind the error: the request's header, and all of the request unless it was capped.
  const request = new DataView(body.buffer, body.byteOffset + 4, 4).getUint32(0, true);
  const skip = 4 + ((flags & NLM_F_CAPPED) !== 0 ? NLMSG_HEADER_SIZE : align(request));
  return { errno, text: readText(decodeAttributes(body, skip).get(NLMSGERR_ATTR_MSG)) };
}

function encodeAttribute({ type, value }: Attribute): Uint8Array<ArrayBuffer> {
  const isBytes = value instanceof Uint8Array;
  const payload = isBytes ? value : concat(value.map(encodeAttribute));
  const length = ATTRIBUTE_HEADER_SIZE + payload.length;
  const bytes = new Uint8Array(align(length));
  const view = new DataView(bytes.buffer);
  view.setUint16(0, length, true);
  view.setUint16(2, isBytes ? type : type | NLA_F_NESTED, true);
  bytes.set(payload, ATTRIBUTE_HEADER_SIZE);
  return bytes;
}

export function concat(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

function align(length: number): number {
  return (length + 3) & ~3;
}
