/** Transaction ids as map keys. */

/** A string of 12 characters (one per byte) that is equal exactly when the ids are; not for display. */
export function transactionKey(id: Uint8Array): string {
  return String.fromCharCode(...id);
}
