/** Notices that the policy file, or a token or secret file that it names, is another one than before. */
import { dirname, resolve } from "node:path";

/** Editors write a file in several steps. */
const SETTLE_MS = 200;

/**
 * Watches the policy file's folder, since editors replace a file rather than write into it, and that of the file which
 * it is a link to, if it is one. Any event there makes it compare the files: a mounted file may be a link to a link that
 * is exchanged.
 * @param files the policy file first; asked for again each time, as a new policy names other files
 * @throws Error when the system can't watch (too many watches)
 */
export function watchPolicyFiles(files: () => readonly string[], onChange: () => void): { close(): void } {
  const path = resolve(files()[0]!);
  const folders = new Set([dirname(path), dirname(Deno.realPathSync(path))]);
  const watcher = Deno.watchFs([...folders], { recursive: false });
  let known = files().map((file) => [file, fingerprint(file)] as const);
  let timer: ReturnType<typeof setTimeout> | undefined;
  const look = () => {
    const now = new Map(files().map((file) => [file, fingerprint(file)]));
    if (known.every(([file, print]) => now.get(file) === print)) return;
    onChange();
    // As they were before they were read: what is saved meanwhile is another change. What is named from now on is not.
    known = files().map((file) => [file, now.get(file) ?? fingerprint(file)]);
  };
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

/** Which file lies there; links are followed. */
function fingerprint(file: string): string {
  try {
    const { ino, dev, size, mtime } = Deno.statSync(file);
    return `${dev} ${ino} ${size} ${mtime?.getTime()}`;
  } catch {
    return "absent";
  }
}
