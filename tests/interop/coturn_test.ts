/**
 * Independent TURN programs on the other side, over loopback: our client at coturn's server, which speaks RFC 8656 to
 * the letter, and coturn's client at our relay.
 *
 *     our TURN client ──► turnserver ──► echo          turnutils_uclient ──► our relay ──► echo
 */
import { equal, ok } from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { createHmac } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { relayCredentials, startRelay } from "../../mod/embedded/relay/mod.ts";
import { SocketAddress } from "../../mod/packet/address.ts";
import { type EndpointOptions, openEcho, TurnEndpoint, until } from "./turn_endpoint.ts";

const PORT = 34780, RELAY_PORT = 34781;
const REALM = "firezone";
const SOCKETS = { v4: SocketAddress.of("127.0.0.1", PORT)!, v6: SocketAddress.of("::1", PORT)! };
const ALICE = { username: "alice", password: "wonderland" };
const SECRET = "s3cr3t";
const STATIC_USER = ["--lt-cred-mech", `--user=${ALICE.username}:${ALICE.password}`];
const REST = ["--use-auth-secret", `--static-auth-secret=${SECRET}`];
const LOOPBACK_PEERS = "--allow-loopback-peers";
const EXIT_LIMIT_MS = 10_000;

class Coturn {
  readonly #folder = mkdtempSync(join(tmpdir(), "postern-coturn-"));
  #process: ChildProcess | undefined;

  constructor(readonly args: readonly string[]) {}

