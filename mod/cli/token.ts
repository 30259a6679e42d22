/**
 * Where the gateway's token comes from: the argument, else `FIREZONE_TOKEN` (both may be the path of a file that
 * holds it, as container set-ups do), else the systemd credential of that name.
 */
import { CommandError } from "./errors.ts";

export const TOKEN_VARIABLE = "FIREZONE_TOKEN";

export interface TokenFiles {
  /** Content of a file, or undefined when it is no readable file. */
  readFile(path: string): string | undefined;
}

/** The token without white space. @throws CommandError that names every place where it could be. */
export function findToken(
  value: string | undefined,
  credentialsDirectory: string | undefined,
  files: TokenFiles,
): string {
  const text = value === undefined
    ? credentialsDirectory && files.readFile(`${credentialsDirectory}/${TOKEN_VARIABLE}`)
    : value.startsWith("/") || value.startsWith("./")
    ? files.readFile(value) ?? value
    : value;
  const token = (text ?? "").replace(/\s/g, "");
  if (token === "") {
    throw new CommandError(
      `Cannot log in to the portal: there is no token. Pass it as the argument, in ${TOKEN_VARIABLE} ` +
        `(the token itself or the path of a file with it), or as the systemd credential ${TOKEN_VARIABLE}.`,
    );
  }
  return token;
}
