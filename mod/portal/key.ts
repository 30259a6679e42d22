/** Keys on the wire: 32 bytes in standard base64 with padding, hence always 44 characters. */

/** 32 bytes, or undefined when `text` is not the one canonical spelling of such a key. */
export function parseKey(text: string): Uint8Array<ArrayBuffer> | undefined {
  if (!/^[A-Za-z0-9+/]{43}=$/.test(text)) return undefined;
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  return formatKey(bytes) === text ? bytes : undefined;
}

export function formatKey(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes));
}
