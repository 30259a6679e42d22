/** Notices that the policy file, or a token or secret file that it names, is another one than before. */
import { dirname, resolve } from "node:path";

/** By path. */
export type Fingerprints = ReadonlyMap<string, string>;

/** Editors write a file in several steps. */
const SETTLE_MS = 200;

/**
 * Watches the policy file's folder, since editors replace a file rather than write into it, and that of the file which
 * it is a link to, if it is one. Any event there makes it compare the files: a mounted file may be a link to a link that
 * is exchanged.
 * @param files the policy file first; asked for again each time, as a new policy names other files
 * @param before the files before they were read for the first time; what has changed since then counts
 * @throws Error when the system can't watch (too many watches)
 */
export function watchPolicyFiles(
  files: () => readonly string[],
  before: Fingerprints,
  onChange: () => void,
): { close(): void } {
  const path = resolve(files()[0]!);
  const folders = new Set([dirname(path), dirname(Deno.realPathSync(path))]);
  const watcher = Deno.watchFs([...folders], { recursive: false });
  let known = fingerprints(files(), before);
  const look = () => {
    const now = fingerprints(files());
    if (known.entries().every(([file, print]) => now.get(file) === print)) return;
    onChange();
    // As they were before they were read: what is saved meanwhile is another change. What is named from now on is not.
    known = fingerprints(files(), now);
  };
  let timer = setTimeout(look, SETTLE_MS);
  (async () => {
    for await (const { kind } of watcher) {
      if (kind === "access") continue;
      clearTimeout(timer);
      timer = setTimeout(look, SETTLE_MS);
    }
  })();
  return {
    close() {
      clearTimeout(timer);
      watcher.close();
    },
  };
}

/** @param known taken over where they are there */
export function fingerprints(files: readonly string[], known: Fingerprints = new Map()): Fingerprints {
  return new Map(files.map((file) => [file, known.get(file) ?? fingerprint(file)]));
}

/** Which file lies there; links are followed. */
function fingerprint(file: string): string {
  try {
    const { ino, dev, size, mtime } = Deno.statSync(file);
    return `${dev} ${ino} ${size} ${mtime?.getTime()}`;
  } catch {
    return "absent";
  }
}
