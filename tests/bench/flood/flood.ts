/**
 * A stranger floods the gateway while a client's transfer runs:
 *
 *     client ── natc ──┬── core ── natg (no NAT) ──┬── gateway ── res
 *               portal ┘                  stranger ┘
 *
 * Stranger, kernel and transfer share the machine's cores, so a flood takes from an unpaced transfer what it costs
 * to make and to carry, whatever the gateway does. The stranger is therefore next to the gateway, at the other end of
 * a cable that cuts trains into datagrams, which is the cheapest way to make single ones; and each round has three
 * transfers: in peace, beside the flood sent to a socket on the gateway's host that nobody reads (`.elsewhere`), and
 * beside the flood sent to the gateway. `.unpaced` is against peace, `.unpaced_of_elsewhere` is the gateway's own
 * share. Figures are medians of the rounds' ratios.
 *
 * Also: a transfer at a fixed pace; what the flood alone costs the gateway; what came back to the stranger; how the
 * gateway's memory moved. It fails when anything is answered that must not be, or memory grows.
 */
import { Internet } from "../../lab/internet.ts";
import { Product, SERVER } from "../../lab/product.ts";
import { eventually } from "../../lab/scenario.ts";
import { type Flood, FLOOD_KINDS, type FloodKind, restartVisibly, Stranger } from "../../lab/stranger.ts";
import { type Figure, median } from "../figure.ts";
import { cpuSeconds, memory } from "../tunnel/load.ts";

const RATE = 50_000, PACE_MBPS = 1_000;
const PACED_PORT = 5209, UNPACED_PORT = 5210, SINK_PORT = 9;
const SINK = new URL("./sink.ts", import.meta.url).pathname;
const MAX_GROWTH_MB = 10;
/** Strangers with a right mac1 get a cookie of 64 bytes for some of their 148. */
const MAX_AMPLIFICATION: Readonly<Record<FloodKind, number>> = { garbage: 0, initiations: 0.1, stun: 0 };

interface Options {
  readonly rounds?: number;
  readonly seconds?: number;
}

export async function figures(say: (line: string) => void, options: Options = {}): Promise<Figure[]> {
  const { rounds = 5, seconds = 3 } = options;
  const internet = await Internet.build();
  const stranger = await Stranger.nextToGateway(internet);
  await using product = await Product.start(internet);
  const key = await restartVisibly(product);
  await product.startClient();
  await eventually("an answer", 15_000, () => product.answers());
  await eventually("a direct path", 10_000, () => Promise.resolve(product.path === "direct"));
  const sink = product.internet.host("gateway").start(
    [Deno.execPath(), "run", "-A", "--no-check", SINK, String(SINK_PORT)],
    { label: "sink" },
  );
  await sink.waitFor(/open/, 15_000);
  const bench = new FloodBench(product, stranger, key, seconds);
  await bench.transfer();
  const figures: Figure[] = [];
  for (const kind of FLOOD_KINDS) figures.push(...await bench.measure(kind, rounds, say));
  await sink.stop();
  return figures;
}

class FloodBench {
  readonly #product: Product;
  readonly #stranger: Stranger;
  readonly #key: string;
  readonly #seconds: number;

  constructor(product: Product, stranger: Stranger, key: string, seconds: number) {
    this.#product = product;
    this.#stranger = stranger;
    this.#key = key;
    this.#seconds = seconds;
  }

