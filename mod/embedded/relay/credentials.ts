/**
 * Relay credentials that need no account at the relay (spec portal §4.6).
 *
 * The portal and the relay share one stamp secret. A username says until when it is valid and carries a salt (the
 * hash of the device's public key); the password is a hash over both and the secret. So the relay recomputes the
 * password from the username alone, and forgets nobody.
 */
import { sha256 } from "@noble/hashes/sha2.js";

/** The realm that every device of this system expects and every relay answers. */
export const REALM = "firezone";

export interface RelayCredentials {
  readonly username: string;
  readonly password: string;
}

export interface RelayCredentialsRequest {
  /** The device's public key as the 44-character base64 text it is known by. */
  readonly publicKey: string;
  /** The relay's secret as text, exactly as the relay stated it. */
  readonly stampSecret: string;
  /** Unix seconds. Keep it stable for a device: new credentials mean a new allocation. */
  readonly expiresAt: number;
}

/** The credentials that a device with `publicKey` uses at the relay with `stampSecret`. */
export function relayCredentials(request: RelayCredentialsRequest): RelayCredentials {
  const salt = base64NoPad(sha256(utf8.encode(request.publicKey)));
  return {
    username: `${request.expiresAt}:${salt}`,
    password: relayPassword(request.expiresAt, request.stampSecret, salt),
  };
}

/** `base64_nopad(SHA-256("<expiresAt>:<stampSecret>:<salt>"))` */
export function relayPassword(expiresAt: number | string, stampSecret: string, salt: string): string {
  return base64NoPad(sha256(utf8.encode(`${expiresAt}:${stampSecret}:${salt}`)));
}

export interface RelayUsername {
  /** Unix seconds, as the text that the password was made of. */
  readonly expiresAt: string;
  readonly salt: string;
}

/** The parts of a username, or undefined when it is not `<digits>:<salt>` (exactly two parts). */
export function parseRelayUsername(username: string): RelayUsername | undefined {
  const match = /^(\d{1,15}):([^:]+)$/.exec(username);
  return match ? { expiresAt: match[1]!, salt: match[2]! } : undefined;
}

const utf8 = new TextEncoder();

function base64NoPad(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes)).replaceAll("=", "");
}
