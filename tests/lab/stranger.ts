/** A stranger who floods the gateway, and knows of it what whoever watches its unencrypted way to the portal knows. */
import type { BackgroundProcess, Host } from "../../mod/embedded/testbed/mod.ts";
import type { Internet } from "./internet.ts";
import { become } from "./nat/pairs.ts";
import type { Product } from "./product.ts";

const FLOODER = new URL("./flooder.ts", import.meta.url).pathname;
const GATEWAY_PORT = 52625;

export const FLOOD_KINDS = ["garbage", "initiations", "stun"] as const;
export type FloodKind = typeof FLOOD_KINDS[number];

/** What a flood was, told by the flooder. */
export interface Flood {
  readonly sent: number;
  readonly sentBytes: number;
  readonly answers: number;
  readonly answerBytes: number;
}

interface Target {
  /** Default: the gateway's. */
  readonly port?: number;
  /** Packets a second. */
  readonly rate: number;
}

/** A flood under way. */
export class RunningFlood {
  constructor(private readonly flooder: BackgroundProcess) {}

  pause(): void {
    Deno.kill(this.flooder.pid, "SIGUSR1");
  }

  resume(): void {
    Deno.kill(this.flooder.pid, "SIGUSR2");
  }

  async stop(): Promise<Flood> {
    Deno.kill(this.flooder.pid, "SIGINT");
    const [, json] = await this.flooder.waitFor(/flooded (.*)/, 15_000);
    return JSON.parse(json!);
  }
}

export class Stranger {
  private constructor(readonly host: Host, readonly target: string) {}

  /** At the other end of a cable from the gateway, which cuts trains into datagrams. */
  static async nextToGateway(internet: Internet): Promise<Stranger> {
    const host = await internet.attach(
      "stranger",
      { host: internet.host("gateway"), device: "stranger", addresses: ["192.168.111.1/24"] },
      { device: "eth0", addresses: ["192.168.111.2/24"] },
    );
    await host.ip("link set eth0 gso_max_segs 1");
    return new Stranger(host, "192.168.111.1");
  }

  /** Behind the same router as the client, and so with the same public address. */
  static async besideClient(internet: Internet): Promise<Stranger> {
    const host = await internet.attach(
      "neighbour",
      { host: internet.host("natc"), device: "lan2", addresses: ["192.168.78.1/24"] },
      { device: "eth0", addresses: ["192.168.78.2/24"] },
    );
    await host.ip("link set eth0 gso_max_segs 1", "route add default via 192.168.78.1");
    return new Stranger(host, "192.168.88.2");
  }

  async start(
    kind: FloodKind,
    gatewayKey: string,
    { port = GATEWAY_PORT, rate }: Target,
  ): Promise<RunningFlood> {
    const flooder = this.host.start(
      [
        ...[Deno.execPath(), "run", "-A", "--no-check", FLOODER, kind, this.target, String(port)],
        ...[String(rate), gatewayKey],
      ],
      { label: `flood of ${kind}` },
    );
    await flooder.waitFor(/flooding/, 15_000);
    return new RunningFlood(flooder);
  }

  /** Floods while `action` runs; what came of both. */
  async flood<T>(
    kind: FloodKind,
    gatewayKey: string,
    target: Target,
    action: () => Promise<T>,
  ): Promise<{ result: T; flood: Flood }> {
    const flood = await this.start(kind, gatewayKey, target);
    const result = await action();
    return { result, flood: await flood.stop() };
  }
}

/** Starts the gateway anew, without a NAT before it, and reads its public key off the wire. */
export async function restartVisibly(product: Product): Promise<string> {
  await become(product, "natg", "none");
  await product.gateway.stop();
  const watch = product.internet.host("natg").start(
    ["tcpdump", "-i", "wan", "-n", "-A", "-l", "-s", "0", "tcp", "dst", "port", "8443"],
    { label: "tcpdump" },
  );
  await watch.waitFor(/listening on/, 10_000);
  await product.startGateway();
  const [, key] = await watch.waitFor(/public_key=(\S+)/, 10_000);
  await watch.stop();
  return decodeURIComponent(key!);
}
