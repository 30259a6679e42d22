/** The files of this host, for {@link SystemConfig}. */
import type { FileReader } from "../system_config.ts";

export const FILES: FileReader = {
  version(path) {
    try {
      const { mtime, size, ino } = Deno.statSync(path);
      return `${mtime?.getTime()} ${size} ${ino}`;
    } catch {
      return undefined;
    }
  },
  read: (path) => Deno.readTextFileSync(path),
};
