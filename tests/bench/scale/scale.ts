/**
 * A thousand clients of one gateway: all of them come within ten seconds, then stay and say nothing.
 *
 *     load: portal stub, 1,000 clients (`clients.ts`), relay  ── veth ──  gateway: the product, and the resource
 *       198.51.100.1                                                     198.51.100.2, 10.50.0.1
 *
 * Everything is on the same cores. A handshake's time is what a client sees between its first initiation and the
 * response, which is more than the gateway's share of it.
 *
 * Idle is measured once the gateway says that every connection is, for as long as a session lives: clients renew
 * theirs, also without traffic. It is the costly time of being idle, since paths that never worked are still checked (a
 * gateway gives them up after 1,000 s): six for each client here.
 */
import { type Host, Testbed } from "../../../mod/embedded/testbed/mod.ts";
import type { Figure } from "../figure.ts";
import { cpuSeconds, memory } from "../tunnel/load.ts";
import { posternCommand } from "../tunnel/postern.ts";

const CLIENTS = 1000, RAMP_SECONDS = 10;
const LOAD_IP = "198.51.100.1", GATEWAY_IP = "198.51.100.2", RESOURCE_IP = "10.50.0.1";
const SECRET = "scale-relay-secret-0001", TOKEN = "scale-gateway-token-0001";
const START_MS = 15_000, CONNECT_MS = 60_000;
/** Connections go idle after 20 s; checks come every 25 s then, also the clients'. */
const BECOME_IDLE_MS = 60_000, SETTLE_MS = 30_000, IDLE_MS = 180_000;
const METRICS = "127.0.0.1:9100";
const CLIENTS_SCRIPT = new URL("./clients.ts", import.meta.url).pathname;

export async function figures(say: (line: string) => void): Promise<Figure[]> {
  await using bed = new Testbed();
  const load = await bed.host("scale-load"), host = await bed.host("scale-gateway");
  await bed.link(
    { host: load, device: "eth0", addresses: [`${LOAD_IP}/24`] },
    { host, device: "eth0", addresses: [`${GATEWAY_IP}/24`] },
  );
  await host.ip(`addr add ${RESOURCE_IP}/32 dev lo`, `route add default via ${LOAD_IP}`);
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${folder}/secret`, SECRET);
    const relay = load.start(
      [...posternCommand(), "relay", "--secret-file", `${folder}/secret`, "--public-ipv4", LOAD_IP],
      { label: "relay" },
    );
    await relay.waitFor(/Relay is listening/, START_MS);
    const settings = [LOAD_IP, LOAD_IP, SECRET, RESOURCE_IP, CLIENTS, RAMP_SECONDS].map(String);
    const clients = load.start([Deno.execPath(), "run", "-A", "--no-check", CLIENTS_SCRIPT, ...settings], {
      label: "clients",
    });
    await clients.waitFor(/listening/, START_MS);
    const gateway = host.start(
      [
        ...posternCommand(),
        "gateway",
        "--api-url",
        `ws://${LOAD_IP}:8443`,
        "--health-check-addr",
        METRICS,
        TOKEN,
      ],
      { label: "postern gateway", env: { RUST_LOG: "warn", FIREZONE_ID: "scale-gateway" } },
    );
    const before = memory(gateway.pid).resident;
    const busy = cpuSeconds(gateway.pid);
    const [, json] = await clients.waitFor(/result (.*)/, CONNECT_MS);
    const result = JSON.parse(json!);
    const connectCpu = cpuSeconds(gateway.pid) - busy;
    if (result.connected < CLIENTS) say(`${gateway.tail()}\n${clients.tail()}`);
    say(`${result.connected} of ${CLIENTS} connected, ${result.initiations} initiations`);
    say(`clients: ${JSON.stringify(result)}; gateway: ${connectCpu.toFixed(1)} s of CPU from its start on`);
    await allIdle(host);
    await pause(SETTLE_MS);
    const first = await sample(host, gateway.pid);
    await pause(IDLE_MS);
    const last = await sample(host, gateway.pid);
    const seconds = (last.at - first.at) / 1000;
    const rate = (field: "cpu" | "waits" | "received" | "sent") => (last[field] - first[field]) / seconds;
    const { resident, highest } = memory(gateway.pid);
    if (last.idle < CLIENTS) throw new Error(`Only ${last.idle} connections stayed idle.`);
    say(
      `${last.idle} idle for ${seconds.toFixed(0)} s: ${
        (100 * rate("cpu")).toFixed(1)
      } % of a core; each second ` +
        `${rate("sent").toFixed(0)} datagrams sent, ${rate("received").toFixed(0)} received, ` +
        `${rate("waits").toFixed(0)} wake-ups; ${resident.toFixed(0)} MB (${before.toFixed(0)} at start)`,
    );
    if (gateway.status) throw new Error(`The gateway ended.\n${gateway.tail()}`);
    return [
      { name: "scale.connected", value: result.connected, unit: "clients" },
      { name: "scale.setup.median", value: result.setupMedian, unit: "ms" },
      { name: "scale.setup.p99", value: result.setupP99, unit: "ms" },
      { name: "scale.handshake.median", value: result.handshakeMedian, unit: "ms" },
      { name: "scale.handshake.p99", value: result.handshakeP99, unit: "ms" },
      { name: "scale.connect.cpu", value: connectCpu, unit: "s" },
      { name: "scale.idle.cpu", value: 100 * rate("cpu"), unit: "%" },
      { name: "scale.idle.sent", value: rate("sent"), unit: "/s" },
      { name: "scale.idle.received", value: rate("received"), unit: "/s" },
      { name: "scale.idle.wakeups", value: rate("waits"), unit: "/s" },
      { name: "scale.idle.memory", value: resident, unit: "MB" },
      { name: "scale.memory.highest", value: highest, unit: "MB" },
    ];
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Connections, wake-ups and datagrams of the gateway so far, and its CPU seconds. */
async function sample(host: Host, pid: number) {
  const metric = await metrics(host);
  // Nothing else in that host speaks UDP.
  const [, names, values] = /^Udp: (.*)\nUdp: (.*)$/m.exec(await host.check(["cat", "/proc/net/snmp"]))!;
  return {
    at: performance.now(),
    cpu: cpuSeconds(pid),
    idle: metric("connections_idle"),
    waits: metric("loop_waits_total"),
    sent: Number(values!.split(" ")[names!.split(" ").indexOf("OutDatagrams")]),
    received: metric("datagrams_received_total"),
  };
}

/** The value of a metric without labels. */
async function metrics(host: Host): Promise<(name: string) => number> {
  const text = await host.check(["curl", "-s", "-m", "5", `http://${METRICS}/metrics`]);
  return (name) => Number(new RegExp(`^postern_${name} (\\S+)$`, "m").exec(text)?.[1] ?? NaN);
}

async function allIdle(host: Host): Promise<void> {
  const until = performance.now() + BECOME_IDLE_MS;
  for (;;) {
    await pause(5_000);
    const idle = (await metrics(host))("connections_idle");
    if (idle === CLIENTS) return;
    if (performance.now() > until) throw new Error(`Only ${idle} of ${CLIENTS} connections went idle.`);
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
