/**
 * Kernel settings under /proc/sys that are changed for the lifetime of the process and put back at its end, unless
 * somebody else changed them meanwhile.
 */

export interface SettingFiles {
  exists(path: string): boolean;
  read(path: string): string;
  write(path: string, text: string): void;
}

const PROC: SettingFiles = {
  exists(path) {
    try {
      return Deno.statSync(path).isFile;
    } catch {
      return false;
    }
  },
  read: (path) => Deno.readTextFileSync(path),
  write: (path, text) => Deno.writeTextFileSync(path, text),
};

export class Sysctls {
  readonly #changed: { path: string; before: string; value: string }[] = [];

  constructor(private readonly files: SettingFiles = PROC) {}

  exists(key: string): boolean {
    return this.files.exists(pathOf(key));
  }

  /** @param key `net.ipv4.ip_forward`. @throws Error when the setting does not exist or may not be written. */
  set(key: string, value: string): void {
    const path = pathOf(key);
    try {
      const before = this.files.read(path).trim();
      if (before === value) return;
      this.files.write(path, value);
      this.#changed.push({ path, before, value });
    } catch (cause) {
      throw new Error(
        `Cannot set ${key} to ${value}. Set it on the host: \`sysctl -w ${key}="${value}"\`.`,
        { cause },
      );
    }
  }

  /** Raises a limit to `value`; one that is already higher stays. */
  raise(key: string, value: number): void {
    const path = pathOf(key);
    if (Number(this.files.read(path).trim()) >= value) return;
    this.files.write(path, String(value));
  }

  /** Puts back what {@link set} changed, last first. Never throws: it runs while the process ends. */
  restore(): void {
    for (const { path, before, value } of this.#changed.reverse()) {
      try {
        if (this.files.read(path).trim() === value) this.files.write(path, before);
      } catch {
        // The setting is gone with its namespace or device: nothing to put back.
      }
    }
    this.#changed.length = 0;
  }
}

function pathOf(key: string): string {
  return `/proc/sys/${key.replaceAll(".", "/")}`;
}
