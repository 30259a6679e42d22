/** Reads the policy file and the token files that it names; makes the token files that don't exist yet. */
import { dirname, resolve } from "node:path";
import type { PolicyObject } from "./objects.ts";
import type { PortalPolicy } from "./policy.ts";
import { parseDocument, parsePolicy, PolicyError } from "./file.ts";

/** A policy file as it was at one moment, with the secrets of the files that it names. */
export interface PolicySnapshot {
  /** Name of the file, for messages. */
  readonly file: string;
  readonly text: string;
  /** By the paths that the policy names them with. */
  readonly secrets: ReadonlyMap<string, string>;
}

/** Whether secret files that don't exist are made, or only thought of. */
export type MissingSecrets = "make" | "pretend";

/** @throws PolicyError when the file can't be read or has mistakes */
export function loadPolicy(path: string): PortalPolicy {
  return readPolicy(path).policy;
}

/**
 * Reads the file now.
 * @param objects made by verbs, besides the file's
 * @throws PolicyError when the file can't be read, or the whole has mistakes
 */
export function readPolicy(
  path: string,
  objects: readonly PolicyObject[] = [],
  missing: MissingSecrets = "make",
): { readonly policy: PortalPolicy; readonly snapshot: PolicySnapshot } {
  const text = readText(path);
  const folder = dirname(resolve(path));
  const secrets = new Map<string, string>();
  const readSecret = (name: string, mayMake: boolean) => {
    const secret = secrets.get(name) ?? readSecretFile(resolve(folder, name), mayMake ? missing : "refuse");
    secrets.set(name, secret);
    return secret;
  };
  const policy = parsePolicy(text, { file: path, readSecret }, objects);
  return { policy, snapshot: { file: path, text, secrets } };
}

/**
 * The file as it is now and whatever secret files it names, for somebody else to parse: it may refer to objects that
 * only the running portal knows. Secrets that don't exist are thought of.
 * @throws PolicyError when the file can't be read, or is no TOML
 */
export function snapshotPolicy(path: string): PolicySnapshot {
  const text = readText(path);
  const folder = dirname(resolve(path));
  const entries = Object.values(parseDocument(text, path)).flat()
    .filter((entry) => typeof entry === "object" && entry !== null);
  const secrets = new Map<string, string>();
  for (const [key, name] of entries.flatMap((entry) => Object.entries(entry))) {
    if (!key.endsWith("_file") || typeof name !== "string") continue;
    try {
      secrets.set(name, readSecretFile(resolve(folder, name), "pretend"));
    } catch {
      // The parser will say where it is missing.
    }
  }
  return { file: path, text, secrets };
}

/** The policy of the file as it was, with other objects. @throws PolicyError */
export function policyOfSnapshot(snapshot: PolicySnapshot, objects: readonly PolicyObject[]): PortalPolicy {
  const readSecret = (name: string) => {
    const secret = snapshot.secrets.get(name);
    if (secret === undefined) throw new Error(`${name} can't be read`);
    return secret;
  };
  return parsePolicy(snapshot.text, { file: snapshot.file, readSecret }, objects);
}

function readText(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    const message = `it can't be read: ${reasonOf(error)}`;
    throw new PolicyError(path, [{ line: undefined, key: "", message }]);
  }
}

/** The secret in a file; where there is none, a random one may be written (mode 0600). */
function readSecretFile(path: string, missing: MissingSecrets | "refuse"): string {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound) || missing === "refuse") {
      throw new Error(`${path} can't be read: ${reasonOf(error)}`);
    }
  }
  const secret = crypto.getRandomValues(new Uint8Array(32)).toBase64({
    alphabet: "base64url",
    omitPadding: true,
  });
  if (missing === "pretend") return secret;
  try {
    Deno.writeTextFileSync(path, `${secret}\n`, { createNew: true, mode: 0o600 });
  } catch (error) {
    throw new Error(`${path} can't be made: ${reasonOf(error)}`);
  }
  return secret;
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
