/**
 * The four messages of WireGuard (paper §5.4): sizes, field offsets and their classification.
 *
 * All integers are little-endian; the type is one byte followed by three zero bytes, read as one u32.
 *
 *     initiation  type 1 · sender · ephemeral 32 · static 48 · timestamp 28 · mac1 16 · mac2 16
 *     response    type 2 · sender · receiver · ephemeral 32 · empty 16 · mac1 16 · mac2 16
 *     cookie      type 3 · receiver · nonce 24 · cookie 32
 *     transport   type 4 · receiver · counter u64 · packet + tag 16
 */
export const MessageType = { None: 0, Initiation: 1, Response: 2, CookieReply: 3, Transport: 4 } as const;
export type MessageType = (typeof MessageType)[keyof typeof MessageType];

export const INITIATION_LENGTH = 148;
export const RESPONSE_LENGTH = 92;
export const COOKIE_REPLY_LENGTH = 64;
/** Header of a transport message; the ciphertext follows. */
export const TRANSPORT_HEADER_LENGTH = 16;
/** A keepalive: header and tag around nothing. The shortest transport message. */
export const KEEPALIVE_LENGTH = 32;

export const INITIATION = {
  sender: 4,
  ephemeral: 8,
  static: 40,
  timestamp: 88,
  mac1: 116,
  mac2: 132,
} as const;
export const RESPONSE = { sender: 4, receiver: 8, ephemeral: 12, empty: 44, mac1: 60, mac2: 76 } as const;
export const COOKIE_REPLY = { receiver: 4, nonce: 8, cookie: 32 } as const;
export const TRANSPORT = { receiver: 4, counter: 8, packet: 16 } as const;

/**
 * Which message `bytes[offset, offset + length)` is by its first word and length, or None. No allocation.
 * Only a transport message may have more than one length.
 */
export function classify(bytes: Uint8Array, offset = 0, length: number = bytes.length - offset): MessageType {
  if (length < KEEPALIVE_LENGTH || readU32(bytes, offset) > MessageType.Transport) return MessageType.None;
  const type = bytes[offset]!;
  if (type === MessageType.Transport) return type;
  if (type === MessageType.Initiation && length === INITIATION_LENGTH) return type;
  if (type === MessageType.Response && length === RESPONSE_LENGTH) return type;
  if (type === MessageType.CookieReply && length === COOKIE_REPLY_LENGTH) return type;
  return MessageType.None;
}

/** The little-endian u32 at `offset`, as an unsigned number. */
export function readU32(bytes: Uint8Array, offset: number): number {
  return (bytes[offset]! | bytes[offset + 1]! << 8 | bytes[offset + 2]! << 16 | bytes[offset + 3]! << 24) >>>
    0;
}

export function writeU32(bytes: Uint8Array, offset: number, value: number): void {
  bytes[offset] = value;
  bytes[offset + 1] = value >>> 8;
  bytes[offset + 2] = value >>> 16;
  bytes[offset + 3] = value >>> 24;
}
