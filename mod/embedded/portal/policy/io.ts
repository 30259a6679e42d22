/** Reads the policy file and the token files that it names; makes the token files that don't exist yet. */
import { dirname, resolve } from "node:path";
import type { PortalPolicy } from "./policy.ts";
import { parsePolicy, PolicyError } from "./file.ts";

/** @throws PolicyError when the file can't be read or has mistakes */
export function loadPolicy(path: string): PortalPolicy {
  let text: string;
  try {
    text = Deno.readTextFileSync(path);
  } catch (error) {
    throw new PolicyError(path, [{
      line: undefined,
      key: "",
      message: `it can't be read: ${reasonOf(error)}`,
    }]);
  }
  const folder = dirname(resolve(path));
  return parsePolicy(text, { file: path, readSecret: (name) => readOrMakeSecret(resolve(folder, name)) });
}

/** The secret in a file; a random one is written (mode 0600) where there is none. */
function readOrMakeSecret(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) {
      throw new Error(`${path} can't be read: ${reasonOf(error)}`);
    }
  }
  const secret = crypto.getRandomValues(new Uint8Array(32)).toBase64({
    alphabet: "base64url",
    omitPadding: true,
  });
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
