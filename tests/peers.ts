/**
 * The independent programs on the other side of interop tests, lab, demo and bench, and the Debian packages that
 * carry them. Installing never starts a service: a temporary `policy-rc.d` forbids it.
 */
import { hasCommand } from "../mod/embedded/testbed/mod.ts";

interface Peer {
  /** As it is called where it is missing. */
  readonly name: string;
  readonly debianPackage: string;
  isThere(): boolean;
}

const program = (name: string, debianPackage: string): Peer => ({
  name,
  debianPackage,
  isThere: () => hasCommand(name),
});

const PEERS: readonly Peer[] = [
  program("ip", "iproute2"),
  program("nft", "nftables"),
  program("conntrack", "conntrack"),
  program("ping", "iputils-ping"),
  program("tracepath", "iputils-tracepath"),
  program("traceroute", "traceroute"),
  program("curl", "curl"),
  program("dnsmasq", "dnsmasq-base"),
  program("dig", "bind9-dnsutils"),
  program("iperf3", "iperf3"),
  program("wg", "wireguard-tools"),
  program("wireguard-go", "wireguard-go"),
  program("turnserver", "coturn"),
  program("tcpdump", "tcpdump"),
  program("sysctl", "procps"),
  program("gcc", "gcc"),
  program("openssl", "openssl"),
  program("chromium", "chromium"),
  program("nginx", "nginx"),
  program("caddy", "caddy"),
  // A library for the system's own Python, whatever other Python comes first on PATH.
  {
    name: "aioice",
    debianPackage: "python3-aioice",
    isThere: () => exists("/usr/lib/python3/dist-packages/aioice"),
  },
];

const POLICY = "/usr/sbin/policy-rc.d";

function exists(path: string): boolean {
  try {
    return Deno.statSync(path) !== undefined;
  } catch {
    return false;
  }
}

function missingPeers(): readonly Peer[] {
  return PEERS.filter((peer) => !peer.isThere());
}

/**
 * Installs what is missing when this process may; returns the names of what is still missing afterwards.
 * POSTERN_INSTALL=0 forbids it.
 */
export async function installPeers(): Promise<string[]> {
  const missing = missingPeers();
  const allowed = Deno.uid() === 0 && hasCommand("apt-get") && Deno.env.get("POSTERN_INSTALL") !== "0";
  if (missing.length === 0 || !allowed) return missing.map(({ name }) => name);
  const packages = missing.map(({ debianPackage }) => debianPackage);
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
  return missingPeers().map(({ name }) => name);
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
