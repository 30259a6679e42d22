/**
 * A stranger floods the gateway while a client's transfer runs:
 *
 *     client ── natc ──┬── core ── natg (no NAT) ──┬── gateway ── res
 *               portal ┘                  stranger ┘
 *
 * One TCP stream takes what it gets, and every second or so something else happens beside it, in changing order:
 *
 *     peace      nothing
 *     flooded    the flood comes to the gateway
 *     carried    the same flood, thrown away at the end of the stranger's cable, before the gateway's host sees it
 *
 * `unpaced` is what the stream carried while flooded as part of that in peace. Stranger, kernel and transfer share the
 * machine's cores, so a part of the loss is what the flood costs to make and to carry, which a real stranger's machine
 * would bear: `carried` tells how much. The stranger is therefore next to the gateway, at the other end of a cable that
 * cuts trains into datagrams, which is the cheapest way to make single ones.
 *
 * Also: a transfer at a fixed pace; what the flood alone costs the gateway; how much of it arrived; what came back to
 * the stranger; how the gateway's memory moved. It fails when anything is answered that must not be, when memory grows,
 * or when the flood is less than it should be.
 */
import { Internet } from "../../lab/internet.ts";
import { Product, SERVER } from "../../lab/product.ts";
import { eventually } from "../../lab/scenario.ts";
import {
  type Flood,
  FLOOD_KINDS,
  type FloodKind,
  restartVisibly,
  type RunningFlood,
  Stranger,
} from "../../lab/stranger.ts";
import type { Figure } from "../figure.ts";
import { cpuSeconds, memory, received } from "../tunnel/load.ts";
import { mean, Ratio } from "./ratio.ts";

const RATE = 50_000, PACE_MBPS = 1_000, LEAST_RATE = 0.95 * RATE;
const PACED_PORT = 5209, UNPACED_PORT = 5210;
/** Nobody listens there, and the gateway's host throws it away unseen. */
const CARRIED_PORT = 9;
const ALONE_SECONDS = 3, WARM_UP_SECONDS = 2;
const MAX_GROWTH_MB = 10;
/** Strangers with a right mac1 get a cookie of 64 bytes for some of their 148. */
const MAX_AMPLIFICATION: Readonly<Record<FloodKind, number>> = { garbage: 0, initiations: 0.1, stun: 0 };

type Phase = "peace" | "flooded" | "carried";

interface Options {
  readonly rounds?: number;
  readonly seconds?: number;
}

export async function figures(say: (line: string) => void, options: Options = {}): Promise<Figure[]> {
  const { rounds = 40, seconds = 1 } = options;
  const internet = await Internet.build();
  const stranger = await Stranger.nextToGateway(internet);
  await internet.host("gateway").nft(`table netdev carried {
    chain arriving {
      type filter hook ingress device stranger priority 0
      udp dport ${CARRIED_PORT} drop
    }
  }
  `);
  await using product = await Product.start(internet);
  const key = await restartVisibly(product);
  await product.startClient();
  await eventually("an answer", 15_000, () => product.answers());
  await eventually("a direct path", 10_000, () => Promise.resolve(product.path === "direct"));
  const bench = new FloodBench(product, stranger, key);
  const figures: Figure[] = [];
  for (const kind of FLOOD_KINDS) figures.push(...await bench.measure(kind, rounds, seconds * 1_000, say));
  return figures;
}

class FloodBench {
  readonly #product: Product;
  readonly #stranger: Stranger;
  readonly #key: string;

  constructor(product: Product, stranger: Stranger, key: string) {
    this.#product = product;
    this.#stranger = stranger;
    this.#key = key;
  }

  async measure(
    kind: FloodKind,
    rounds: number,
    phaseMs: number,
    say: (line: string) => void,
  ): Promise<Figure[]> {
    const { pid } = this.#product.gateway;
    const alone = await this.#alone(kind);
    const paced = await this.#paced(kind);
    const before = memory(pid).resident;
    const unpaced = await this.#unpaced(kind, rounds, phaseMs, say);
    const growth = memory(pid).resident - before;
    const floods: readonly Flood[] = [alone.flood, paced.flood, unpaced.flood];
    const total = (field: keyof Flood) => floods.reduce((sum, flood) => sum + flood[field], 0);
    const amplification = total("answerBytes") / total("sentBytes");
    const { peace, flooded, carried, rate, retransmits } = unpaced;
    say(
      `${kind}: the stream keeps ${flooded} of ${
        peace.toFixed(2)
      } Gbit/s in peace, ${carried} when the flood is thrown away before; ` +
        `${PACE_MBPS} Mbit/s became ${paced.megabits.toFixed(0)}; alone the flood takes ` +
        `${(100 * alone.share).toFixed(1)} % of a core; ${growth.toFixed(1)} MB more; ${
          total("answers")
        } answers`,
    );
    if (growth > MAX_GROWTH_MB) throw new Error(`A flood of ${kind} made the gateway ${growth} MB larger.`);
    if (amplification > MAX_AMPLIFICATION[kind]) {
      throw new Error(`A flood of ${kind} got ${total("answers")} answers, ${amplification} of its bytes.`);
    }
    if (rate < LEAST_RATE) throw new Error(`Of a flood of ${kind} only ${rate} packets/s arrived.`);
    const figure = (name: string, value: number, unit: string): Figure => ({
      name: `flood.${kind}.${name}`,
      value,
      unit,
    });
    return [
      figure("paced", paced.megabits / PACE_MBPS, "x"),
      figure("peace", peace, "Gbit/s"),
      figure("unpaced", flooded.value, "x"),
      figure("unpaced.error", flooded.error, "x"),
      figure("carried", carried.value, "x"),
      figure("carried.error", carried.error, "x"),
      figure("retransmits", retransmits, "packets"),
      figure("rate", rate / 1_000, "kpps"),
      figure("gateway_cpu", 100 * alone.share, "%"),
      figure("gateway_cpu_per_packet", alone.share * 1e6 / RATE, "µs"),
      figure("answers", total("answers"), "packets"),
      figure("amplification", amplification, "x"),
      figure("memory_growth", growth, "MB"),
    ];
  }

