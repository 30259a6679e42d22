/**
 * What a STUN message says about itself, read in place and without making objects, so that a flood of messages for
 * nobody costs next to nothing. The bytes must look like STUN (`looksLikeStun`); they need not be well-formed, and
 * nothing that is read here is authentic.
 */
import { AttributeType, HEADER_SIZE } from "./constants.ts";

/** True for a request of any method (class bits 00). */
export function isStunRequest(bytes: Uint8Array, offset: number): boolean {
  return (bytes[offset]! & 1) === 0 && (bytes[offset + 1]! & 0x10) === 0;
}

/** True for an indication of any method (class bits 01). */
export function isStunIndication(bytes: Uint8Array, offset: number): boolean {
  return (bytes[offset]! & 1) === 0 && (bytes[offset + 1]! & 0x10) !== 0;
}

/** A hash of the first `:`-terminated part of USERNAME, as {@link hashFragment} makes it; -1 when there is no such. */
export function fragmentHashOf(bytes: Uint8Array, offset: number, length: number): number {
  const end = offset + length;
  for (let at = offset + HEADER_SIZE; at + 4 <= end;) {
    const size = (bytes[at + 2]! << 8) | bytes[at + 3]!, value = at + 4;
    if (value + size > end) return -1;
    if (((bytes[at]! << 8) | bytes[at + 1]!) === AttributeType.USERNAME) {
      return hashBytes(bytes, value, value + size);
    }
    at = value + ((size + 3) & ~3);
  }
  return -1;
}

/** 30 bits: small enough for V8 to keep it without making an object of it. */
export function hashFragment(fragment: string): number {
  const bytes = new TextEncoder().encode(fragment);
  return hashBytes(bytes, 0, bytes.length);
}

/** FNV-1a up to `end` or a colon. Who doesn't know our fragments can't make theirs collide; and nothing would follow. */
function hashBytes(bytes: Uint8Array, start: number, end: number): number {
  let hash = 0x811c9dc5;
  for (let at = start; at < end && bytes[at] !== 0x3a; at++) hash = Math.imul(hash ^ bytes[at]!, 0x01000193);
  return (hash ^ hash >>> 15) >>> 2;
}
