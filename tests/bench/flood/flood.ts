/**
 * A stranger floods the gateway while a client's transfer runs:
 *
 *     client ── natc ──┬── core ── natg (no NAT) ── gateway ── res
 *     stranger, portal ┘
 *
 * For each kind of flood: a transfer at a fixed pace, and one as fast as it goes, before and during the flood; how much
 * came back to the stranger; how the gateway's memory moved. Stranger, kernel and transfer share the machine's cores:
 * what a flood takes from an unpaced transfer is mostly theirs.
 */
import { become } from "../../lab/nat/pairs.ts";
import { Internet } from "../../lab/internet.ts";
import { Product, SERVER } from "../../lab/product.ts";
import { eventually } from "../../lab/scenario.ts";
import type { Figure } from "../figure.ts";
import { cpuSeconds, memory } from "../tunnel/load.ts";

const KINDS = ["garbage", "initiations", "stun"] as const;
const RATE = 50_000, PACE_MBPS = 200, SECONDS = 5;
const PACED_PORT = 5209, UNPACED_PORT = 5210;
const GATEWAY = "192.168.88.2", GATEWAY_PORT = 52625;
const FLOODER = new URL("./flooder.ts", import.meta.url).pathname;

export async function figures(say: (line: string) => void): Promise<Figure[]> {
  await using product = await Product.start(await Internet.build());
  const key = await restartVisibly(product);
  await product.startClient();
  await eventually("an answer", 15_000, () => product.answers());
  await eventually("a direct path", 10_000, () => Promise.resolve(product.path === "direct"));
  await transfers(product);
  const figures: Figure[] = [];
  const note = (name: string, value: number, unit: string) =>
    figures.push({ name: `flood.${name}`, value, unit });
  for (const kind of KINDS) {
    const calm = await transfers(product);
    const { pid } = product.gateway;
    const [before, cpu] = [memory(pid).resident, cpuSeconds(pid)];
    const flooder = product.internet.host("portal").start(
      [
        ...[Deno.execPath(), "run", "-A", "--no-check", FLOODER, kind, GATEWAY, String(GATEWAY_PORT)],
        ...[String(RATE), String(3 * SECONDS + 2), key],
      ],
      { label: `flood of ${kind}` },
    );
    await flooder.waitFor(/flooding/, 15_000);
    const started = performance.now();
    await new Promise((resolve) => setTimeout(resolve, SECONDS * 1000));
    const alone = (cpuSeconds(pid) - cpu) * 1000 / (performance.now() - started);
    const flooded = await transfers(product);
    const [, json] = await flooder.waitFor(/flooded (.*)/, 30_000);
    const { sent, sentBytes, answers, answerBytes } = JSON.parse(json!);
    const growth = memory(pid).resident - before;
    note(`${kind}.paced`, flooded.paced / calm.paced, "x");
    note(`${kind}.unpaced`, flooded.unpaced / calm.unpaced, "x");
    note(`${kind}.gateway_cpu`, 100 * alone, "%");
    note(`${kind}.answers`, answers, "packets");
    note(`${kind}.amplification`, answerBytes / sentBytes, "x");
    note(`${kind}.memory_growth`, growth, "MB");
    say(
      `${kind}: ${(sent / (3 * SECONDS + 2) / 1000).toFixed(1)} kpps; ${PACE_MBPS} Mbit/s became ` +
        `${(flooded.paced * 1000).toFixed(0)}, ${calm.unpaced.toFixed(2)} Gbit/s became ` +
        `${flooded.unpaced.toFixed(2)}; gateway ${(100 * alone).toFixed(0)} % of a core, ` +
        `${growth.toFixed(1)} MB more; ${answers} answers`,
    );
  }
  return figures;
}

/** Gbit/s of one TCP stream: at the fixed pace, and as fast as it goes. */
async function transfers(product: Product): Promise<{ paced: number; unpaced: number }> {
  const paced = await transfer(product, PACED_PORT, ["-b", `${PACE_MBPS}M`]);
  return { paced, unpaced: await transfer(product, UNPACED_PORT, []) };
}

async function transfer({ internet }: Product, port: number, more: readonly string[]): Promise<number> {
  const { stdout } = await internet.host("client").run(
    [
      "iperf3",
      "-J",
      "-c",
      SERVER[4],
      "-p",
      String(port),
      "-t",
      String(SECONDS),
      "--connect-timeout",
      "5000",
      ...more,
    ],
    { timeoutMs: (SECONDS + 20) * 1000 },
  );
  const report = JSON.parse(stdout);
  if (report.error) throw new Error(`iperf3: ${report.error}`);
  return report.end.sum_received.bits_per_second / 1e9;
}

/** The gateway without a NAT, and its public key as whoever watches its unencrypted way to the portal sees it. */
async function restartVisibly(product: Product): Promise<string> {
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
