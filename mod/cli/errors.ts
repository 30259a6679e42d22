/** Errors that end a command with a message for the operator instead of a stack trace, and its exit status. */

export const EXIT_OK = 0;
export const EXIT_FAILURE = 1;
export const EXIT_USAGE = 2;

/** The command line or the environment says something that cannot be meant. Exit status 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** The command cannot do its work; the message says what to do. Exit status 1. */
export class CommandError extends Error {
  override readonly name = "CommandError";
}

/** One line: the message of an error and of everything that caused it. */
export function causeChain(error: unknown): string {
  const parts: string[] = [];
  for (let next: unknown = error; next !== undefined && next !== null && parts.length < 8;) {
    parts.push(next instanceof Error ? next.message : String(next));
    next = next instanceof Error ? next.cause : undefined;
  }
  return parts.join(": ");
}
