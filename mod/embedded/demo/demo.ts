/**
 * The demo: the main job of this software from end to end, in network namespaces, told step by step.
 *
 * It starts `up` (portal, relay and gateway) behind one router and the lab client behind another, and reaches a server
 * that only the gateway can reach: directly first, then through the relay when the client's network blocks UDP.
 */
import { BackgroundProcess, type Host, Testbed } from "../testbed/mod.ts";
import {
  buildInternet,
  type Internet,
  PORTAL_PORT,
  PUBLIC_ADDRESS,
  RELAY_PORTS,
  SERVER,
} from "./internet.ts";
import type { Narrator } from "./narrator.ts";
import { ALLOWED_PORT, FORBIDDEN_PORT, PAGE } from "./resource.ts";

const START_TIMEOUT_MS = 10_000, PATH_TIMEOUT_MS = 10_000;
const GATEWAY_TOKEN = "demo-gateway-token-0001", CLIENT_TOKEN = "demo-client-token-00001";
/** In the sandbox's own /run: it vanishes with it, also on Ctrl-C. */
const POLICY_FILE = "/run/policy.toml";
const IPERF_SECONDS = 1, IPERF_PORT = 5201;

export const DEMO_TOOLS: Readonly<Record<string, string>> = {
  ip: "iproute2",
  nft: "nftables",
  sysctl: "procps",
  ping: "iputils-ping",
  curl: "curl",
  iperf3: "iperf3",
};

const POLICY = `# The policy of the demo: one site, one client, one server with two of its ports.
[[site]]
name = "office"

[[gateway]]
name = "gateway"
token = "${GATEWAY_TOKEN}"

[[client]]
name = "laptop"
token = "${CLIENT_TOKEN}"
${
  [SERVER[4], SERVER[6]].map((address) => `
[[resource]]
name = "server ${address}"
address = "${address}"
allow = ["laptop"]
filters = ["icmp", "tcp/${ALLOWED_PORT}", "tcp/${IPERF_PORT}"]
`).join("")
}`;

export interface DemoOptions {
  /** The command line of this program, to run its other commands. */
  readonly self: readonly string[];
  readonly narrator: Narrator;
}

/** Only inside a sandbox. @throws StepFailed when a step did not hold; everything is taken down either way */
export async function runDemo({ self, narrator }: DemoOptions): Promise<void> {
  await using bed = new Testbed();
  narrator.heading("A small internet: client and gateway behind routers, a server on a private network");
  const internet = await narrator.step("building it from network namespaces", () => buildInternet(bed));
  await Deno.writeTextFile(POLICY_FILE, POLICY);
  await startServices(internet, narrator, self);
  narrator.heading("Directly: the routers are punched, packets go from peer to peer");
  const client = await connect(internet, narrator, self, "direct");
  await useResource(internet, narrator);
  await refuseForbiddenPort(internet, narrator);
  await measureThroughput(internet, narrator);
  narrator.heading("Relayed: the client's network now blocks UDP to everything but the relay");
  await narrator.step("blocking UDP and starting the client anew", async () => {
    await client.stop();
    await internet.blockDirectPath();
  });
  await connect(internet, narrator, self, "relayed");
  await useResource(internet, narrator);
  await measureThroughput(internet, narrator);
}

async function startServices(
  { gateway, server }: Internet,
  narrator: Narrator,
  self: readonly string[],
): Promise<void> {
  await narrator.step("starting a web server on the private server", async () => {
    const web = server.start([...self, "demo", "serve-resource"], { label: "web server" });
    await web.waitFor(/^serving$/m, START_TIMEOUT_MS);
  });
  await narrator.step("starting `postern up`: portal, relay and gateway in one process", async () => {
    const up = gateway.start([
      ...[...self, "up", POLICY_FILE, "--listen", `0.0.0.0:${PORTAL_PORT}`],
      ...["--public-ipv4", PUBLIC_ADDRESS, "--relay-ports", RELAY_PORTS, "--health-check-addr", "off"],
    ], { label: "postern up", env: { RUST_LOG: "info", FIREZONE_ID: "demo-gateway" } });
    await up.waitFor(/Tunnel interface is up/, START_TIMEOUT_MS);
    await up.waitFor(/Updated allocation/, START_TIMEOUT_MS);
  });
}

