/**
 * ChannelData (RFC 8656 §12.4) in the exact form the relays of this system forward: u16 channel number, u16 length
 * of the payload, payload, and not one byte more. Their kernel fast path drops a datagram whose length field differs
 * from what follows (snownet §3.9), so nothing is padded and nothing padded is accepted.
 */
import { takeBytes } from "./chunk.ts";

export const CHANNEL_DATA_HEADER_SIZE = 4;
/** Channel numbers of RFC 8656 §12; the relays' dialect hands out 0x4000..0x4FFF only, and 0x8000 up is not STUN's. */
export const FIRST_CHANNEL = 0x4000;
export const LAST_CHANNEL = 0x7fff;

export interface ChannelData {
  /** 0x4000..0x7FFF. */
  readonly channel: number;
  /** A view of the bytes given to the decoder. */
  readonly payload: Uint8Array;
}

/** Undefined when `bytes` is not exactly one ChannelData message. Never throws. */
export function decodeChannelData(bytes: Uint8Array): ChannelData | undefined {
  if (bytes.length < CHANNEL_DATA_HEADER_SIZE) return undefined;
  const channel = (bytes[0]! << 8) | bytes[1]!;
  const length = (bytes[2]! << 8) | bytes[3]!;
  if (channel < FIRST_CHANNEL || channel > LAST_CHANNEL) return undefined;
  if (length !== bytes.length - CHANNEL_DATA_HEADER_SIZE) return undefined;
  return { channel, payload: bytes.subarray(CHANNEL_DATA_HEADER_SIZE) };
}

/**
 * The bytes share their buffer with others'.
 * @param payload at most 65503 bytes (what a UDP datagram holds behind the header).
 */
export function encodeChannelData(channel: number, payload: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = takeBytes(CHANNEL_DATA_HEADER_SIZE + payload.length);
  bytes[0] = channel >> 8;
  bytes[1] = channel & 255;
  bytes[2] = payload.length >> 8;
  bytes[3] = payload.length & 255;
  bytes.set(payload, CHANNEL_DATA_HEADER_SIZE);
  return bytes;
}
