/**
 * How long a user waits for the network: from the authorisation to the first echo, over a path that dies, and what
 * a relay costs. Portal, relays, gateway and client are the product's own, in the lab's internet (`tests/lab`):
 *
 *     client ── natc ══ 5 ms ══ core ══ 5 ms ══ natg ── gateway ── res          20 ms round trip; relays at 10
 *                                 └ portal and second relay, relay
 */
import type { Figure } from "../figure.ts";
import { median } from "../figure.ts";
import { Internet } from "../../lab/internet.ts";
import { Product, SERVER } from "../../lab/product.ts";
import { eventually } from "../../lab/scenario.ts";
import { addSecondRelay, blockPeers, removeFirstRelay, unblockPeers } from "../../lab/nat/peers.ts";

const ONE_WAY_MS = 5;
const SAMPLES = 7;
/** In the lab's policy; each comes and goes with a message of its own. */
const RESOURCES = 2;
const SETTLE_MS = 8_000, BACK_TO_DIRECT_MS = 60_000;
const PING_INTERVAL_MS = 50;
const THROUGHPUT_ROUNDS = 3, THROUGHPUT_SECONDS = 3;

type Path = "direct" | "relayed";

export async function figures(say: (line: string) => void): Promise<Figure[]> {
  return [...await measureWaiting(say), ...await measureThroughput(say)];
}

async function measureWaiting(say: (line: string) => void): Promise<Figure[]> {
  const far = { delay: ONE_WAY_MS };
  await using product = await Product.start(await Internet.build({ natc: far, natg: far }));
  const figures: Figure[] = [];
  for (const path of ["direct", "relayed"] as const) {
    if (path === "relayed") await blockPeers(product);
    await product.startClient();
    const cold = await firstEcho(product, path);
    const samples: number[] = [];
    for (let i = 0; i < SAMPLES; i++) {
      await authoriseAnew(product);
      samples.push(await firstEcho(product, path));
    }
    await product.client.stop();
    figures.push({ name: `connect.first_echo.${path}.cold`, value: cold, unit: "ms" });
    figures.push({ name: `connect.first_echo.${path}`, value: median(samples), unit: "ms", samples });
    say(`first echo, ${path}: ${samples.map((ms) => ms.toFixed(0)).join(", ")} ms`);
  }
  await unblockPeers(product);
  await product.startClient();
  await settle(product, "direct");
  const silent = await outage(product, "relayed", () => blockPeers(product));
  figures.push({ name: "connect.outage.path_loss", value: silent, unit: "ms" });
  say(`outage after the direct path died: ${silent.toFixed(0)} ms`);
  const back = await outage(product, "direct", () => unblockPeers(product));
  figures.push({ name: "connect.outage.back_to_direct", value: back, unit: "ms" });
  say(`outage on the way back to the direct path: ${back.toFixed(0)} ms`);
  await product.client.stop();
  const signalled = await relayWithdrawn(product);
  figures.push({ name: "connect.outage.signalled", value: signalled, unit: "ms" });
  say(`outage after the portal took the relay away: ${signalled.toFixed(0)} ms`);
  return figures;
}

/** From the gateway's authorisation (its log) to the answer of the packet that asked for it (ping's stamp). */
async function firstEcho(product: Product, path: Path): Promise<number> {
  const from = product.gateway.output.length;
  await eventually(
    "the client's relay",
    SETTLE_MS,
    () => Promise.resolve(product.client.output.includes("Updated allocation")),
  );
  const { stdout } = await product.internet.host("client").run([
    "ping",
    "-n",
    "-D",
    "-c",
    "1",
    "-W",
    "8",
    SERVER[4],
  ]);
  const answered = /^\[([\d.]+)\] .* time=/m.exec(stdout);
  const authorised = /^(\S+)\s.*Allowing access to resource/m.exec(product.gateway.output.slice(from));
  if (!answered || !authorised) throw new Error(`No first echo on the ${path} path.`);
  await settle(product, path);
  return Number(answered[1]) * 1000 - Date.parse(authorised[1]!);
}

/** The policy takes the access away and gives it back: the same processes connect again, no longer for the first time. */
async function authoriseAnew(product: Product): Promise<void> {
  const policy = await Deno.readTextFile(product.policyFile);
  for (const text of [policy.replaceAll('allow = ["client"]', "allow = []"), policy]) {
    const before = interfaces(product.client.output);
    await Deno.writeTextFile(product.policyFile, text);
    await eventually(
      "the client's new resources",
      SETTLE_MS,
      () => Promise.resolve(interfaces(product.client.output) >= before + RESOURCES),
    );
  }
}

/** How often the client has set up its interface. */
function interfaces(output: string): number {
  return output.split("Tunnel interface is up").length;
}

async function settle(product: Product, path: Path): Promise<void> {
  await eventually("an answer", SETTLE_MS, () => product.answers());
  await eventually(`a ${path} path`, BACK_TO_DIRECT_MS, () => Promise.resolve(product.path === path));
}

/** The longest silence between two answers while the path changes, ms. */
async function outage(product: Product, then: Path, happen: () => Promise<void>): Promise<number> {
  const ping = product.internet.host("client").start(
    ["ping", "-n", "-D", "-i", String(PING_INTERVAL_MS / 1000), SERVER[4]],
    { label: "ping" },
  );
  await ping.waitFor(/icmp_seq=10 /, SETTLE_MS);
  await happen();
  await eventually(`a ${then} path`, BACK_TO_DIRECT_MS, () => Promise.resolve(product.path === then));
  const count = () => ping.output.split(" time=").length;
  const before = count();
  await eventually("answers on it", BACK_TO_DIRECT_MS, () => Promise.resolve(count() > before + 20));
  await ping.stop();
  const times = [...ping.output.matchAll(/^\[([\d.]+)\] .* time=/gm)].map((match) => Number(match[1]) * 1000);
  return Math.max(...times.slice(1).map((time, i) => time - times[i]!));
}

/** Relayed over one relay, a second one comes, and the portal's policy drops the first. */
async function relayWithdrawn(product: Product): Promise<number> {
  await blockPeers(product);
  await product.startClient();
  await settle(product, "relayed");
  await addSecondRelay(product);
  return await outage(product, "relayed", () => removeFirstRelay(product));
}

/** One TCP stream on both paths of a near internet, alternating; the figure is the median of the rounds' ratios. */
async function measureThroughput(say: (line: string) => void): Promise<Figure[]> {
  await using product = await Product.start(await Internet.build());
  await product.startClient();
  const rates = { direct: [] as number[], relayed: [] as number[] };
  for (let round = 0; round < THROUGHPUT_ROUNDS; round++) {
    for (const path of ["direct", "relayed"] as const) {
      await (path === "relayed" ? blockPeers(product) : unblockPeers(product));
      await product.client.stop();
      await product.startClient();
      await settle(product, path);
      rates[path].push(await product.throughput(THROUGHPUT_SECONDS));
    }
    say(`TCP: direct ${rates.direct.at(-1)!.toFixed(2)}, relayed ${rates.relayed.at(-1)!.toFixed(2)} Gbit/s`);
  }
  const ratios = rates.direct.map((rate, i) => rates.relayed[i]! / rate);
  return [
    { name: "connect.tcp.direct", value: median(rates.direct), unit: "Gbit/s", samples: rates.direct },
    { name: "connect.tcp.relayed", value: median(rates.relayed), unit: "Gbit/s", samples: rates.relayed },
    { name: "connect.tcp.ratio", value: median(ratios), unit: "x", samples: ratios },
  ];
}
