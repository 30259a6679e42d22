/**
 * A fuzz target: code that must survive any bytes. Each file `tests/fuzz/<name>_fuzz.ts` exports one, as `target`,
 * and is listed in `targets.ts`. Inputs that once mattered are kept in `tests/fuzz/corpus/<name>.hex`.
 */
import type { Dice } from "./dice.ts";

/**
 * What an input led to, in as few words as tell behaviours apart: a reason, a state, a set of counters that moved.
 * An input with an outcome that was never seen before is kept as a starting point for others: it is the only
 * feedback there is, since V8 offers no coverage that would be cheap enough per input.
 */
export type Outcome = string | number;

/** Throws when the property is violated. The input is its own to change. */
export type Run = (input: Uint8Array) => Outcome;

export interface FuzzTarget {
  /** What must hold, as a sentence. */
  readonly title: string;
  /** Well-formed inputs to start from. */
  readonly seeds: readonly Uint8Array[];
  /** Text of the corpus file: {@link parseCorpus}. */
  readonly corpus: string;
  /** Byte strings worth inserting anywhere. */
  readonly dictionary?: readonly Uint8Array[];
  /** Longest input; default 4096. */
  readonly maxLength?: number;
  /** An input that random mutations would hardly come by. */
  readonly generate?: (dice: Dice) => Uint8Array;
  /** Inputs that one machine sees, one after the other, before a fresh one is made. Default 1000. */
  readonly lifetime?: number;
  /** Inputs in the smoke test; default 2000. */
  readonly smoke?: number;
  /** A fresh machine. Nothing but what it is made of may influence what it does. */
  start(): Run;
}

/**
 * The entries of a corpus file. One line is one input in hex; an entry of several lines is a sequence of inputs for
 * one machine; entries are apart by blank lines, and lines with `#` say what an entry once broke.
 */
export function parseCorpus(text: string): Uint8Array<ArrayBuffer>[][] {
  const entries: Uint8Array<ArrayBuffer>[][] = [];
  let entry: Uint8Array<ArrayBuffer>[] = [];
  for (const line of [...text.split("\n"), ""]) {
    if (line.startsWith("#")) continue;
    if (line.trim() !== "") entry.push(line.trim() === "-" ? new Uint8Array(0) : fromHex(line));
    else if (entry.length > 0) entries.push(entry), entry = [];
  }
  return entries;
}

/** The same as one entry of a corpus file; `-` is the empty input. */
export function formatEntry(inputs: readonly Uint8Array[]): string {
  return inputs.map((input) => input.length === 0 ? "-" : input.toHex()).join("\n");
}

export function fromHex(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.fromHex(text.replace(/\s/g, ""));
}

export function fromText(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}

export function join(...parts: (Uint8Array | readonly number[])[]): Uint8Array<ArrayBuffer> {
  const joined = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) joined.set(part, at), at += part.length;
  return joined;
}
