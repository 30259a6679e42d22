/**
 * Domain names on the wire (RFC 1035 §3.1, §4.1.4) and as text.
 *
 * Text is lower case, without a trailing dot; the root is "". Bytes that a host name does not have, and dots inside a
 * label, are written `\DDD` (RFC 1035 §5.1), so that two names are equal exactly when their texts are.
 */

const MAX_NAME = 255;
const MAX_LABEL = 63;
/** As many as a name can have labels; a message full of names at the end of a longer chain would be hard work. */
const MAX_POINTERS = 127;
/** Pointers lead to names, and the first of them is behind the header. */
const FIRST_NAME = 12;
const DOT = 0x2e, BACKSLASH = 0x5c;

/** Names that pointers of one message lead to, by offset: thousands of records may end in the same one. */
export type KnownNames = Map<number, { readonly text: string; readonly size: number }>;

/**
 * The name at `offset` and where the bytes behind it begin; undefined when it is not well-formed. A compression
 * pointer must lead strictly backwards, so that reading ends whatever the bytes are.
 * @param known what was read of the same message before
 */
export function readName(
  bytes: Uint8Array,
  offset: number,
  known?: KnownNames,
): { text: string; end: number } | undefined {
  let text = "", size = 1, end = -1, at = offset, lowest = offset, pointers = 0;
  let target = -1, own = 0, ownSize = 0;
  for (;;) {
    const length = bytes[at];
    if (length === undefined) return undefined;
    if (length === 0) {
      if (target >= 0) {
        known?.set(target, { text: own === 0 ? text : text.slice(own + 1), size: size - ownSize });
      }
      return { text, end: end < 0 ? at + 1 : end };
    }
    if (length >= 0xc0) {
      const low = bytes[at + 1];
      if (low === undefined) return undefined;
      if (end < 0) end = at + 2;
      at = (length & 0x3f) << 8 | low;
      if (at < FIRST_NAME || at >= lowest || ++pointers > MAX_POINTERS) return undefined;
      lowest = at;
      const rest = known?.get(at);
      if (rest) {
        size += rest.size;
        const dot = text === "" || rest.text === "" ? "" : ".";
        return size > MAX_NAME ? undefined : { text: text + dot + rest.text, end };
      }
      if (target < 0) [target, own, ownSize] = [at, text.length, size];
    } else {
      size += 1 + length;
      if (length > MAX_LABEL || size > MAX_NAME || at + 1 + length > bytes.length) return undefined;
      text += (text === "" ? "" : ".") + labelText(bytes, at + 1, length);
      at += 1 + length;
    }
  }
}

/** Wire form, uncompressed. Undefined for text that is no name (an empty or long label, a bad escape). */
export function encodeName(text: string): Uint8Array<ArrayBuffer> | undefined {
  const out: number[] = [];
  if (text !== "") {
    for (const label of text.split(".")) {
      const bytes = labelBytes(label);
      if (!bytes || bytes.length === 0 || bytes.length > MAX_LABEL) return undefined;
      out.push(bytes.length, ...bytes);
    }
  }
  out.push(0);
  return out.length > MAX_NAME ? undefined : Uint8Array.from(out);
}

function labelText(bytes: Uint8Array, offset: number, length: number): string {
  let text = "";
  for (let i = offset; i < offset + length; i++) {
    const byte = bytes[i]!;
    if (byte <= 0x20 || byte >= 0x7f || byte === DOT || byte === BACKSLASH) {
      text += `\\${String(byte).padStart(3, "0")}`;
    } else text += String.fromCharCode(byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte);
  }
  return text;
}

function labelBytes(label: string): number[] | undefined {
  const bytes: number[] = [];
  for (let i = 0; i < label.length; i++) {
    const escape = /^\\(\d{3})/.exec(label.slice(i, i + 4))?.[1];
    const code = escape === undefined ? label.charCodeAt(i) : Number(escape);
    if (code > 255 || (escape === undefined && (code <= 0x20 || code >= 0x7f || code === BACKSLASH))) {
      return undefined;
    }
    bytes.push(code);
    if (escape !== undefined) i += 3;
  }
  return bytes;
}
