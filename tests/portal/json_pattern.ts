/** JSON with holes in it: `$NAME` for values that are known or to be learnt, `…` for what doesn't matter. */

export type Bindings = Readonly<Record<string, unknown>>;

/** Where anything may stand. */
const ANY = Symbol("…");
/** A key or last item that stands for any further ones. */
const MORE = "\u0000…";

class Variable {
  constructor(readonly name: string) {}
}

const TOKEN = /"(?:[^"\\]|\\.)*"|\$\w+|…|[{}[\]:,]|[^\s{}[\]:,"$…]+/g;

/** @throws SyntaxError */
export function readPattern(text: string): unknown {
  const stack: string[] = [];
  let before = "";
  const json = (text.match(TOKEN) ?? []).map((token) => {
    const result = translate(token, stack.at(-1), before);
    if (token === "{" || token === "[") stack.push(token);
    else if (token === "}" || token === "]") stack.pop();
    before = token;
    return result;
  }).join("");
  return JSON.parse(json, (_, value) => {
    if (value === "\u0000any") return ANY;
    return typeof value === "string" && value.startsWith("\u0000$") ? new Variable(value.slice(2)) : value;
  });
}

function translate(token: string, inside: string | undefined, before: string): string {
  if (token.startsWith("$")) return JSON.stringify(`\u0000${token}`);
  if (token !== "…") return token;
  if (inside === undefined || before === ":") return JSON.stringify("\u0000any");
  return inside === "{" ? `${JSON.stringify(MORE)}:0` : JSON.stringify(MORE);
}

/** The value with every variable replaced. @throws Error for an unknown one and for holes. */
export function substitute(pattern: unknown, bindings: Bindings): unknown {
  if (pattern instanceof Variable) {
    if (!Object.hasOwn(bindings, pattern.name)) throw new Error(`$${pattern.name} is not known`);
    return substitute(bindings[pattern.name], bindings);
  }
  if (pattern === ANY || pattern === MORE) throw new Error("… can only stand in what is expected");
  if (Array.isArray(pattern)) return pattern.map((item) => substitute(item, bindings));
  if (typeof pattern !== "object" || pattern === null) return pattern;
  if (MORE in pattern) throw new Error("… can only stand in what is expected");
  return Object.fromEntries(
    Object.entries(pattern).map(([key, value]) => [key, substitute(value, bindings)]),
  );
}

/** Undefined when the value fits (variables that were free are bound then), else where and how it doesn't. */
export function matches(
  pattern: unknown,
  value: unknown,
  bindings: Record<string, unknown>,
  path: string,
): string | undefined {
  if (pattern === ANY) return undefined;
  if (pattern instanceof Variable) {
    if (!Object.hasOwn(bindings, pattern.name)) {
      bindings[pattern.name] = value;
      return undefined;
    }
    return matches(bindings[pattern.name], value, bindings, path);
  }
  if (Array.isArray(pattern)) return matchesList(pattern, value, bindings, path);
  if (typeof pattern === "object" && pattern !== null) return matchesObject(pattern, value, bindings, path);
  return pattern === value ? undefined : `${path} is ${JSON.stringify(value)}`;
}

function matchesList(
  pattern: unknown[],
  value: unknown,
  bindings: Record<string, unknown>,
  path: string,
): string | undefined {
  if (!Array.isArray(value)) return `${path} is no list`;
  const isOpen = pattern.at(-1) === MORE;
  const items = isOpen ? pattern.slice(0, -1) : pattern;
  if (isOpen ? value.length < items.length : value.length !== items.length) {
    return `${path} has ${value.length} items`;
  }
  for (let i = 0; i < items.length; i++) {
    const difference = matches(items[i], value[i], bindings, `${path}.${i}`);
    if (difference !== undefined) return difference;
  }
  return undefined;
}

function matchesObject(
  pattern: object,
  value: unknown,
  bindings: Record<string, unknown>,
  path: string,
): string | undefined {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return `${path} is no object`;
  const wanted = Object.entries(pattern).filter(([key]) => key !== MORE);
  const extra = Object.keys(value).find((key) => !wanted.some(([known]) => known === key));
  if (extra !== undefined && !(MORE in pattern)) return `${path}.${extra} is there`;
  for (const [key, inner] of wanted) {
    if (!Object.hasOwn(value, key)) return `${path}.${key} is missing`;
    const difference = matches(inner, (value as Bindings)[key], bindings, `${path}.${key}`);
    if (difference !== undefined) return difference;
  }
  return undefined;
}
