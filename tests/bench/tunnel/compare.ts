/**
 * Two contenders in one run, alternating, so that the machine's moods hit both: round by round every measurement is
 * made for one, then for the other, and the order is swapped each time. The figure to trust is the median of the
 * rounds' ratios.
 */
import { Testbed } from "../../../mod/embedded/testbed/mod.ts";
import { type Figure, median } from "../figure.ts";
import type { BenchHosts, Contender, RunningContender } from "./contender.ts";
import { memory, runLoadedPing, runPing, runTcp, runUdp } from "./load.ts";
import { buildTopology, SERVER_ADDRESS } from "./topology.ts";

export type Part = "tcp" | "udp" | "ping";

export interface CompareOptions {
  readonly parts: readonly Part[];
  readonly rounds: number;
  readonly seconds: number;
  /** Called with progress, one line each. */
  readonly say: (line: string) => void;
}

interface Side {
  readonly contender: Contender;
  readonly hosts: BenchHosts;
  readonly running: RunningContender;
  /** Values by figure name, one per round. */
  readonly samples: Map<string, { unit: string; values: number[] }>;
}

const READY_TIMEOUT_MS = 20_000;

/** Measures one contender alone, or the first against the second. */
export async function compare(contenders: readonly Contender[], options: CompareOptions): Promise<Figure[]> {
  await using bed = new Testbed();
  const sides: Side[] = [];
  for (const [index, contender] of contenders.entries()) {
    const hosts = await buildTopology(bed, `b${index}`);
    const running = await contender.start(hosts);
    await waitForPath(contender, hosts);
    options.say(`${contender.name}: ${contender.version}`);
    sides.push({ contender, hosts, running, samples: new Map() });
  }
  for (let round = 0; round < options.rounds; round++) {
    const order = round % 2 === 0 ? sides : [...sides].reverse();
    for (const side of order) await measureRound(side, options);
    options.say(`round ${round + 1} of ${options.rounds}: ${sides.map((side) => headline(side)).join("; ")}`);
  }
  return [...sides.flatMap(sideFigures), ...ratioFigures(sides)];
}

async function waitForPath({ name }: Contender, { client }: BenchHosts): Promise<void> {
  const deadline = performance.now() + READY_TIMEOUT_MS;
  while ((await client.run(["ping", "-c", "1", "-W", "1", SERVER_ADDRESS])).code !== 0) {
    if (performance.now() > deadline) throw new Error(`No packet passed the tunnel of ${name}.`);
  }
}

async function measureRound(side: Side, { parts, seconds }: CompareOptions): Promise<void> {
  const { hosts, running } = side;
  if (parts.includes("tcp")) {
    for (const streams of [1, 4]) {
      for (const direction of ["up", "down"] as const) {
        const { gbps, clientCpuPerGb, gatewayCpuPerGb } = await runTcp(hosts, running, {
          streams,
          direction,
          seconds,
        });
        const name = `tcp.${streams}.${direction}`;
        note(side, name, "Gbit/s", gbps);
        note(side, `${name}.cpu-client`, "s/GB", clientCpuPerGb);
        note(side, `${name}.cpu-gateway`, "s/GB", gatewayCpuPerGb);
      }
    }
  }
  if (parts.includes("udp")) {
    for (const size of [64, 1200]) {
      const { kpps, gatewayCpuPerGb } = await runUdp(hosts, running, size, seconds);
      note(side, `udp.${size}`, "kpps", kpps);
      note(side, `udp.${size}.cpu-gateway`, "s/GB", gatewayCpuPerGb);
    }
  }
  if (parts.includes("ping")) {
    const idle = await runPing(hosts.client, 500);
    note(side, "ping.idle", "ms", idle.average);
    note(side, "ping.idle.p99", "ms", idle.p99);
    const loaded = await runLoadedPing(hosts, Math.max(3, seconds));
    note(side, "ping.loaded", "ms", loaded.average);
    note(side, "ping.loaded.p99", "ms", loaded.p99);
  }
  for (const end of ["client", "gateway"] as const) {
    const { resident, highest } = memory(running.processes[end]);
    note(side, `rss.${end}`, "MB", resident);
    note(side, `rss.${end}.highest`, "MB", highest);
  }
}

function note(side: Side, name: string, unit: string, value: number): void {
  const entry = side.samples.get(name);
  if (entry) entry.values.push(value);
  else side.samples.set(name, { unit, values: [value] });
}

function headline({ contender, samples }: Side): string {
  const figures = [...samples].filter(([name]) => /^(tcp\.\d\.\w+|udp\.\d+|ping\.\w+)$/.test(name));
  return `${contender.name} ${
    figures.map(([name, { values }]) => `${name} ${values.at(-1)!.toFixed(2)}`).join(", ")
  }`;
}

function sideFigures({ contender, samples }: Side): Figure[] {
  return [...samples].map(([name, { unit, values }]) => ({
    name: `tunnel.${name}.${contender.name}`,
    value: median(values),
    unit,
    samples: values,
  }));
}

/** The first contender's value over the second's, round by round. */
function ratioFigures([first, second]: readonly Side[]): Figure[] {
  if (!first || !second) return [];
  return [...first.samples].flatMap(([name, { values }]) => {
    const others = second.samples.get(name)?.values;
    if (!others) return [];
    const ratios = values.map((value, round) => value / others[round]!);
    return [{ name: `tunnel.${name}.ratio`, value: median(ratios), unit: "x", samples: ratios }];
  });
}
