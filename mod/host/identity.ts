/**
 * The gateway's own id (spec portal §6.4), in this order: what the operator gave, the id file, an id derived from
 * this machine's machine-id, a random one that is kept in the id file. The portal knows a gateway by it.
 */
import { createHash, createHmac, randomUUID } from "node:crypto";

export const ID_FILE = "/var/lib/firezone/gateway_id";
const MACHINE_ID_FILE = "/etc/machine-id";
const MACHINE_ID_KEY = "753b38f9f96947ef8083802d5909a372";

export interface IdentityFiles {
  /** Undefined when it does not exist. @throws when it exists and cannot be read. */
  read(path: string): string | undefined;
  /** Creates `path` with this content, or leaves it alone when it exists. Returns the content that is there. */
  create(path: string, text: string): string;
}

/** @throws Error that names the variable and the file. */
export function firezoneId(given: string | undefined, files: IdentityFiles, idFile = ID_FILE): string {
  if (given !== undefined && given !== "") return given;
  try {
    const kept = files.read(idFile);
    if (kept !== undefined && kept.trim() !== "") return idIn(kept);
    const machineId = files.read(MACHINE_ID_FILE);
    if (machineId !== undefined && machineId.trim() !== "") {
      return createHmac("sha256", MACHINE_ID_KEY).update(machineId).digest("hex");
    }
    const id = createHash("sha256").update(randomUUID()).digest("hex");
    return idIn(files.create(idFile, JSON.stringify({ id })));
  } catch (cause) {
    throw new Error(
      `Cannot determine this gateway's id. Set FIREZONE_ID, or make ${idFile} readable and its folder writable.`,
      { cause },
    );
  }
}

/** The id in the file's text: `{"id":"…"}`, or the text itself when it is no such object. */
export function idIn(text: string): string {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null && "id" in value && typeof value.id === "string") {
      return value.id;
    }
  } catch {
    // Not JSON: an operator wrote the plain id.
  }
  return text.trim();
}

export const IDENTITY_FILES: IdentityFiles = {
  read(path) {
    try {
      return Deno.readTextFileSync(path);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw error;
    }
  },
  create(path, text) {
    const folder = path.slice(0, path.lastIndexOf("/"));
    Deno.mkdirSync(folder, { recursive: true, mode: 0o770 });
    const temporary = Deno.makeTempFileSync({ dir: folder });
    try {
      Deno.writeTextFileSync(temporary, text);
      Deno.chmodSync(temporary, 0o640);
      // A hard link never replaces: when two processes start at once, both end up with the id of the first.
      Deno.linkSync(temporary, path);
    } catch (error) {
      if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    } finally {
      Deno.removeSync(temporary);
    }
    return Deno.readTextFileSync(path);
  },
};
