/**
 * Peers that offer nothing but an address on a relay, as behind networks that let only TURN through: werift-ice with
 * `forceTurn` and aioice with its relay policy, controlling, through coturn; aioice through our own relay too (werift
 * insists on CreatePermission, which Firezone's dialect does not have). We answer with our host address, or are at the
 * relay as well.
 *
 *     ours ◄── relayed address of the peer ── relay ◄── ChannelData ── peer
 *     ours ── ChannelData ──► relay ◄─► relay ◄── ChannelData ── peer
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { createInterface } from "node:readline";
import { Candidate, Connection } from "werift-ice";
import { relayCredentials, startRelay } from "../../mod/embedded/relay/mod.ts";
import { GATEWAY_ACTIVE } from "../../mod/ice/mod.ts";
import { IceEndpoint } from "./ice_endpoint.ts";
import { type RelayAccess, RelayOnlyEndpoint } from "./ice_relay_only_endpoint.ts";

const HOST = "127.0.0.1";
const PYTHON = "/usr/bin/python3";
const SCRIPT = new URL("./aioice_relay_only_peer.py", import.meta.url).pathname;
const COTURN_PORT = 34790, RELAY_PORT = 34791;
const ALICE = { port: COTURN_PORT, username: "alice", password: "wonderland" };
const OURS = { ufrag: "kwe6", password: "mzkrj52x5h5ebrfdsh5iyq" };
const LIMIT_MS = 10_000;

/** The controlling peer, whichever it is. */
interface Peer {
  readonly ufrag: string;
  readonly password: string;
  /** With the leading `candidate:`. */
  readonly candidates: readonly string[];
  connect(candidate: string): Promise<void>;
  send(text: string): Promise<void>;
  /** The next text that arrived. */
  receive(): Promise<string>;
  close(): Promise<void>;
}

type OpenPeer = (relay: RelayAccess) => Promise<Peer>;

async function openWerift({ port, username, password }: RelayAccess): Promise<Peer> {
  const connection = new Connection(true, {
    ...{ turnServer: [HOST, port], turnUsername: username, turnPassword: password, forceTurn: true },
    ...{
      useIpv4: false,
      useIpv6: false,
      additionalHostAddresses: [HOST],
      interfaceAddresses: { udp4: HOST },
    },
  });
  const texts: string[] = [];
  let wake = () => {};
  connection.onData.subscribe((data) => {
    texts.push(data.toString());
    wake();
  });
  await connection.gatherCandidates();
  return {
    ufrag: connection.localUsername,
    password: connection.localPassword,
    candidates: connection.localCandidates.map((candidate) => `candidate:${candidate.toSdp()}`),
    async connect(candidate) {
      connection.setRemoteParams({ iceLite: false, usernameFragment: OURS.ufrag, password: OURS.password });
      await connection.addRemoteCandidate(Candidate.fromSdp(candidate.replace("candidate:", "")));
      await connection.addRemoteCandidate(undefined);
      await connection.connect();
    },
    send: (text) => connection.send(Buffer.from(text)),
    async receive() {
      if (texts.length === 0) await new Promise<void>((resolve) => wake = resolve);
      return texts.shift()!;
    },
    close: () => connection.close(),
  };
}

async function openAioice({ port, username, password }: RelayAccess): Promise<Peer> {
  const args = [SCRIPT, "controlling", OURS.ufrag, OURS.password, String(port), username, password];
  const child: ChildProcessWithoutNullStreams = spawn(PYTHON, args);
  let complaints = "";
  child.stderr.on("data", (text) => complaints += text);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const say = (message: unknown) => void child.stdin.write(`${JSON.stringify(message)}\n`);
  const hear = async () => {
    const { done, value } = await lines.next();
    if (done) throw new Error(`aioice ended: ${complaints}`);
    return JSON.parse(value);
  };
  const greeting = await hear();
  return {
    ufrag: greeting.ufrag,
    password: greeting.password,
    candidates: greeting.candidates.map((candidate: string) => `candidate:${candidate}`),
    async connect(candidate) {
      say({ candidate: candidate.replace("candidate:", "") });
      say({ end: true });
      say({ connect: true });
      assert.deepEqual(await hear(), { connected: true });
    },
    send: (text) => Promise.resolve(say({ send: text })),
    receive: async () => (await hear()).received,
    async close() {
      say({ close: true });
      const kill = setTimeout(() => child.kill("SIGKILL"), LIMIT_MS);
      if (child.exitCode === null) await once(child, "exit");
      clearTimeout(kill);
    },
  };
}

