/** What no two entries may share: names, ids, tokens. */
import type { Id } from "../../../portal/types.ts";
import type { Path, Problems } from "./problems.ts";

interface Named {
  readonly name: string;
}

export class Uniqueness {
  readonly #problems: Problems;
  readonly #file: string;

  /** @param file name of the policy file */
  constructor(problems: Problems, file: string) {
    this.#problems = problems;
    this.#file = file;
  }

  /** Names are unique among all these lists. */
  checkNames(lists: Readonly<Record<string, readonly Named[]>>): void {
    const first = new Map<string, Path>();
    for (const [kind, entries] of Object.entries(lists)) {
      entries.forEach(({ name }, index) => {
        const path = [kind, index, "name"];
        const twin = first.get(name);
        if (twin === undefined) first.set(name, path);
        // Whoever made the object is the one to remove it.
        else if (!this.#isObject(path) && this.#isObject(twin)) this.#addTwin(name, path, twin);
        else this.#addTwin(name, twin, path);
      });
    }
  }

  /** Equal names have equal ids and are reported as such. */
  checkIds(kind: string, entries: readonly ((Named & { readonly id: Id }) | undefined)[]): void {
    entries.forEach((entry, index) => {
      const twin = entries.find((one) => one !== undefined && one.id === entry?.id);
      if (twin !== entry && twin?.name !== entry?.name) {
        this.#problems.add([kind, index, "id"], "it is used twice");
      }
    });
  }

  checkTokens(tokens: readonly { readonly token: string | undefined; readonly path: Path }[]): void {
    const seen = new Set<string>();
    for (const { token, path } of tokens) {
      if (token === undefined) continue;
      if (seen.has(token)) this.#problems.add(path, "this token is used twice");
      seen.add(token);
    }
  }

  #addTwin(name: string, twin: Path, path: Path): void {
    const kind = twin[0] === path[0] ? "" : `, as a ${twin[0]}`;
    if (!this.#isObject(path) || this.#isObject(twin)) {
      return this.#problems.add(path, `"${name}" is there already${kind}`);
    }
    const place = `${this.#file}:${this.#problems.lineOf(twin)}`;
    const remove = `remove it there, or here with \`postern portal ${path[0]} remove\``;
    this.#problems.add(path, `"${name}" stands in ${place}, too${kind}; ${remove}`);
  }

  #isObject(path: Path): boolean {
    return this.#problems.objectAt(path) !== undefined;
  }
}
