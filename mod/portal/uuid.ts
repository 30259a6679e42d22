/** UUIDs as the devices read them: hyphenated, bare hex, braced and URN spellings, any letter case. */
import type { Id } from "./types.ts";

const HYPHENATED = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const BARE = /^[0-9a-f]{32}$/;

/** The canonical spelling (lower-case, hyphenated), or undefined when `text` is no UUID. */
export function parseUuid(text: string): Id | undefined {
  let body = text.toLowerCase();
  if (body.length === 38 && body.startsWith("{") && body.endsWith("}")) body = body.slice(1, -1);
  else if (body.length === 45 && body.startsWith("urn:uuid:")) body = body.slice(9);
  else if (BARE.test(body)) return hyphenate(body);
  return HYPHENATED.test(body) ? body : undefined;
}

/** 16 bytes in canonical spelling. */
export function formatUuid(bytes: Uint8Array): Id {
  return hyphenate(bytes.subarray(0, 16).toHex());
}

function hyphenate(hex: string): Id {
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}
