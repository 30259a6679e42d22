/**
 * The id under which the portal knows a device. A configured id that looks like a UUID goes over the wire as the
 * SHA-256 of its text exactly as written (two spellings of one UUID are two devices); any other id goes verbatim.
 */
import { sha256 } from "@noble/hashes/sha2.js";
import { parseUuid } from "./uuid.ts";

export function externalId(id: string): string {
  return parseUuid(id) === undefined ? id : sha256(new TextEncoder().encode(id)).toHex();
}