/** The peer comes through `relay` alone and meets us at our host address, or at the relay with `ourRelay`. */
async function meet(openPeer: OpenPeer, relay: RelayAccess, ourRelay?: RelayAccess): Promise<void> {
  const peer = await openPeer(relay);
  const options = {
    ...{ controlling: false, local: OURS, timing: GATEWAY_ACTIVE },
    remote: { ufrag: peer.ufrag, password: peer.password },
  };
  const ours = ourRelay ? await RelayOnlyEndpoint.open(ourRelay, options) : await IceEndpoint.open(options);
  try {
    assert.ok(peer.candidates.length > 0);
    for (const candidate of peer.candidates) assert.match(candidate, / typ relay/);
    const ourCandidate = await ours.gather();
    for (const candidate of peer.candidates) ours.addRemoteCandidate(candidate);
    await peer.connect(ourCandidate);
    await peer.send("from the peer");
    await ours.until(() => ours.texts.includes("from the peer"), "data from the peer");
    ours.send("from us");
    assert.equal(await peer.receive(), "from us");
    assert.ok(["connected", "completed"].includes(ours.agent.state));
  } finally {
    await ours.close();
    await peer.close();
  }
}

function isAvailable(what: string, command: string, args: readonly string[]): boolean {
  if (spawnSync(command, args).status === 0) return true;
  if (process.env["CI"]) throw new Error(`${what} is missing. Install it.`);
  console.log(`Left out: relay-only ICE with ${what}, which is not installed.`);
  return false;
}

async function withCoturn(body: () => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "postern-coturn-"));
  const server = spawn("turnserver", [
    ...["-n", `--listening-port=${COTURN_PORT}`, `--listening-ip=${HOST}`, `--relay-ip=${HOST}`],
    ...["--min-port=34800", "--max-port=34899", "--realm=firezone", "--fingerprint", "--lt-cred-mech"],
    ...[`--user=${ALICE.username}:${ALICE.password}`, "--allow-loopback-peers", "--no-tls", "--no-dtls"],
    ...["--no-tcp", "--no-tcp-relay", "--no-cli", "--no-rfc5780", "--no-stdout-log", "--simple-log"],
    `--log-file=${join(folder, "turn.log")}`,
    `--pidfile=${join(folder, "turn.pid")}`,
    `--userdb=${join(folder, "turn.db")}`,
  ], { stdio: "ignore" });
  try {
    await answers(COTURN_PORT);
    await body();
  } finally {
    server.kill("SIGKILL");
    await once(server, "exit");
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Resolves when a STUN server answers there. */
async function answers(port: number): Promise<void> {
  const socket = createSocket("udp4");
  const answered = once(socket, "message");
  const request = Buffer.from("000100002112a442" + "00".repeat(12), "hex");
  const timer = setInterval(() => socket.send(request, port, HOST), 50);
  const late = setTimeout(() => socket.emit("error", new Error("coturn did not start")), LIMIT_MS);
  try {
    await answered;
  } finally {
    clearInterval(timer);
    clearTimeout(late);
    socket.close();
  }
}

const isCoturnThere = () => isAvailable("coturn", "which", ["turnserver"]);
const isAioiceThere = () => isAvailable("aioice", PYTHON, ["-c", "import aioice"]);

for (
  const [at, ourRelay] of [["our host address", undefined], ["our address on the relay", ALICE]] as const
) {
  Deno.test(`werift that has only coturn's relay reaches us at ${at}`, async () => {
    if (!isCoturnThere()) return;
    await withCoturn(() => meet(openWerift, ALICE, ourRelay));
  });

  Deno.test(`aioice that has only coturn's relay reaches us at ${at}`, async () => {
    if (!isCoturnThere() || !isAioiceThere()) return;
    await withCoturn(() => meet(openAioice, ALICE, ourRelay));
  });
}

Deno.test("aioice that has only our own relay reaches us, at our host address and at the relay", async () => {
  if (!isAioiceThere()) return;
  const relay = await startRelay({
    ...{
      addresses: { v4: HOST },
      port: RELAY_PORT,
      portRange: [34900, 34999],
      allowedPeers: ["127.0.0.0/8"],
    },
  });
  const access = (publicKey: string) => ({
    port: RELAY_PORT,
    ...relayCredentials({ publicKey, stampSecret: relay.stampSecret, expiresAt: 2145916800 }),
  });
  try {
    await meet(openAioice, access("aioice"));
    await meet(openAioice, access("aioice again"), access("ours"));
  } finally {
    await relay.stop();
  }
});
