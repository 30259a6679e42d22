/** What can go wrong with the state file, said so that an operator knows what to do. */

/** SQLite's words, the reason in ours, and the way out. */
const REASONS: readonly (readonly [RegExp, reason: string, advice: string])[] = [
  [/database is locked/, "another process has it open", "Stop the other portal, or name another file."],
  [/is not a database/, "it is no state file", "Name another file with --state."],
  [
    /malformed|disk image/,
    "it is damaged",
    "Put back a backup, or move the file away: devices then get new addresses, and tokens made by verbs are gone.",
  ],
  [
    /readonly database|permission denied|read-only file system/i,
    "this user may not write it",
    "Correct the permissions of the file and its folder.",
  ],
  [
    /unable to open|no such file|is a directory/i,
    "it can't be opened or made there",
    "Check that the folder exists and may be written.",
  ],
  [/disk is full/, "the disk is full", "Make room."],
  [
    /disk I\/O error/,
    "the disk reports an error",
    "Look at the kernel's log; replace the disk if it is failing.",
  ],
  [/a newer program wrote it/, "", "Use that program, or put back a backup from before."],
  [/file exists/i, "there is such a file already", "Name another file."],
];

export class StoreError extends Error {
  override readonly name = "StoreError";

  private constructor(message: string, cause: unknown) {
    super(message, { cause });
  }

  /** @param doing `open`, `write` */
  static of(doing: string, path: string, cause: unknown): StoreError {
    const text = cause instanceof Error ? cause.message : String(cause);
    const known = REASONS.find(([pattern]) => pattern.test(text));
    const advice = known?.[2] ?? "Check the path, or name another file.";
    return new StoreError(
      `Cannot ${doing} the portal's state ${path}: ${known?.[1] || text}. ${advice}`,
      cause,
    );
  }
}
