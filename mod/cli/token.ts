/**
 * Where the token comes from: the argument, else `FIREZONE_TOKEN` (both may be the path of a file that holds it, as
 * container set-ups do), else the systemd credential of that name. Errors never quote what may be a token.
 */
import { CommandError } from "./errors.ts";

export const TOKEN_VARIABLE = "FIREZONE_TOKEN";

export interface TokenFiles {
  /** Content of a file; undefined when there is none. @throws Error when there is one that cannot be read. */
  read(path: string): string | undefined;
}

/** The token without white space. @throws CommandError that names the place at fault, or every place there is. */
export function findToken(
  value: string | undefined,
  credentialsDirectory: string | undefined,
  files: TokenFiles,
): string {
  const text = value === undefined ? credential(credentialsDirectory, files) : given(value.trim(), files);
  const token = (text ?? "").replace(/\s/g, "");
  if (token !== "") return token;
  throw new CommandError(
    `Cannot log in to the portal: there is no token. Pass it as the argument, in ${TOKEN_VARIABLE} ` +
      `(the token itself or the path of a file with it), or as the systemd credential ${TOKEN_VARIABLE}.`,
  );
}

/** A token has no slash; and where a file of its name exists, the file is meant. */
function given(value: string, files: TokenFiles): string {
  const text = value === "" ? undefined : read(value, files);
  if (text === undefined && value.includes("/")) throw unreadable(value, "there is no such file");
  return text ?? value;
}

function credential(directory: string | undefined, files: TokenFiles): string | undefined {
  return directory ? read(`${directory}/${TOKEN_VARIABLE}`, files) : undefined;
}

function read(path: string, files: TokenFiles): string | undefined {
  let text: string | undefined;
  try {
    text = files.read(path);
  } catch (error) {
    // A token makes an impossible file name; only a path may be quoted.
    if (path.includes("/")) throw unreadable(path, error instanceof Error ? error.message : String(error));
    return undefined;
  }
  if (text?.trim() === "") throw unreadable(path, "it is empty");
  return text;
}

function unreadable(path: string, reason: string): CommandError {
  return new CommandError(
    `Cannot read the token from ${path}: ${reason}. Put the token there, readable for this user, or pass it in ${TOKEN_VARIABLE}.`,
  );
}

export const TOKEN_FILES: TokenFiles = {
  read(path) {
    try {
      return Deno.readTextFileSync(path);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw error;
    }
  },
};
