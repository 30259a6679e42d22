/** What this machine is, for the user agent, logs and defaults. */

export interface SystemFacts {
  readonly hostname: string;
  /** Content of /etc/os-release; empty where there is none. */
  readonly osRelease: string;
  /** `x86_64`, `aarch64` */
  readonly arch: string;
  /** `uname -r` */
  readonly kernel: string;
}

export function systemFacts(): SystemFacts {
  return {
    hostname: Deno.hostname(),
    osRelease: readOr("/etc/os-release", readOr("/usr/lib/os-release", "")),
    arch: Deno.build.arch,
    kernel: Deno.osRelease(),
  };
}

function readOr(path: string, fallback: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return fallback;
  }
}
