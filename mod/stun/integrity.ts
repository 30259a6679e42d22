/**
 * MESSAGE-INTEGRITY (RFC 8489 §14.5): HMAC-SHA1 over the message up to the attribute, with the header's length field
 * set as if the message ended behind it. Keys: the password itself for ICE (short-term), MD5 of
 * `username:realm:password` for TURN (long-term, RFC 8489 §9.2.2).
 */
import { md5 } from "@noble/hashes/legacy.js";
import { HEADER_SIZE } from "./constants.ts";
import { HmacSha1 } from "./hmac_sha1.ts";
import type { StunMessage } from "./message.ts";

export const INTEGRITY_SIZE = 20;
const utf8 = new TextEncoder();

/** Key of an ICE credential. (SASLprep is the identity for the ASCII credentials in use.) */
export function shortTermKey(password: string): Uint8Array {
  return utf8.encode(password);
}

/** 16-byte key of a TURN credential. */
export function longTermKey(username: string, realm: string, password: string): Uint8Array {
  return md5(utf8.encode(`${username}:${realm}:${password}`));
}

/** True when `message` carries a MESSAGE-INTEGRITY made with `key`; compares in constant time. */
export function verifyIntegrity(message: StunMessage, key: Uint8Array): boolean {
  if (!message.hasIntegrity) return false;
  const { raw, integrityOffset: end } = message;
  for (let i = 0; i < HEADER_SIZE; i++) header[i] = raw[i]!;
  const length = end + 4 + INTEGRITY_SIZE - HEADER_SIZE;
  header[2] = length >> 8;
  header[3] = length;
  keyed(key).sign(header, raw, HEADER_SIZE, end, expected, 0);
  let difference = 0;
  for (let i = 0; i < INTEGRITY_SIZE; i++) difference |= expected[i]! ^ raw[end + 4 + i]!;
  return difference === 0;
}

/** Fills in the value of the MESSAGE-INTEGRITY attribute at `at` of `bytes`, whose header states its end as its own. */
export function writeIntegrity(bytes: Uint8Array, at: number, key: Uint8Array): void {
  keyed(key).sign(NOTHING, bytes, 0, at, bytes, at + 4);
}

const NOTHING = new Uint8Array(0);
const header = new Uint8Array(HEADER_SIZE), expected = new Uint8Array(INTEGRITY_SIZE);

/** Prepared keys, for as long as their owners keep the bytes (and don't change them). */
const prepared = new WeakMap<Uint8Array, HmacSha1>();

function keyed(key: Uint8Array): HmacSha1 {
  let hmac = prepared.get(key);
  if (!hmac) prepared.set(key, hmac = new HmacSha1(key));
  return hmac;
}
