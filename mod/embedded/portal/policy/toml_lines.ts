/**
 * Where in a TOML text a key stands. The parser gives no positions for valid documents; this reads just enough of the
 * syntax (table headers and keys at the start of a line) to point a person at the right line.
 */

type Path = readonly (string | number)[];

/** 1-based line of the key at `path` (`["resource", 2, "address"]`), or of the table or key that encloses it. */
export function lineOf(text: string, path: Path): number | undefined {
  let table: (string | number)[] = [];
  /** Of something that lies at the path, for a list as a whole. */
  let first: number | undefined;
  let best: { line: number; depth: number } | undefined;
  const counts = new Map<string, number>();
  const consider = (found: Path, line: number) => {
    const inside = found.length > path.length && path.every((part, i) => String(part) === String(found[i]));
    if (inside) first ??= line;
    const fits = found.length <= path.length && found.every((part, i) => String(part) === String(path[i]));
    if (fits && (best === undefined || found.length > best.depth)) best = { line, depth: found.length };
  };
  let quote: string | undefined;
  text.split("\n").forEach((raw, index) => {
    const inside = quote !== undefined;
    for (const [mark] of raw.matchAll(/"""|'''/g)) {
      if (quote === undefined) quote = mark;
      else if (quote === mark) quote = undefined;
    }
    if (inside) return;
    const array = /^\s*\[\[([^\]]+)\]\]/.exec(raw);
    const header = array ?? /^\s*\[([^\]]+)\]/.exec(raw);
    if (header) {
      table = [];
      for (const [i, key] of keysOf(header[1]!).entries()) {
        table.push(key);
        const name = JSON.stringify(table);
        const last = array !== null && i === keysOf(header[1]!).length - 1;
        if (last) counts.set(name, (counts.get(name) ?? 0) + 1);
        // Below an array of tables is below its latest one.
        if (counts.has(name)) table.push(counts.get(name)! - 1);
      }
      return consider(table, index + 1);
    }
    const key = /^\s*((?:[\w-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[\w-]+|"[^"]*"|'[^']*'))*)\s*=/.exec(raw);
    if (key) consider([...table, ...keysOf(key[1]!)], index + 1);
  });
  return best?.depth === path.length ? best.line : first ?? best?.line;
}

function keysOf(text: string): string[] {
  return text.split(".").map((part) => part.trim().replace(/^(["'])(.*)\1$/, "$2"));
}
