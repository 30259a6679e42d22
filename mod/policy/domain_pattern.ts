/**
 * Which names belong to a DNS resource (spec policy §1.7): the resource's address is a shell-style glob over the
 * labels of a name, ASCII-case-insensitive.
 *
 * `?` one character · `*` any run inside one label · `**` as a whole label: zero or more labels · `[a-z]`, `[!x]` one
 * character of a class. None of them but `**` ever matches the dot. A pattern that begins with `*.` also matches the
 * bare remainder. An invalid pattern matches nothing.
 *
 * Matching walks all alternatives at once (Thompson's construction), so that neither a pattern nor a name, which a
 * client chooses, can make it slow.
 */

type Token =
  | { readonly type: "char"; readonly char: string }
  | { readonly type: "any" }
  | { readonly type: "run" }
  | { readonly type: "labels" }
  | {
    readonly type: "class";
    readonly negated: boolean;
    readonly ranges: readonly (readonly [string, string])[];
  };

export class DomainPattern {
  readonly #tokens: readonly Token[] | undefined;
  readonly #bare: string | undefined;

  constructor(readonly text: string) {
    const pattern = text.toLowerCase();
    this.#tokens = parse(pattern);
    this.#bare = this.#tokens && pattern.startsWith("*.") ? pattern.slice(2) : undefined;
  }

  /** False for a pattern that matches nothing because it can't be understood. */
  get valid(): boolean {
    return this.#tokens !== undefined;
  }

  /** @param domain a name without trailing dot. */
  matches(domain: string): boolean {
    if (!this.#tokens) return false;
    const name = domain.toLowerCase();
    return name === this.#bare || run(this.#tokens, name);
  }
}

/** Undefined when the pattern is invalid. */
function parse(pattern: string): Token[] | undefined {
  const tokens: Token[] = [];
  let at = 0;
  while (at < pattern.length) {
    const char = pattern[at]!;
    if (char === "*") {
      let end = at;
      while (pattern[end] === "*") end++;
      if (end - at > 2) return undefined;
      if (end - at === 1) tokens.push({ type: "run" });
      else {
        const starts = at === 0 || pattern[at - 1] === ".",
          ends = end === pattern.length || pattern[end] === ".";
        if (!starts || !ends) return undefined;
        if (tokens.at(-1)?.type !== "labels") tokens.push({ type: "labels" });
        if (end < pattern.length) end++; // its dot goes with the labels
      }
      at = end;
    } else if (char === "[") {
      const negated = pattern[at + 1] === "!";
      const first = at + (negated ? 2 : 1);
      const close = pattern.indexOf("]", first + 1);
      if (close < 0) return undefined;
      tokens.push({ type: "class", negated, ranges: rangesOf(pattern.slice(first, close)) });
      at = close + 1;
    } else {
      tokens.push(char === "?" ? { type: "any" } : { type: "char", char });
      at++;
    }
  }
  return tokens;
}

function rangesOf(text: string): [string, string][] {
  const ranges: [string, string][] = [];
  for (let i = 0; i < text.length; i++) {
    if (text[i + 1] === "-" && i + 2 < text.length) {
      ranges.push([text[i]!, text[i + 2]!]);
      i += 2;
    } else ranges.push([text[i]!, text[i]!]);
  }
  return ranges;
}

/**
 * State 2i: before token i (for `labels`: at the start of a label). State 2i + 1: inside a label that `labels` skips.
 */
function run(tokens: readonly Token[], name: string): boolean {
  let states = new Set<number>();
  enter(states, tokens, 0);
  for (const char of name) {
    const next = new Set<number>();
    for (const state of states) step(next, tokens, state, char);
    if (next.size === 0) return false;
    states = next;
  }
  // A trailing `**` also ends in the middle of what it skips.
  return states.has(2 * tokens.length) ||
    (tokens.at(-1)?.type === "labels" && states.has(2 * tokens.length - 1));
}

function step(next: Set<number>, tokens: readonly Token[], state: number, char: string): void {
  const index = state >> 1, token = tokens[index];
  if (token?.type === "labels") {
    if (char === ".") enter(next, tokens, index);
    else next.add(2 * index + 1);
  } else if (token?.type === "run") {
    if (char !== ".") enter(next, tokens, index);
  } else if (token && accepts(token, char)) {
    enter(next, tokens, index + 1);
  }
}

/** Adds the state before token `index` and what can be reached from it without a character. */
function enter(states: Set<number>, tokens: readonly Token[], index: number): void {
  states.add(2 * index);
  const type = tokens[index]?.type;
  if (type === "run" || type === "labels") enter(states, tokens, index + 1);
}

function accepts(token: Token, char: string): boolean {
  if (token.type === "char") return token.char === char;
  if (char === ".") return false;
  if (token.type !== "class") return token.type === "any";
  return token.ranges.some(([from, to]) => from <= char && char <= to) !== token.negated;
}