  /** What the gateway spends on a flood that is its only business, of a core. */
  async #alone(kind: FloodKind): Promise<{ share: number; flood: Flood }> {
    const { pid } = this.#product.gateway;
    const { result: share, flood } = await this.#beside(kind, async () => {
      await pause(500);
      const [cpu, at] = [cpuSeconds(pid), performance.now()];
      await pause(ALONE_SECONDS * 1_000);
      return (cpuSeconds(pid) - cpu) * 1_000 / (performance.now() - at);
    });
    return { share, flood };
  }

  /** What a transfer at a fixed pace becomes, in Mbit/s. */
  async #paced(kind: FloodKind): Promise<{ megabits: number; flood: Flood }> {
    const { result, flood } = await this.#beside(
      kind,
      () => this.#iperf(PACED_PORT, ALONE_SECONDS, ["-b", `${PACE_MBPS}M`]),
    );
    return { megabits: result.sum_received.bits_per_second / 1e6, flood };
  }

  #beside<T>(kind: FloodKind, action: () => Promise<T>): Promise<{ result: T; flood: Flood }> {
    return this.#stranger.flood(kind, this.#key, { rate: RATE }, action);
  }

  /** One stream, and in each round one phase of each sort beside it. */
  async #unpaced(kind: FloodKind, rounds: number, phaseMs: number, say: (line: string) => void) {
    const flood = await this.#stranger.start(kind, this.#key, { rate: RATE });
    flood.pause();
    const unseen = await this.#stranger.start(kind, this.#key, { rate: RATE, port: CARRIED_PORT });
    unseen.pause();
    const { pid } = this.#product.gateway;
    const seconds = Math.ceil(3 * rounds * phaseMs / 1_000) + 2 * WARM_UP_SECONDS;
    const stream = this.#iperf(UNPACED_PORT, seconds, []);
    await pause(WARM_UP_SECONDS * 1_000);
    const gigabits: Record<Phase, number[]> = { peace: [], flooded: [], carried: [] };
    let arrived = 0, floodedMs = 0, running: RunningFlood | undefined;
    for (let round = 1; round <= rounds; round++) {
      for (const phase of shuffled<Phase>(["peace", "flooded", "carried"])) {
        const next = phase === "flooded" ? flood : phase === "carried" ? unseen : undefined;
        const [tunnel, cable, at] = [received(pid, "tun-"), received(pid, "stranger"), performance.now()];
        if (next !== running) {
          running?.pause();
          next?.resume();
          running = next;
        }
        await pause(phaseMs);
        const took = performance.now() - at;
        gigabits[phase].push((received(pid, "tun-").bytes - tunnel.bytes) * 8 / took / 1e6);
        if (phase !== "flooded") continue;
        arrived += received(pid, "stranger").packets - cable.packets;
        floodedMs += took;
      }
      if (round % 10 === 0) say(`${kind}: ${round} of ${rounds} rounds`);
    }
    await unseen.stop();
    const { sum_sent: { retransmits } } = await stream;
    return {
      flood: await flood.stop(),
      peace: mean(gigabits.peace),
      flooded: new Ratio(gigabits.flooded, gigabits.peace),
      carried: new Ratio(gigabits.carried, gigabits.peace),
      rate: arrived * 1_000 / floodedMs,
      retransmits,
    };
  }

  /** One TCP stream from the client to the server; what iperf3 says of it. */
  async #iperf(port: number, seconds: number, args: readonly string[]): Promise<IperfEnd> {
    const { stdout } = await this.#product.internet.host("client").run(
      [
        ...["iperf3", "-J", "-c", SERVER[4], "-p", String(port), "-t", String(seconds)],
        ...["--connect-timeout", "5000", ...args],
      ],
      { timeoutMs: (seconds + 20) * 1_000 },
    );
    const report = JSON.parse(stdout);
    if (report.error) throw new Error(`iperf3: ${report.error}`);
    return report.end;
  }
}

interface IperfEnd {
  readonly sum_received: { readonly bits_per_second: number };
  readonly sum_sent: { readonly retransmits: number };
}

function shuffled<T>(items: readonly T[]): T[] {
  return items.map((item) => [Math.random(), item] as const).sort(([a], [b]) => a - b).map(([, item]) =>
    item
  );
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
