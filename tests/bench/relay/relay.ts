/**
 * Our relay beside coturn, with the same load, alternating:
 *
 *     load (core 1): client .2 and peer .3 ─────── 192.0.2.0/24 ─────── .1 (core 0): one relay at a time is loaded
 *
 * Each relay is pinned to one core, the load to another, so that a rate is what one core relays. `up` is ChannelData
 * in and UDP out, `down` the other way. In `gso` the cable carries trains of datagrams as they were handed over
 * (UDP GSO), as between Postern's own ends on hardware with cable; in `plain` it cuts them, so that every datagram
 * travels by itself, and the load's cost stays small. `per-core` is what a second of the relay's CPU time carries: it
 * hardly moves when something else runs on the machine, while the rates do. On a machine of one core all share it.
 */
import { hasCommand, Testbed } from "../../../mod/embedded/testbed/mod.ts";
import { type Figure, median } from "../figure.ts";
import { coturn, postern, type RelayContender, type RunningRelay } from "./contender.ts";
import type { Direction, LoadReport, LoadTask } from "./load.ts";

const LOAD = new URL("./load.ts", import.meta.url).pathname;
const RELAY_IP = "192.0.2.1", CLIENT_IP = "192.0.2.2", PEER_IP = "192.0.2.3";
/** How datagrams travel: segments that the cable takes at once, and payload bytes of each. */
const CABLES = { gso: { segments: 64, size: 1312 }, plain: { segments: 1, size: 1200 } } as const;
type Cable = keyof typeof CABLES;
const KINDS = (["gso", "plain"] as const).flatMap((cable) =>
  (["up", "down"] as const).map((direction) => ({ cable, direction }))
);
const DEFAULT_ROUNDS = 3, DEFAULT_SECONDS = 2;

interface Side {
  readonly contender: RelayContender;
  readonly relay: RunningRelay;
  readonly address: string;
  readonly windows: Map<string, number>;
  /** Values by figure name, one per round. */
  readonly samples: Map<string, { readonly unit: string; readonly values: number[] }>;
}

export async function figures(
  say: (line: string) => void,
  { rounds = DEFAULT_ROUNDS, seconds = DEFAULT_SECONDS }: { rounds?: number; seconds?: number } = {},
): Promise<Figure[]> {
  await using bed = new Testbed();
  const [host, loadHost] = [await bed.host("bench-relay"), await bed.host("bench-load")];
  await bed.link(
    { host, device: "eth0", addresses: [`${RELAY_IP}/24`] },
    { host: loadHost, device: "eth0", addresses: [`${CLIENT_IP}/24`, `${PEER_IP}/24`] },
  );
  const cores = navigator.hardwareConcurrency;
  const on = (core: number) => ["taskset", "-c", String(core % cores)];
  const sides: Side[] = [];
  const contenders = [postern, ...(hasCommand("turnserver") ? [coturn] : [])];
  if (contenders.length === 1) say("Left out: coturn, which is not installed (Debian: coturn). No ratios.");
  for (const [index, contender] of contenders.entries()) {
    const port = 3478 + index;
    const relay = await contender.start(host, on(0), RELAY_IP, port);
    say(`${contender.name}: ${relay.version}`);
    sides.push({
      contender,
      relay,
      address: `${RELAY_IP}:${port}`,
      windows: new Map(),
      samples: new Map(),
    });
  }
  for (let round = 0; round < rounds; round++) {
    for (const { cable, direction } of KINDS) {
      for (const end of [host, loadHost]) {
        await end.ip(`link set eth0 gso_max_segs ${CABLES[cable].segments}`);
      }
      for (const side of round % 2 === 0 ? sides : [...sides].reverse()) {
        const kind = `${cable}.${direction}`;
        const report = await load(side, cable, direction);
        note(side, kind, report);
        say(
          `round ${round + 1} of ${rounds}: ${side.contender.name} ${kind} ${
            report.gbps.toFixed(2)
          } Gbit/s, ` +
            `${report.cpuPerGb.toFixed(2)} s/GB, ${(100 * report.loss).toFixed(2)} % lost, relay ` +
            `${percent(report.relayBusy)}, load ${percent(report.loadBusy)}, window ${report.window}`,
        );
      }
    }
  }
  return [...sides.flatMap(sideFigures), ...ratioFigures(sides[0]!, sides[1])];

  async function load(side: Side, cable: Cable, direction: Direction): Promise<LoadReport> {
    const { relay: { pid, username, password }, windows } = side;
    const kind = `${cable}.${direction}`;
    const task: LoadTask = {
      relay: side.address,
      clientIp: CLIENT_IP,
      peerIp: PEER_IP,
      username,
      password,
      direction,
      size: CABLES[cable].size,
      seconds,
      window: windows.get(kind),
      relayPid: pid,
    };
    const output = await loadHost.check(
      [...on(1), Deno.execPath(), "run", "-A", "--no-check", LOAD, JSON.stringify(task)],
      { timeoutMs: (seconds + 25) * 1000 },
    );
    const report: LoadReport = JSON.parse(output);
    windows.set(kind, report.window);
    return report;
  }
}

const percent = (share: number) => `${(100 * share).toFixed(0)} %`;

function note(side: Side, kind: string, report: LoadReport): void {
  const figures: readonly (readonly [suffix: string, value: number, unit: string])[] = [
    ["", report.gbps, "Gbit/s"],
    [".per-core", 8 / report.cpuPerGb, "Gbit/s"],
    [".cpu", report.cpuPerGb, "s/GB"],
    [".loss", 100 * report.loss, "%"],
    [".busy", 100 * report.relayBusy, "%"],
    [".load-busy", 100 * report.loadBusy, "%"],
  ];
  for (const [suffix, value, unit] of figures) {
    const name = kind + suffix, entry = side.samples.get(name);
    if (entry) entry.values.push(value);
    else side.samples.set(name, { unit, values: [value] });
  }
}

function sideFigures({ contender, samples }: Side): Figure[] {
  return [...samples].map(([name, { unit, values }]) => ({
    name: `relay.${name}.${contender.name}`,
    value: median(values),
    unit,
    samples: values,
  }));
}

/** Ours over coturn's, round by round: of the rates and of what a core's time relays. */
function ratioFigures(ours: Side, theirs: Side | undefined): Figure[] {
  if (!theirs) return [];
  return KINDS.flatMap(({ cable, direction }) =>
    ["", ".per-core"].map((suffix) => {
      const name = `${cable}.${direction}${suffix}`;
      const others = theirs.samples.get(name)!.values;
      const ratios = ours.samples.get(name)!.values.map((value, round) => value / others[round]!);
      return { name: `relay.${name}.ratio`, value: median(ratios), unit: "x", samples: ratios };
    })
  );
}
