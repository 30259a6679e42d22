/**
 * Objects that were made by verbs while the portal runs, and how they join the policy file's: each is an entry of one
 * of the file's lists, in the file's own shape, so that one parser validates the whole.
 */
import type { RawDocument } from "./problems.ts";

export const OBJECT_KINDS = ["site", "gateway", "client", "user", "resource", "policy"] as const;
export type ObjectKind = typeof OBJECT_KINDS[number];

export interface PolicyObject {
  readonly kind: ObjectKind;
  readonly name: string;
  /** The entry without its name, as JSON: dates are texts. */
  readonly document: Readonly<Record<string, unknown>>;
}

/** What is kept in files next to the policy file, or never kept as text at all. */
export const FILE_ONLY_KEYS: readonly string[] = [
  "token",
  "token_file",
  "password_hash_file",
  "totp_secret_file",
];

export function isObjectKind(text: string): text is ObjectKind {
  return (OBJECT_KINDS as readonly string[]).includes(text);
}

/** The file's document with the objects behind its own entries. */
export function mergeObjects(document: RawDocument, objects: readonly PolicyObject[]): RawDocument {
  const merged: Record<string, unknown> = { ...document };
  for (const kind of OBJECT_KINDS) {
    const entries = document[kind] ?? [];
    const added = objects.filter((one) => one.kind === kind).map(({ name, document }) => ({
      ...document,
      name,
    }));
    // What is no list is for the schema to refuse.
    if (added.length > 0 && Array.isArray(entries)) merged[kind] = [...entries, ...added];
  }
  return merged;
}

/** Who names an object: `resource "Intranet"`. Groups and defaults are left to the parser. */
export function referrers(document: RawDocument, kind: ObjectKind, name: string): string[] {
  const entries = (of: string): Record<string, unknown>[] => {
    const list = document[of];
    return Array.isArray(list) ? list : [];
  };
  const naming = (of: string, keys: readonly string[]) =>
    entries(of).filter((entry) => keys.some((key) => [entry[key]].flat().includes(name)))
      .map((entry) => `${of} "${entry.name}"`);
  switch (kind) {
    case "site":
      return [...naming("gateway", ["site"]), ...naming("resource", ["site", "sites"])];
    case "resource":
      return naming("policy", ["resource"]);
    case "client":
    case "user":
      return [...naming("resource", ["allow"]), ...naming("policy", ["allow"])];
    default:
      return [];
  }
}
