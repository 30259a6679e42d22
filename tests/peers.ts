/**
 * The independent programs on the other side of interop tests, lab, demo and bench, and the Debian packages that
 * carry them. Installing never starts a service: a temporary `policy-rc.d` forbids it.
 */
import { hasCommand } from "../mod/embedded/testbed/mod.ts";

/** Program → Debian package. */
export const PEERS: Readonly<Record<string, string>> = {
  ip: "iproute2",
  nft: "nftables",
  conntrack: "conntrack",
  ping: "iputils-ping",
  curl: "curl",
  iperf3: "iperf3",
  wg: "wireguard-tools",
  "wireguard-go": "wireguard-go",
  turnserver: "coturn",
  tcpdump: "tcpdump",
  sysctl: "procps",
  gcc: "gcc",
};

const POLICY = "/usr/sbin/policy-rc.d";

export function missingPeers(): string[] {
  return Object.keys(PEERS).filter((name) => !hasCommand(name));
}

/**
 * Installs what is missing when this process may; returns what is still missing afterwards.
 * POSTERN_INSTALL=0 forbids it.
 */
export async function installPeers(): Promise<string[]> {
  const missing = missingPeers();
  const allowed = Deno.uid() === 0 && hasCommand("apt-get") && Deno.env.get("POSTERN_INSTALL") !== "0";
  if (missing.length === 0 || !allowed) return missing;
  const packages = [...new Set(missing.map((name) => PEERS[name]!))];
  console.log(`Installing ${packages.join(" ")} (POSTERN_INSTALL=0 forbids it)`);
  const remove = forbidServiceStart();
  try {
    const options = ["-o", "DPkg::Lock::Timeout=120", "-qq"];
    const installed = await aptGet([...options, "install", "-y", "--no-install-recommends", ...packages]);
    if (!installed && await aptGet([...options, "update"])) {
      await aptGet([...options, "install", "-y", "--no-install-recommends", ...packages]);
    }
  } finally {
    remove();
  }
  return missingPeers();
}

async function aptGet(args: string[]): Promise<boolean> {
  const { success, stdout, stderr } = await new Deno.Command("apt-get", {
    args,
    env: { DEBIAN_FRONTEND: "noninteractive" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).output();
  if (!success) {
    const text = new TextDecoder();
    console.error((text.decode(stdout) + text.decode(stderr)).trimEnd());
  }
  return success;
}

function forbidServiceStart(): () => void {
  try {
    Deno.writeTextFileSync(POLICY, "#!/bin/sh\nexit 101\n", { createNew: true, mode: 0o755 });
  } catch (error) {
    // Somebody already decides; then this is theirs.
    if (error instanceof Deno.errors.AlreadyExists) return () => {};
    throw error;
  }
  Deno.chmodSync(POLICY, 0o755);
  return () => Deno.removeSync(POLICY);
}
