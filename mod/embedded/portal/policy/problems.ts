/** What is wrong with a policy, and where: a line of the file, or an object that a verb made. */
import type { PolicyObject } from "./objects.ts";
import { TomlLines } from "./toml_lines.ts";

/** A TOML document as parsed, before anything is known of its shape. */
export type RawDocument = Readonly<Record<string, unknown>>;

export type Path = readonly (string | number)[];

export interface PolicyProblem {
  /** 1-based, in the file; undefined: of the file as a whole, or of an object. */
  readonly line: number | undefined;
  /** `client "laptop"` when it is about an object that a verb made. */
  readonly object?: string;
  /** `resource[2].address` in the file, `address` in an object; empty for the whole. */
  readonly key: string;
  readonly message: string;
}

export class PolicyError extends Error {
  override readonly name = "PolicyError";

  constructor(readonly file: string, readonly problems: readonly PolicyProblem[]) {
    const lines = problems.map((problem) => problemText(file, problem));
    super(`Cannot use the policy: ${problems.length} mistake(s). Correct them:\n${lines.join("\n")}`);
  }
}

/** One line, as a compiler would write it. */
export function problemText(file: string, { line, object, key, message }: PolicyProblem): string {
  const place = object === undefined
    ? `${file}${line === undefined ? "" : `:${line}`}`
    : `${object} (made by a verb)`;
  return `${place}: ${key === "" ? "" : `${key}: `}${message}`;
}

/** Collects problems at paths of a merged document. */
export class Problems {
  readonly found: PolicyProblem[] = [];
  readonly #text: string;
  #lines: TomlLines | undefined;
  readonly #document: RawDocument;
  readonly #objects: readonly PolicyObject[];

  /** @param document the file's alone */
  constructor(text: string, document: RawDocument, objects: readonly PolicyObject[]) {
    this.#text = text;
    this.#document = document;
    this.#objects = objects;
  }

  /** The object behind an entry of the merged document; undefined when it is the file's. */
  objectAt(path: Path): PolicyObject | undefined {
    const [kind, index] = path;
    if (typeof index !== "number") return undefined;
    const own = this.#document[String(kind)] ?? [];
    const count = Array.isArray(own) ? own.length : 0;
    return this.#objects.filter((one) => one.kind === kind)[index - count];
  }

  lineOf(path: Path): number | undefined {
    return (this.#lines ??= new TomlLines(this.#text)).lineOf(path);
  }

  add(path: Path, message: string): void {
    const object = this.objectAt(path);
    if (object === undefined) {
      this.found.push({ line: this.lineOf(path), key: keyText(path), message });
    } else {
      const name = `${object.kind} "${object.name}"`;
      this.found.push({ line: undefined, object: name, key: keyText(path.slice(2)), message });
    }
  }
}

function keyText(path: Path): string {
  return path.map((part, i) => typeof part === "number" ? `[${part + 1}]` : i === 0 ? part : `.${part}`).join(
    "",
  );
}
