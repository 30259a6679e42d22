/**
 * A throw-away world for everything that touches the network of this machine: one new network, mount and process
 * namespace around the whole command. Whatever it starts or configures vanishes with its first process, even when
 * that one is killed. As a normal user the same works inside a user namespace, where the kernel allows them.
 */

import { hasCommand } from "./tools.ts";

/** Set for the command inside, so that it knows where it is and does not enter a second time. */
export const SANDBOX_VARIABLE = "POSTERN_SANDBOX";
const STOP_GRACE_MS = 5000;

/**
 * Runs first inside: its own /run (network namespaces and wireguard-go's sockets live there), a loopback, and a
 * readable resolv.conf where the distribution's one pointed into the /run that was just covered.
 */
const PRELUDE = `set -e
mount -t tmpfs tmpfs /run
mkdir -p /run/netns /run/wireguard /run/lock
if [ ! -e /etc/resolv.conf ]; then
  target=$(readlink -m /etc/resolv.conf)
  case "$target" in /run/*) mkdir -p "\${target%/*}"; echo "nameserver 127.0.0.1" > "$target";; esac
fi
ip link set lo up
exec "$@"`;

export function insideSandbox(): boolean {
  return Deno.env.get(SANDBOX_VARIABLE) === "1";
}

function unshareArguments(root: boolean): string[] {
  return [...(root ? [] : ["-U", "-r"]), "-n", "-m", "-p", "-f", "--kill-child", "--mount-proc"];
}

/** Why a sandbox with a TUN device cannot be made here, in one sentence with what to do; undefined when it can. */
export async function sandboxObstacle(): Promise<string | undefined> {
  const root = Deno.uid() === 0;
  for (const tool of ["unshare", "setpriv", "ip", "mount"]) {
    if (!hasCommand(tool)) {
      return `Cannot make network namespaces: \`${tool}\` is missing. Install util-linux and iproute2.`;
    }
  }
  if (!await succeeds("unshare", [...unshareArguments(root), "true"])) {
    return root
      ? "Cannot make network namespaces: the kernel refuses (a container without CAP_SYS_ADMIN?). " +
        "Run it on the host, or in a privileged container."
      : "Cannot make network namespaces as a normal user: the kernel refuses user namespaces. Run it as root.";
  }
  if (!await succeeds("sh", ["-c", "exec 3<>/dev/net/tun"])) {
    return root
      ? "Cannot open /dev/net/tun: the kernel or the container has no TUN driver. " +
        "Load it (modprobe tun) or pass the device in (--device /dev/net/tun)."
      : "Cannot open /dev/net/tun as a normal user. Run it as root, or `chmod 666 /dev/net/tun` once as root.";
  }
  return undefined;
}

async function succeeds(command: string, args: string[]): Promise<boolean> {
  try {
    const options = { args, stdin: "null", stdout: "null", stderr: "null" } as const;
    return (await new Deno.Command(command, options).output()).success;
  } catch {
    return false;
  }
}

/**
 * Runs a command inside a sandbox with this process's standard streams and returns its exit status (128 + signal
 * when it failed after a signal). SIGINT and SIGTERM are passed on; a command that does not end within five seconds
 * is killed with everything it started.
 */
export async function runInSandbox(
  command: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<number> {
  const child = new Deno.Command("setpriv", {
    args: [
      "--pdeathsig",
      "KILL",
      "unshare",
      ...unshareArguments(Deno.uid() === 0),
      "sh",
      "-c",
      PRELUDE,
      "sh",
      ...command,
    ],
    env: { ...environment, [SANDBOX_VARIABLE]: "1" },
    stdin: "inherit",
    stdout: "inherit",
    stderr: "inherit",
  }).spawn();
  let interrupted: number | undefined;
  let killTimer: ReturnType<typeof setTimeout> | undefined;
  const stop = (signal: Deno.Signal, number: number) => () => {
    interrupted = 128 + number;
    for (const pid of childrenOf(child.pid)) trySignal(pid, signal);
    killTimer ??= setTimeout(() => trySignal(child.pid, "SIGKILL"), STOP_GRACE_MS);
  };
  const listeners = [["SIGINT", stop("SIGINT", 2)], ["SIGTERM", stop("SIGTERM", 15)]] as const;
  for (const [signal, listener] of listeners) Deno.addSignalListener(signal, listener);
  try {
    const { code } = await child.status;
    return code === 0 ? 0 : interrupted ?? code;
  } finally {
    for (const [signal, listener] of listeners) Deno.removeSignalListener(signal, listener);
    clearTimeout(killTimer);
  }
}

function childrenOf(pid: number): number[] {
  try {
    return Deno.readTextFileSync(`/proc/${pid}/task/${pid}/children`).trim().split(/\s+/).filter(Boolean)
      .map(Number);
  } catch {
    return [];
  }
}

function trySignal(pid: number, signal: Deno.Signal): void {
  try {
    Deno.kill(pid, signal);
  } catch {
    // It has already ended.
  }
}
