/** Transaction ids as map keys. */

/** A string of 12 characters (one per byte at `offset`) that is equal exactly when the ids are; not for display. */
export function transactionKey(id: Uint8Array, offset = 0): string {
  // deno-fmt-ignore
  return String.fromCharCode(
    id[offset]!, id[offset + 1]!, id[offset + 2]!, id[offset + 3]!, id[offset + 4]!, id[offset + 5]!,
    id[offset + 6]!, id[offset + 7]!, id[offset + 8]!, id[offset + 9]!, id[offset + 10]!, id[offset + 11]!,
  );
}