/** Starts the client and sends the first packet, which makes the connection. */
async function connect(
  { client }: Internet,
  narrator: Narrator,
  self: readonly string[],
  path: "direct" | "relayed",
): Promise<BackgroundProcess> {
  const laptop = await narrator.step("signing in with the client", async () => {
    const process = client.start(
      [...self, "client", "--api-url", `ws://${PUBLIC_ADDRESS}:${PORTAL_PORT}`, CLIENT_TOKEN],
      { label: "postern client", env: { RUST_LOG: "info" } },
    );
    await process.waitFor(/Tunnel interface is up/, START_TIMEOUT_MS);
    return process;
  });
  await narrator.step(
    "first packet: authorization, candidates, handshake",
    async () => {
      await firstAnswer(client, laptop);
      await laptop.waitFor(new RegExp(`Packets take a path.*path=${path}`), PATH_TIMEOUT_MS);
    },
    () => `the path is ${path}`,
  );
  return laptop;
}

async function firstAnswer(client: Host, laptop: BackgroundProcess): Promise<void> {
  const deadline = performance.now() + PATH_TIMEOUT_MS;
  while ((await client.run(["ping", "-c", "1", "-W", "1", SERVER[4]])).code !== 0) {
    if (performance.now() > deadline) {
      throw new Error(`No packet came back within ${PATH_TIMEOUT_MS / 1000} s.\n${laptop.tail()}`);
    }
  }
}

async function useResource({ client }: Internet, narrator: Narrator): Promise<void> {
  for (const family of [4, 6] as const) {
    await narrator.step(
      `ping ${SERVER[family]}`,
      () => ping(client, SERVER[family]),
      (rtt) => `round trip ${rtt} ms`,
    );
    const host = family === 6 ? `[${SERVER[6]}]` : SERVER[4];
    await narrator.step(`curl http://${host}/`, async () => {
      const page = await client.check(["curl", "-sS", "--max-time", "5", `http://${host}:${ALLOWED_PORT}/`]);
      if (!page.startsWith(PAGE)) throw new Error(`The server answered something else: ${page}`);
      return page.trim();
    }, (page) => `"${page}"`);
  }
}

async function ping(client: Host, address: string): Promise<string> {
  const out = await client.check(["ping", "-n", "-c", "5", "-i", "0.1", "-W", "2", address]);
  if (!/ 0% packet loss/.test(out)) throw new Error(out);
  return /= [\d.]+\/([\d.]+)\//.exec(out)?.[1] ?? "?";
}

/** The gateway answers what the policy forbids with ICMP "administratively prohibited", so it fails at once. */
async function refuseForbiddenPort({ client }: Internet, narrator: Narrator): Promise<void> {
  for (const family of [4, 6] as const) {
    const host = family === 6 ? `[${SERVER[6]}]` : SERVER[4];
    await narrator.step(`curl http://${host}:${FORBIDDEN_PORT}/, which the policy forbids`, async () => {
      const before = await unreachableMessages(client, family);
      const started = performance.now();
      const { code, stderr } = await client.run(
        ["curl", "-sS", "--max-time", "5", `http://${host}:${FORBIDDEN_PORT}/`],
      );
      if (code === 0) throw new Error("It was let through.");
      const took = performance.now() - started;
      const answers = await unreachableMessages(client, family) - before;
      if (answers < 1) throw new Error(`No ICMP answer came; curl said: ${stderr.trim()}`);
      return `refused by ICMP after ${took.toFixed(0)} ms`;
    }, (text) => text);
  }
}

/** How many "destination unreachable" messages this host received. */
async function unreachableMessages(host: Host, family: 4 | 6): Promise<number> {
  if (family === 6) {
    const text = await host.check(["cat", "/proc/net/snmp6"]);
    return Number(/^Icmp6InDestUnreachs\s+(\d+)/m.exec(text)?.[1] ?? 0);
  }
  const [names, values] = [...(await host.check(["cat", "/proc/net/snmp"])).matchAll(/^Icmp: (.*)$/gm)]
    .map((match) => match[1]!.split(" "));
  return Number(values?.[names?.indexOf("InDestUnreachs") ?? -1] ?? 0);
}

async function measureThroughput({ client, server }: Internet, narrator: Narrator): Promise<void> {
  for (const [direction, flags] of [["to", []], ["from", ["-R"]]] as const) {
    await narrator.step(`iperf3 ${direction} the server, one TCP stream`, async () => {
      // A server for this transfer alone: between two, iperf3 closes its port for a moment.
      const iperf = server.start(["iperf3", "-s", "-1", "--forceflush"], { label: "iperf3" });
      await iperf.waitFor(/listening/i, START_TIMEOUT_MS);
      const args = ["-J", "-c", SERVER[4], "-t", String(IPERF_SECONDS), "--connect-timeout", "3000"];
      const { stdout } = await client.run(["iperf3", ...args, ...flags], { timeoutMs: 10_000 });
      const report = JSON.parse(stdout);
      await iperf.stop();
      if (report.error) throw new Error(`iperf3: ${report.error}`);
      return report.end.sum_received.bits_per_second as number;
    }, (bits) => `${(bits / 1e9).toFixed(2)} Gbit/s`);
  }
}
