/**
 * A fuzz target: code that must survive any bytes. Each file `tests/fuzz/<name>_fuzz.ts` exports one, as `target`.
 * Inputs that once mattered are kept in `tests/fuzz/corpus/<name>/`, one file each.
 */
export interface FuzzTarget {
  /** What must hold, as a sentence. */
  readonly title: string;
  /** Well-formed inputs to start from. */
  readonly seeds: readonly Uint8Array[];
  /** Throws when the property is violated. */
  run(input: Uint8Array): void;
}

export function fromHex(text: string): Uint8Array {
  return Uint8Array.fromHex(text.replace(/\s/g, ""));
}

export function fromText(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
