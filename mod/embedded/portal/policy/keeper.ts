/**
 * The policy in force and what it is made of: the file as it was when it was read last, and the objects that verbs made.
 * A change is a draft first, validated as a whole; it is in force once it is accepted.
 *
 * Objects join the file as it was read, not as it is on the disk: half an edit there must not come with somebody's verb.
 */
import { dirname, resolve } from "node:path";
import { policyOfSnapshot, type PolicySnapshot, readPolicy } from "./io.ts";
import { parseDocument, PolicyError } from "./file.ts";
import { mergeObjects, type ObjectKind, type PolicyObject, referrers } from "./objects.ts";
import type { PortalPolicy } from "./policy.ts";
import { Refusal } from "./refusal.ts";

export interface Draft {
  readonly policy: PortalPolicy;
  readonly objects: readonly PolicyObject[];
  /** Undefined when the policy was given as such. */
  readonly snapshot: PolicySnapshot | undefined;
}

export class PolicyKeeper {
  readonly #path: string | undefined;
  #current: Draft;

  /**
   * @param source path of a policy file, or a policy, to which nothing can be added
   * @throws PolicyError
   */
  constructor(source: string | PortalPolicy, objects: readonly PolicyObject[]) {
    this.#path = typeof source === "string" ? source : undefined;
    this.#current = typeof source === "string"
      ? { ...readPolicy(source, objects), objects }
      : { policy: source, snapshot: undefined, objects: [] };
  }

  get policy(): PortalPolicy {
    return this.#current.policy;
  }

  /** Paths of the policy file, first, and of the secret files that it names. */
  get files(): readonly string[] {
    const { snapshot } = this.#current;
    if (this.#path === undefined || snapshot === undefined) return [];
    const folder = dirname(resolve(this.#path));
    return [this.#path, ...[...snapshot.secrets.keys()].map((name) => resolve(folder, name))];
  }

  get objects(): readonly PolicyObject[] {
    return this.#current.objects;
  }

  /** The file as it is now. @throws PolicyError */
  read(): Draft {
    const { objects, snapshot: old } = this.#current;
    if (this.#path === undefined) return this.#current;
    const { policy, snapshot } = readPolicy(this.#path, objects);
    // Some editors and copies empty a file before they write it: that must not throw everybody out.
    if (snapshot.text.trim() === "" && old !== undefined && old.text.trim() !== "") {
      const message = "it is empty, so it is not taken; if that is meant, write a comment into it";
      throw new PolicyError(this.#path, [{ line: undefined, key: "", message }]);
    }
    return { policy, snapshot, objects };
  }

  /** Another policy instead of the present one. */
  given(policy: PortalPolicy): Draft {
    return { policy, snapshot: undefined, objects: [] };
  }

  /** What the text would make with the present objects. @throws PolicyError */
  preview(snapshot: PolicySnapshot): Draft {
    const { objects } = this.#current;
    return { policy: policyOfSnapshot(snapshot, objects), snapshot, objects };
  }

  /** @throws PolicyError, or Refusal when there is one already */
  added(object: PolicyObject): Draft {
    if (this.#has(object.kind, object.name)) {
      throw new Refusal(409, `there is a ${object.kind} "${object.name}" already. Change it with \`set\`.`);
    }
    if (this.#isInFile(object.kind, object.name)) {
      throw new Refusal(
        409,
        `${this.#current.snapshot?.file} has a ${object.kind} "${object.name}" already.`,
      );
    }
    return this.#draft([...this.objects, object]);
  }

  /**
   * @param changes keys and their new values; null removes one, a table is changed in the same way (RFC 7396)
   * @throws PolicyError, or Refusal when there is no such object
   */
  changed(kind: ObjectKind, name: string, changes: Readonly<Record<string, unknown>>): Draft {
    const old = this.#object(kind, name);
    const object = { kind, name, document: patched(old.document, changes) };
    return this.#draft(this.objects.map((one) => one === old ? object : one));
  }

  /** @throws PolicyError, or Refusal when there is no such object, or others refer to it */
  removed(kind: ObjectKind, name: string): Draft {
    const object = this.#object(kind, name);
    const rest = this.objects.filter((one) => one !== object);
    const named = referrers(mergeObjects(this.#document(), rest), kind, name);
    if (named.length > 0) {
      const verb = named.length === 1 ? "refers" : "refer";
      throw new Refusal(409, `${named.join(", ")} ${verb} to it. Change that first.`);
    }
    return this.#draft(rest);
  }

  accept(draft: Draft): void {
    this.#current = draft;
  }

  #draft(objects: readonly PolicyObject[]): Draft {
    const { snapshot } = this.#current;
    if (snapshot === undefined) throw new Refusal(409, "this portal has no policy file to add it to.");
    return { policy: policyOfSnapshot(snapshot, objects), snapshot, objects };
  }

  #document() {
    const { snapshot } = this.#current;
    return snapshot === undefined ? {} : parseDocument(snapshot.text, snapshot.file);
  }

  #has(kind: ObjectKind, name: string): boolean {
    return this.objects.some((one) => one.kind === kind && one.name === name);
  }

  #isInFile(kind: ObjectKind, name: string): boolean {
    const entries = this.#document()[kind];
    return Array.isArray(entries) && entries.some((entry) => entry.name === name);
  }

  #object(kind: ObjectKind, name: string): PolicyObject {
    const object = this.objects.find((one) => one.kind === kind && one.name === name);
    if (object) return object;
    const file = this.#current.snapshot?.file;
    throw this.#isInFile(kind, name)
      ? new Refusal(409, `it stands in ${file}. Edit that file; the portal reads it again by itself.`)
      : new Refusal(404, `there is no ${kind} "${name}".`);
  }
}

type Table = Readonly<Record<string, unknown>>;

function patched(old: Table, changes: Table): Table {
  const entries = new Map(Object.entries(old));
  for (const [key, value] of Object.entries(changes)) {
    const known = entries.get(key);
    if (value === null) entries.delete(key);
    else entries.set(key, isTable(value) ? patched(isTable(known) ? known : {}, value) : value);
  }
  return Object.fromEntries(entries);
}

function isTable(value: unknown): value is Table {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
