/**
 * Where in a TOML text a key stands. The parser gives no positions for valid documents; this reads just enough of the
 * syntax (table headers and keys at the start of a line) to point a person at the right line.
 */

type Path = readonly (string | number)[];

const QUOTES = /"""|'''/g;
const ARRAY_HEADER = /^\s*\[\[([^\]]+)\]\]/;
const HEADER = /^\s*\[([^\]]+)\]/;
const KEY = /^\s*((?:[\w-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[\w-]+|"[^"]*"|'[^']*'))*)\s*=/;

export class TomlLines {
  /** 1-based lines of keys and tables. */
  readonly #at = new Map<string, number>();
  /** First lines of what lies at or below a path. */
  readonly #below = new Map<string, number>();

  constructor(text: string) {
    let table: (string | number)[] = [];
    const counts = new Map<string, number>();
    for (const [index, line] of linesOutsideStrings(text)) {
      const array = ARRAY_HEADER.exec(line);
      const header = array ?? HEADER.exec(line);
      const key = header ? undefined : KEY.exec(line);
      if (header) {
        table = tableOf(keysOf(header[1]!), array !== null, counts);
        this.#note(table, index + 1);
      } else if (key) this.#note([...table, ...keysOf(key[1]!)], index + 1);
    }
  }

  /** Line of the key at `path` (`["resource", 2, "address"]`), or of the table or key that encloses it. */
  lineOf(path: Path): number | undefined {
    const exact = this.#at.get(nameOf(path)) ?? this.#below.get(nameOf(path));
    if (exact !== undefined) return exact;
    for (let depth = path.length - 1; depth > 0; depth--) {
      const enclosing = this.#at.get(nameOf(path.slice(0, depth)));
      if (enclosing !== undefined) return enclosing;
    }
    return undefined;
  }

  #note(path: Path, line: number): void {
    if (!this.#at.has(nameOf(path))) this.#at.set(nameOf(path), line);
    for (let depth = 1; depth < path.length; depth++) {
      const name = nameOf(path.slice(0, depth));
      if (!this.#below.has(name)) this.#below.set(name, line);
    }
  }
}

/** Lines that don't begin inside a string of several lines. */
function* linesOutsideStrings(text: string): Generator<[index: number, line: string]> {
  let quote: string | undefined;
  for (const [index, line] of text.split("\n").entries()) {
    const isInside = quote !== undefined;
    for (const [mark] of line.matchAll(QUOTES)) {
      if (quote === undefined) quote = mark;
      else if (quote === mark) quote = undefined;
    }
    if (!isInside) yield [index, line];
  }
}

/** What is below an array of tables is below its latest one. */
function tableOf(
  keys: readonly string[],
  isArray: boolean,
  counts: Map<string, number>,
): (string | number)[] {
  const table: (string | number)[] = [];
  keys.forEach((key, i) => {
    table.push(key);
    const name = nameOf(table);
    if (isArray && i === keys.length - 1) counts.set(name, (counts.get(name) ?? 0) + 1);
    const count = counts.get(name);
    if (count !== undefined) table.push(count - 1);
  });
  return table;
}

function keysOf(text: string): string[] {
  return text.split(".").map((part) => part.trim().replace(/^(["'])(.*)\1$/, "$2"));
}

function nameOf(path: Path): string {
  return JSON.stringify(path.map(String));
}