  async measure(kind: FloodKind, rounds: number, say: (line: string) => void): Promise<Figure[]> {
    const { pid } = this.#product.gateway;
    const floods: Flood[] = [];
    const cost = await this.#costAlone(kind, floods);
    const paced = await this.#beside(kind, undefined, floods, () => this.transfer(PACE_MBPS));
    const before = memory(pid).resident;
    const unpaced: number[] = [], elsewhere: number[] = [], share: number[] = [];
    for (let round = 0; round < rounds; round++) {
      const { calm, control, flooded } = await this.#round(kind, round, floods);
      unpaced.push(flooded / calm);
      elsewhere.push(control / calm);
      share.push(flooded / control);
      say(
        `${kind} ${round + 1}/${rounds}: ${calm.toFixed(2)} Gbit/s in peace, ${
          control.toFixed(2)
        } beside the ` +
          `flood of another socket, ${flooded.toFixed(2)} beside that of the gateway`,
      );
    }
    const growth = memory(pid).resident - before;
    const total = (field: keyof Flood) => floods.reduce((sum, flood) => sum + flood[field], 0);
    const amplification = total("answerBytes") / total("sentBytes");
    say(
      `${kind}: ${total("sent")} packets; ${PACE_MBPS} Mbit/s became ${
        (paced * 1000).toFixed(0)
      }; the gateway ` +
        `takes ${(100 * cost.share).toFixed(0)} % of a core, ${cost.micros.toFixed(2)} µs a packet; ` +
        `${growth.toFixed(1)} MB more; ${total("answers")} answers`,
    );
    if (growth > MAX_GROWTH_MB) throw new Error(`A flood of ${kind} made the gateway ${growth} MB larger.`);
    if (amplification > MAX_AMPLIFICATION[kind]) {
      throw new Error(`A flood of ${kind} got ${total("answers")} answers, ${amplification} of its bytes.`);
    }
    const figure = (name: string, value: number, unit: string, samples?: readonly number[]): Figure => ({
      name: `flood.${kind}.${name}`,
      value,
      unit,
      ...(samples ? { samples } : {}),
    });
    return [
      figure("paced", paced * 1000 / PACE_MBPS, "x"),
      figure("unpaced", median(unpaced), "x", unpaced),
      figure("elsewhere", median(elsewhere), "x", elsewhere),
      figure("unpaced_of_elsewhere", median(share), "x", share),
      figure("gateway_cpu", 100 * cost.share, "%"),
      figure("gateway_cpu_per_packet", cost.micros, "µs"),
      figure("answers", total("answers"), "packets"),
      figure("amplification", amplification, "x"),
      figure("memory_growth", growth, "MB"),
    ];
  }

  /** The three transfers, in an order that rotates: who comes later must not suffer from what was before. */
  async #round(kind: FloodKind, round: number, floods: Flood[]) {
    const figures = { calm: 0, control: 0, flooded: 0 };
    const transfers: readonly (() => Promise<void>)[] = [
      async () => void (figures.calm = await this.transfer()),
      async () => void (figures.control = await this.#beside(kind, SINK_PORT, [], () => this.transfer())),
      async () => void (figures.flooded = await this.#beside(kind, undefined, floods, () => this.transfer())),
    ];
    for (let i = 0; i < transfers.length; i++) await transfers[(round + i) % transfers.length]!();
    return figures;
  }

  /** Gbit/s of one TCP stream: at a fixed pace, or as fast as it goes. */
  async transfer(megabits?: number): Promise<number> {
    const { stdout } = await this.#product.internet.host("client").run(
      [
        ...["iperf3", "-J", "-c", SERVER[4], "-p", String(megabits ? PACED_PORT : UNPACED_PORT)],
        ...["-t", String(this.#seconds), "--connect-timeout", "5000"],
        ...(megabits ? ["-b", `${megabits}M`] : []),
      ],
      { timeoutMs: (this.#seconds + 20) * 1000 },
    );
    const report = JSON.parse(stdout);
    if (report.error) throw new Error(`iperf3: ${report.error}`);
    return report.end.sum_received.bits_per_second / 1e9;
  }

  /** What the gateway spends on a flood that is its only business, of a core and for each packet. */
  async #costAlone(kind: FloodKind, floods: Flood[]): Promise<{ share: number; micros: number }> {
    const { pid } = this.#product.gateway;
    return await this.#beside(kind, undefined, floods, async () => {
      await pause(500);
      const [cpu, at] = [cpuSeconds(pid), performance.now()];
      await pause(this.#seconds * 1000);
      const share = (cpuSeconds(pid) - cpu) * 1000 / (performance.now() - at);
      return { share, micros: share * 1e6 / RATE };
    });
  }

  /** Runs `action` in the middle of a flood, which is noted in `floods`. */
  async #beside<T>(
    kind: FloodKind,
    port: number | undefined,
    floods: Flood[],
    action: () => Promise<T>,
  ): Promise<T> {
    const target = { rate: RATE, ...(port === undefined ? {} : { port }) };
    const { result, flood } = await this.#stranger.flood(kind, this.#key, target, action);
    floods.push(flood);
    return result;
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
