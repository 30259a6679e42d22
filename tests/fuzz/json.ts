/** JSON of a hostile but skilled peer: true messages with one thing or another wrong. */
import type { Dice } from "./dice.ts";
import { fromText } from "./target.ts";

/** Values that code trips over; and keys that mean something to JavaScript. */
const ODD_TEXTS = [
  "",
  " ",
  "\u0000",
  "null",
  "__proto__",
  "constructor",
  "💥",
  "\ud800",
  "a".repeat(300),
  "../..",
  "1e999",
  "-1",
  "0x10",
  "*.",
  "**",
  "[",
  "10.0.0.1/33",
  "::/0",
  "00000000-0000-0000-0000-000000000000",
];
const ODD_NUMBERS = [0, -1, 1, 0.5, 65535, 65536, 2 ** 31, 2 ** 32, 2 ** 53, -(2 ** 53), 1e308, 1e-9];
const ODD_KEYS = [
  "__proto__",
  "constructor",
  "toString",
  "valueOf",
  "length",
  "then",
  "type",
  "id",
  "reason",
  "status",
];

/** Frames `{topic, event, payload, ref}` around changed copies of the payloads. */
export class Frames {
  readonly #messages: readonly (readonly [event: string, payload: unknown])[];
  readonly #topics: readonly string[];

  constructor(topics: readonly string[], messages: readonly (readonly [event: string, payload: unknown])[]) {
    this.#topics = topics;
    this.#messages = messages;
  }

  seeds(): Uint8Array[] {
    return this.#messages.map(([event, payload]) =>
      fromText(JSON.stringify({ topic: this.#topics[0], event, payload, ref: null }))
    );
  }

  generate(dice: Dice): Uint8Array {
    const [event, payload] = dice.pick(this.#messages);
    const ref = dice.pick<unknown>([null, null, dice.below(8), "1", undefined]);
    let frame: unknown = structuredClone({ topic: dice.pick(this.#topics), event, payload, ref });
    if (dice.once(6)) (frame as Record<string, unknown>).event = dice.pick(this.#messages)[0];
    for (let changes = dice.below(4); changes > 0; changes--) frame = change(frame, dice, 5);
    return fromText(JSON.stringify(frame) ?? "null");
  }
}

/** `value` with one part replaced, removed, added, doubled or moved into a list. */
export function change(value: unknown, dice: Dice, depth: number): unknown {
  if (typeof value !== "object" || value === null || depth === 0 || dice.once(5)) {
    return oddValue(value, dice, 2);
  }
  if (Array.isArray(value)) {
    const at = dice.below(value.length + 1);
    switch (dice.below(4)) {
      case 0:
        return value.toSpliced(at, 1);
      case 1:
        return value.toSpliced(at, 0, oddValue(undefined, dice, 2));
      case 2:
        return [...value, ...value];
      default:
        return value.length === 0
          ? value
          : value.with(at % value.length, change(value[at % value.length], dice, depth - 1));
    }
  }
  const entries = Object.entries(value);
  const at = dice.below(entries.length + 1);
  switch (dice.below(5)) {
    case 0:
      return asObject(entries.toSpliced(at, 1));
    case 1:
      return asObject([...entries, [dice.pick(ODD_KEYS), oddValue(undefined, dice, 2)]]);
    default: {
      if (entries.length === 0) return value;
      const [key, inner] = entries[at % entries.length]!;
      return asObject(entries.with(at % entries.length, [key, change(inner, dice, depth - 1)]));
    }
  }
}

function oddValue(value: unknown, dice: Dice, depth: number): unknown {
  if (typeof value === "string" && dice.once(2)) {
    const at = dice.below(value.length + 1);
    return value.slice(0, at) + (dice.once(2) ? dice.pick(ODD_TEXTS) : String.fromCharCode(dice.below(256))) +
      value.slice(at + dice.below(3));
  }
  if (typeof value === "number" && dice.once(2)) return value + dice.pick([-1, 1, 0.5, 1000]);
  switch (dice.below(depth > 0 ? 8 : 5)) {
    case 0:
      return null;
    case 1:
      return dice.once(2);
    case 2:
      return dice.pick(ODD_NUMBERS);
    case 3:
    case 4:
      return dice.pick(ODD_TEXTS);
    case 5:
      return Array.from({ length: dice.below(4) }, () => oddValue(undefined, dice, depth - 1));
    case 6:
      return asObject([[dice.pick(ODD_KEYS), oddValue(undefined, dice, depth - 1)]]);
    default:
      return dice.pick<unknown>([{}, { toString: 1, valueOf: 1 }]);
  }
}

/** Keeps `__proto__` as a key of its own, as `JSON.parse` makes it. */
function asObject(entries: readonly (readonly [string, unknown])[]): Record<string, unknown> {
  const object: Record<string, unknown> = {};
  for (const [key, value] of entries) {
    Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true });
  }
  return object;
}
