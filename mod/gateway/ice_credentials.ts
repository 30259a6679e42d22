/** Our half of the credentials of a connection, where the portal does not choose them (RFC 8445 §5.3). */
import type { RandomBytes } from "../crypto/types.ts";
import type { IceCredentials } from "../portal/types.ts";

/** 32 characters: five bits of each random byte make one. */
const ALPHABET = "abcdefghijklmnopqrstuvwxyz234567";
const UFRAG_LENGTH = 4, PASSWORD_LENGTH = 22;

/** Of the shape that portals give: 20 and 110 random bits. */
export function makeIceCredentials(random: RandomBytes): IceCredentials {
  const text = Array.from(random(UFRAG_LENGTH + PASSWORD_LENGTH), (byte) => ALPHABET[byte & 31]!).join("");
  return { ufrag: text.slice(0, UFRAG_LENGTH), password: text.slice(UFRAG_LENGTH) };
}