  start(): void {
    this.#process = spawn("turnserver", [
      "-n",
      `--listening-port=${PORT}`,
      "--listening-ip=127.0.0.1",
      "--listening-ip=::1",
      "--relay-ip=127.0.0.1",
      "--relay-ip=::1",
      "--min-port=34900",
      "--max-port=34999",
      `--realm=${REALM}`,
      "--fingerprint",
      "--no-tls",
      "--no-dtls",
      "--no-tcp",
      "--no-tcp-relay",
      "--no-cli",
      "--no-rfc5780",
      "--no-stdout-log",
      "--simple-log",
      `--log-file=${join(this.#folder, "turn.log")}`,
      `--pidfile=${join(this.#folder, "turn.pid")}`,
      `--userdb=${join(this.#folder, "turn.db")}`,
      ...this.args,
    ], { stdio: "ignore" });
  }

  async stop(): Promise<void> {
    const running = this.#process;
    this.#process = undefined;
    if (!running || running.exitCode !== null || running.signalCode !== null) return;
    running.kill("SIGKILL");
    await once(running, "exit");
  }

  async close(): Promise<void> {
    await this.stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** An endpoint at coturn, opened again as long as the server is not up. */
async function allocate(options: Partial<EndpointOptions> = {}): Promise<TurnEndpoint> {
  const all = { addresses: { v4: SOCKETS.v4 }, realm: REALM, ...ALICE, ...options };
  for (const end = performance.now() + 15_000;;) {
    const endpoint = await TurnEndpoint.open(all);
    const { allocation } = endpoint;
    const settled = () => allocation.relayedAddress(4) !== undefined || allocation.freed !== undefined;
    await until(() => settled() || (allocation.rtt === undefined && performance.now() > end), "it answered");
    if (allocation.freed !== "no response received") return endpoint;
    endpoint.close();
    if (performance.now() > end) throw new Error("coturn did not start");
  }
}

function isAvailable(program: string): boolean {
  if (spawnSync("which", [program]).status === 0) return true;
  if (process.env["CI"]) throw new Error(`${program} is missing. Install Debian's coturn.`);
  console.log(`Left out: interop with ${program}, which is not installed (Debian: coturn).`);
  return false;
}

function coturnTest(name: string, args: readonly string[], action: (server: Coturn) => Promise<void>): void {
  Deno.test(name, async () => {
    if (!isAvailable("turnserver")) return;
    const server = new Coturn(args);
    try {
      server.start();
      await action(server);
    } finally {
      await server.close();
    }
  });
}

coturnTest(
  "at coturn with a static user: allocate over IPv4 and IPv6, bind, data both ways, refresh, stale nonce, release",
  [...STATIC_USER, LOOPBACK_PEERS, "--stale-nonce=1"],
  async () => {
    const peers = [await openEcho(), await openEcho("::1")];
    for (const addresses of [{ v4: SOCKETS.v4 }, { v6: SOCKETS.v6 }]) {
      const endpoint = await allocate({ addresses });
      const { allocation } = endpoint;
      equal(allocation.relayedAddress(4)?.ip, "127.0.0.1");
      equal(allocation.relayedAddress(6)?.ip, "::1");
      ok(endpoint.events.some((event) => event.type === "server-reflexive"));
      for (const peer of peers) {
        for (const size of [1, 2, 3, 148, 1316]) {
          await endpoint.echo(peer.address, new Uint8Array(size).fill(size));
        }
      }
      await new Promise((resolve) => setTimeout(resolve, 2_100)); // the server's nonce goes stale by its own clock
      const late = await openEcho();
      await endpoint.echo(late.address, Uint8Array.of(9));
      late.close();
      ok(endpoint.errors.includes(438), "stale nonce");
      const before = allocation.rtt;
      endpoint.act((allocation, now) => allocation.refresh(now));
      await until(() => allocation.rtt !== before, "the refresh was answered");
      equal(allocation.freed, undefined);
      equal(endpoint.events.some((event) => event.type === "invalidated"), false);
      endpoint.act((allocation, now) => allocation.release(now));
      await until(() => allocation.freed === "released", "the release was answered");
      endpoint.close();
    }
    for (const peer of peers) peer.close();
  },
);

coturnTest(
  "at coturn that restarts: the allocation is lost, made anew, and carries data again",
  [...STATIC_USER, LOOPBACK_PEERS],
  async (server) => {
    const peer = await openEcho();
    const endpoint = await allocate();
    await endpoint.echo(peer.address, Uint8Array.of(1));
    await server.stop();
    server.start();
    const probe = await allocate(); // somebody else sees that it is up again
    probe.close();
    endpoint.act((allocation, now) => allocation.refresh(now));
    await until(() => endpoint.events.some((event) => event.type === "invalidated"), "the loss was noticed");
    await until(() => endpoint.allocation.relayedAddress(4) !== undefined, "it was made anew");
    await endpoint.echo(peer.address, Uint8Array.of(2));
    endpoint.close();
    peer.close();
  },
);

coturnTest(
  "at coturn with a REST secret: its credentials work; expired and wrong ones are told apart from silence",
  [...REST, LOOPBACK_PEERS],
  async () => {
    const rest = (expiresAt: number, secret = SECRET) => {
      const username = `${expiresAt}:gateway`;
      return { username, password: createHmac("sha1", secret).update(username).digest("base64") };
    };
    const inAnHour = Math.floor(Date.now() / 1000) + 3600;
    const peer = await openEcho();
    const endpoint = await allocate(rest(inAnHour));
    await endpoint.echo(peer.address, Uint8Array.of(1, 2, 3));
    endpoint.close();
    peer.close();
    for (const credential of [rest(inAnHour - 7200), rest(inAnHour, "another secret")]) {
      const refused = await allocate(credential);
      equal(refused.allocation.freed, "authentication error");
      refused.close();
    }
  },
);

coturnTest(
  "at coturn that refuses a peer: the channel is forgotten, the allocation stays",
  STATIC_USER,
  async () => {
    const endpoint = await allocate();
    const peer = SocketAddress.of("127.0.0.1", 9)!;
    equal(endpoint.send(peer, Uint8Array.of(1)), true, "in flight");
    const { allocation } = endpoint;
    const before = allocation.rtt;
    await until(() => allocation.rtt !== before, "the bind was refused");
    equal(allocation.peerOf(0x4000, performance.now()), undefined);
    ok(allocation.relayedAddress(4));
    equal(allocation.freed, undefined);
    endpoint.close();
  },
);

Deno.test("coturn's client at our relay: channels over IPv4 and IPv6, nothing lost", async () => {
  if (!isAvailable("turnutils_uclient")) return;
  const relay = await startRelay({
    addresses: { v4: "127.0.0.1", v6: "::1" },
    port: RELAY_PORT,
    portRange: [34800, 34899],
    allowedPeers: ["127.0.0.0/8", "::1"],
  });
  try {
    for (const [server, peerIp, ...more] of [["127.0.0.1", "127.0.0.1"], ["::1", "::1", "-x"]] as const) {
      const peer = await openEcho(peerIp);
      const { username, password } = relayCredentials({
        publicKey: peerIp,
        stampSecret: relay.stampSecret,
        expiresAt: 2145916800,
      });
      const output = await uclient([
        ...["-u", username, "-w", password, "-p", String(RELAY_PORT)],
        ...["-e", peerIp, "-r", String(peer.address.port), "-n", "10", "-m", "1", "-l", "1200", "-c"],
        ...more,
        server,
      ]);
      ok(output.includes("tot_send_msgs=10, tot_recv_msgs=10"), output);
      ok(output.includes("Total lost packets 0 "), output);
      peer.close();
    }
    equal(relay.stats()["relay_to_peer_packets"], 20);
    equal(relay.stats()["relay_to_client_packets"], 20);
    equal(relay.stats()["relay_allocations"], 0, "it gave everything back");
  } finally {
    await relay.stop();
  }
});

/** Its output. It never gives up by itself. */
async function uclient(args: readonly string[]): Promise<string> {
  const child = spawn("turnutils_uclient", ["-v", ...args]);
  let output = "";
  child.stdout.on("data", (text) => output += text);
  child.stderr.on("data", (text) => output += text);
  const timeout = setTimeout(() => child.kill("SIGKILL"), EXIT_LIMIT_MS);
  await once(child, "exit");
  clearTimeout(timeout);
  return output;
}
