/**
 * Secrets of a client-gateway pair: functions of both ids and keys, so that every authorization between the same two
 * processes carries the same ones. Devices take equal credentials as "keep the connection".
 */
import { hmac } from "@noble/hashes/hmac.js";
import { sha256 } from "@noble/hashes/sha2.js";

export interface PairMember {
  readonly id: string;
  /** Base64 text of the WireGuard public key. */
  readonly publicKey: string;
}

/** As they go over the wire. */
export interface WireIceCredentials {
  readonly username: string;
  readonly password: string;
}

export function pairIceCredentials(
  client: PairMember,
  gateway: PairMember,
): { client: WireIceCredentials; gateway: WireIceCredentials } {
  const seed = `${client.id}:${client.publicKey}:${gateway.id}:${gateway.publicKey}`;
  const text = base32(sha256(utf8.encode(seed)));
  return {
    client: { username: text.slice(0, 4), password: text.slice(4, 26) },
    gateway: { username: text.slice(26, 30), password: text.slice(30, 52) },
  };
}

/**
 * PBKDF2-HMAC-SHA256 with one iteration and 32 bytes, which is one HMAC over the salt and a block index of 1.
 * @param clientBase, gatewayBase secrets of the two devices, raw bytes
 * @returns base64
 */
export function pairPresharedKey(
  client: PairMember,
  clientBase: Uint8Array,
  gateway: PairMember,
  gatewayBase: Uint8Array,
): string {
  const salt =
    `WG_PSK|C_ID:${client.id}|G_ID:${gateway.id}|C_PK:${client.publicKey}|G_PK:${gateway.publicKey}\0\0\0\x01`;
  const password = new Uint8Array([...clientBase, ...gatewayBase]);
  return btoa(String.fromCharCode(...hmac(sha256, password, utf8.encode(salt))));
}

/**
 * A new device's part of its preshared keys. It follows from the token that it first logged in with, so that a portal
 * that lost its memory makes the same keys; one with a store keeps it when the token changes.
 */
export function presharedKeyBase(tokenHash: string, deviceId: string): Uint8Array {
  return hmac(sha256, utf8.encode(tokenHash), utf8.encode(`preshared key base of ${deviceId}`));
}

const utf8 = new TextEncoder();

/** RFC 4648 §6 in lower case, without padding. */
function base32(bytes: Uint8Array): string {
  let text = "", value = 0, bits = 0;
  for (const byte of bytes) {
    value = (value << 8) | byte;
    for (bits += 8; bits >= 5; bits -= 5) text += ALPHABET[(value >>> (bits - 5)) & 31];
    value &= 0xff;
  }
  return bits === 0 ? text : text + ALPHABET[(value << (5 - bits)) & 31];
}

const ALPHABET = "abcdefghijklmnopqrstuvwxyz234567";
