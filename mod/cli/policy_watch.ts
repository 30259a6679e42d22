/** Notices that the policy file, or a token or secret file beside it that it names, is another one than before. */
import { basename, dirname, resolve } from "node:path";

/** Editors write a file in several steps. */
const SETTLE_MS = 200;

/**
 * Watches the folder, since editors replace a file rather than write into it, and since a mounted file may be a link
 * whose target is exchanged. Any event there makes it compare the files.
 * @param files the policy file first; asked for again each time, as a new policy names other files
 * @throws Error when the system can't watch (too many watches)
 */
export function watchPolicyFiles(files: () => readonly string[], onChange: () => void): { close(): void } {
  const folder = dirname(resolve(files()[0]!));
  const watcher = Deno.watchFs(folder, { recursive: false });
  let known = fingerprint(folder, files());
  let timer: ReturnType<typeof setTimeout> | undefined;
  const look = () => {
    const now = fingerprint(folder, files());
    if (now === known) return;
    onChange();
    // What it made itself, and what it names from now on, is nothing new.
    known = fingerprint(folder, files());
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

/** Which files lie in the folder under these names; links are followed. */
function fingerprint(folder: string, files: readonly string[]): string {
  return files.map((file) => resolve(file)).filter((file) => dirname(file) === folder).map((file) => {
    try {
      const { ino, dev, size, mtime } = Deno.statSync(file);
      return `${basename(file)} ${dev} ${ino} ${size} ${mtime?.getTime()}`;
    } catch {
      return `${basename(file)} absent`;
    }
  }).join("\n");
}
