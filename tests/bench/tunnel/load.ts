/** Loads a tunnel and reads what came through: iperf3 and ping, with the CPU time and memory it took. */
import type { Host } from "../../../mod/embedded/testbed/mod.ts";
import type { BenchHosts, RunningContender } from "./contender.ts";
import { SERVER_ADDRESS } from "./topology.ts";

const CLOCK_TICKS = 100;

export interface TcpLoad {
  readonly streams: number;
  readonly direction: "up" | "down";
  readonly seconds: number;
}

export interface Cost {
  /** CPU seconds of both ends per 10⁹ bytes of payload. */
  readonly clientCpuPerGb: number;
  readonly gatewayCpuPerGb: number;
}

export async function runTcp(hosts: BenchHosts, running: RunningContender, load: TcpLoad) {
  const before = cpuTimes(running);
  const report = await iperf(hosts, load.seconds, [
    ...["-P", String(load.streams)],
    ...(load.direction === "down" ? ["-R"] : []),
  ]);
  const received = report.end.sum_received;
  return { gbps: received.bits_per_second / 1e9, ...cost(before, cpuTimes(running), received.bytes) };
}

/** Floods with datagrams of `size` bytes; counts what arrived. */
export async function runUdp(hosts: BenchHosts, running: RunningContender, size: number, seconds: number) {
  const before = cpuTimes(running);
  const { sum } = (await iperf(hosts, seconds, ["-u", "-b", "0", "-l", String(size)])).end;
  const delivered = sum.packets - sum.lost_packets;
  return { kpps: delivered / sum.seconds / 1000, ...cost(before, cpuTimes(running), delivered * size) };
}

/** Average and 99th percentile of the round trip in ms. */
export async function runPing(client: Host, count: number, interval = 0.002) {
  const out = await client.check(
    ["ping", "-n", "-D", "-i", String(interval), "-c", String(count), "-W", "1", SERVER_ADDRESS],
    { timeoutMs: 60_000 },
  );
  const times = [...out.matchAll(/ time=([\d.]+) ms/g)].map((match) => Number(match[1])).sort((a, b) =>
    a - b
  );
  if (times.length < count * 0.9) throw new Error(`Only ${times.length} of ${count} pings were answered.`);
  return {
    average: times.reduce((sum, time) => sum + time, 0) / times.length,
    p99: times[Math.floor(times.length * 0.99)]!,
  };
}

/** Ping while one TCP stream fills the tunnel. */
export async function runLoadedPing(hosts: BenchHosts, seconds: number) {
  const load = iperf(hosts, seconds, []);
  await new Promise((resolve) => setTimeout(resolve, 500));
  const [ping] = await Promise.all([runPing(hosts.client, Math.floor((seconds - 1) / 0.01), 0.01), load]);
  return ping;
}

/** Resident memory now and at its highest, in 10⁶ bytes. */
export function memory(pid: number): { resident: number; highest: number } {
  const status = Deno.readTextFileSync(`/proc/${pid}/status`);
  const megabytes = (field: string) =>
    Number(new RegExp(`^${field}:\\s+(\\d+) kB`, "m").exec(status)?.[1]) * 1024 / 1e6;
  return { resident: megabytes("VmRSS"), highest: megabytes("VmHWM") };
}

/** What came in by a device of the network that a process is in, whose name begins so. */
export function received(pid: number, device: string): { bytes: number; packets: number } {
  const table = Deno.readTextFileSync(`/proc/${pid}/net/dev`);
  const [, bytes, packets] = new RegExp(`^\\s*${device}\\S*:\\s*(\\d+)\\s+(\\d+)`, "m").exec(table)!;
  return { bytes: Number(bytes), packets: Number(packets) };
}

interface IperfReport {
  readonly error?: string;
  readonly end: {
    readonly sum_received: { readonly bytes: number; readonly bits_per_second: number };
    readonly sum: { readonly packets: number; readonly lost_packets: number; readonly seconds: number };
  };
}

/** One transfer with a server of its own: between two, iperf3 closes its port for a moment. */
async function iperf(
  { client, server }: BenchHosts,
  seconds: number,
  args: readonly string[],
): Promise<IperfReport> {
  const listener = server.start(["iperf3", "-s", "-1", "--forceflush"], { label: "iperf3 server" });
  await listener.waitFor(/listening/i, 5000);
  const { stdout, stderr } = await client.run(
    ["iperf3", "-J", "-c", SERVER_ADDRESS, "-t", String(seconds), "--connect-timeout", "3000", ...args],
    { timeoutMs: (seconds + 15) * 1000 },
  );
  await listener.stop();
  let report: IperfReport;
  try {
    report = JSON.parse(stdout);
  } catch {
    throw new Error(`iperf3 gave no report: ${stderr || stdout || "it was killed after its time"}`);
  }
  if (report.error) throw new Error(`iperf3 failed: ${report.error}`);
  return report;
}

interface CpuTimes {
  readonly client: number;
  readonly gateway: number;
}

function cpuTimes({ processes }: RunningContender): CpuTimes {
  return { client: cpuSeconds(processes.client), gateway: cpuSeconds(processes.gateway) };
}

/** User and system time of a process, all its threads (proc_pid_stat(5), fields 14 and 15). */
export function cpuSeconds(pid: number): number {
  const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / CLOCK_TICKS;
}

function cost(before: CpuTimes, after: CpuTimes, bytes: number): Cost {
  return {
    clientCpuPerGb: (after.client - before.client) / (bytes / 1e9),
    gatewayCpuPerGb: (after.gateway - before.gateway) / (bytes / 1e9),
  };
}
