/**
 * wireguard-go on both ends, as the yardstick: the newest one, built with Go where Go is there. Debian's is from
 * before TUN and UDP offloads, so a ratio to it says nothing; the report names which one ran.
 */
import { check, hasCommand, type Host } from "../../../mod/embedded/testbed/mod.ts";
import type { BenchHosts, Contender, RunningContender } from "./contender.ts";
import { GATEWAY_ADDRESS } from "./topology.ts";

const MODULE = "golang.zx2c4.com/wireguard";
const FOLDER = new URL("../../../.cache/wireguard-go/", import.meta.url).pathname;
const BINARY = `${FOLDER}wireguard`;
const PORT = "51820";
const MTU = 1280;
const PEERS = { client: "100.64.0.2", gateway: "100.64.0.1" } as const;

/** Builds or finds wireguard-go. Call it where the network is reachable. */
export async function findWireguardGo(): Promise<{ binary: string; version: string }> {
  const go = hasCommand("go") ? "go" : "/usr/local/go/bin/go";
  try {
    await Deno.mkdir(FOLDER, { recursive: true });
    await check([go, "install", `${MODULE}@latest`], { env: { GOBIN: FOLDER }, timeoutMs: 300_000 });
  } catch (error) {
    console.error(`Cannot build the newest wireguard-go: ${error instanceof Error ? error.message : error}`);
  }
  if (await isThere(BINARY)) {
    const info = await check([go, "version", "-m", BINARY]);
    const version = /\bmod\s+\S+\s+(\S+)/.exec(info)?.[1] ?? "unknown";
    return { binary: BINARY, version: `wireguard-go ${version}, built with ${/go1\.\S+/.exec(info)?.[0]}` };
  }
  if (!hasCommand("wireguard-go")) {
    throw new Error("Cannot find wireguard-go. Install Go (and network access), or Debian's wireguard-go.");
  }
  const version = /v?\d\S+/.exec((await check(["wireguard-go", "--version"])).trim())?.[0] ?? "unknown";
  return { binary: "wireguard-go", version: `wireguard-go ${version} (installed; may lack offloads)` };
}

async function isThere(path: string): Promise<boolean> {
  try {
    return (await Deno.stat(path)).isFile;
  } catch {
    return false;
  }
}

export function wireguardGo(binary: string, version: string): Contender {
  return {
    name: "wireguard-go",
    version,
    async start({ client, gateway }: BenchHosts): Promise<RunningContender> {
      const keys = { client: await generateKeys(), gateway: await generateKeys() };
      const ends = {
        client: await startEnd(binary, client, "wg-client", keys.client.privateKey),
        gateway: await startEnd(binary, gateway, "wg-gateway", keys.gateway.privateKey),
      };
      await gateway.check([
        ...["wg", "set", "wg-gateway", "listen-port", PORT],
        ...["peer", keys.client.publicKey, "allowed-ips", `${PEERS.client}/32`],
      ]);
      await client.check([
        ...["wg", "set", "wg-client", "peer", keys.gateway.publicKey],
        ...["allowed-ips", "0.0.0.0/0", "endpoint", `${GATEWAY_ADDRESS}:${PORT}`],
      ]);
      await gateway.ip(`addr add ${PEERS.gateway}/24 dev wg-gateway`, `link set wg-gateway mtu ${MTU} up`);
      await client.ip(
        `addr add ${PEERS.client}/24 dev wg-client`,
        `link set wg-client mtu ${MTU} up`,
        "route add 10.50.0.0/24 dev wg-client",
      );
      await gateway.nft(`table inet bench { chain post { type nat hook postrouting priority srcnat;
  oifname "lan" ip saddr 100.64.0.0/10 masquerade
  }
}
`);
      return { processes: ends };
    },
  };
}

async function generateKeys(): Promise<{ privateKey: string; publicKey: string }> {
  const privateKey = (await check(["wg", "genkey"])).trim();
  return { privateKey, publicKey: (await check(["wg", "pubkey"], { input: `${privateKey}\n` })).trim() };
}

async function startEnd(binary: string, host: Host, device: string, privateKey: string): Promise<number> {
  const process = host.start([binary, "-f", device], { label: `wireguard-go ${device}` });
  const deadline = performance.now() + 5000;
  while ((await host.run(["wg", "show", device])).code !== 0) {
    if (performance.now() > deadline) throw new Error(`${device} did not come up.\n${process.tail()}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  await host.check(["wg", "set", device, "private-key", "/dev/stdin"], { input: `${privateKey}\n` });
  return process.pid;
}
