/**
 * Our WireGuard against Debian's wireguard-go, in both roles, inside one network namespace of its own.
 *
 *     wireguard_go_peer.ts 127.0.0.1:a ◄── UDP ──► 127.0.0.1:b wireguard-go
 *       10.99.0.1, ICMP echo only                    TUN wgi…, 10.99.0.2, the kernel's ICMP
 */
import assert from "node:assert/strict";
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import process from "node:process";
import { createInterface } from "node:readline";
import { check, hasCommand, type Host, sandboxObstacle, Testbed } from "../../mod/embedded/testbed/mod.ts";
import type { PeerCommand, PeerConfiguration } from "./wireguard_go_peer.ts";

const SCRIPT = new URL("./wireguard_go_peer.ts", import.meta.url).pathname;
const OURS = "10.99.0.1", THEIRS = "10.99.0.2";
const LIMIT_MS = 15_000;

type Line = Readonly<Record<string, unknown>>;

/** Our end: a process in the namespace, its lines, and what to tell it. */
class OurPeer {
  readonly lines: Line[] = [];
  readonly #process: ChildProcessWithoutNullStreams;
  #complaints = "";
  #arrived: () => void = () => {};

  constructor(host: Host, configuration: PeerConfiguration) {
    const command = host.in([
      process.execPath,
      "run",
      "-A",
      "--quiet",
      SCRIPT,
      JSON.stringify(configuration),
    ]);
    this.#process = spawn(command[0]!, command.slice(1));
    this.#process.stderr.on("data", (text) => this.#complaints += text);
    createInterface({ input: this.#process.stdout }).on("line", (line) => {
      this.lines.push(JSON.parse(line));
      this.#arrived();
    });
  }

  tell(command: PeerCommand): void {
    this.#process.stdin.write(`${JSON.stringify(command)}\n`);
  }

  /** Resolves as soon as `count` lines fit; returns all that fit. */
  async until(fits: (line: Line) => boolean, count = 1, limit = LIMIT_MS): Promise<Line[]> {
    const deadline = performance.now() + limit;
    for (;;) {
      const fitting = this.lines.filter(fits);
      if (fitting.length >= count) return fitting;
      const left = deadline - performance.now();
      assert.ok(
        left > 0,
        `only ${fitting.length} of ${count}: ${JSON.stringify(this.lines.slice(-20))} ${this.#complaints}`,
      );
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        this.#arrived = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  count(fits: (line: Line) => boolean): number {
    return this.lines.filter(fits).length;
  }

  async close(): Promise<void> {
    if (this.#process.exitCode !== null) return;
    const ended = once(this.#process, "exit");
    this.tell({ do: "close" });
    const kill = setTimeout(() => this.#process.kill("SIGKILL"), 3000);
    await ended;
    clearTimeout(kill);
  }
}

const says = (key: string, value?: unknown) => (line: Line) =>
  key in line && (value === undefined || line[key] === value);

interface Setup {
  readonly host: Host;
  readonly device: string;
  readonly peer: OurPeer;
  wg(...args: string[]): Promise<string>;
}

async function obstacle(): Promise<string | undefined> {
  for (const program of ["wireguard-go", "wg", "ping"]) {
    if (!hasCommand(program)) {
      return `\`${program}\` is missing (Debian: wireguard-go wireguard-tools iputils-ping)`;
    }
  }
  return await sandboxObstacle() ?? (Deno.uid() === 0 ? undefined : "it needs root");
}

let serial = 0;

/** Runs a scenario with both ends up and configured for each other, and cleans up after it. */
async function scenario(
  options: { psk?: boolean; ours?: Partial<PeerConfiguration>; theirs?: readonly string[] },
  body: (setup: Setup) => Promise<void>,
): Promise<void> {
  const reason = await obstacle();
  if (reason !== undefined) {
    if (process.env["CI"]) throw new Error(`Cannot test against wireguard-go: ${reason}.`);
    console.log(`Left out: interop with wireguard-go: ${reason}.`);
    return;
  }
  const device = `wgi${process.pid % 100_000}-${serial++}`;
  await using bed = new Testbed();
  const host = await bed.host(device);
  await Deno.mkdir("/var/run/wireguard", { recursive: true });
  const wireguardGo = host.start(["wireguard-go", "-f", device], { env: { LOG_LEVEL: "verbose" } });
  const wg = (...args: string[]) => host.check(["wg", ...args]);
  for (const deadline = performance.now() + 5000; (await host.run(["wg", "show", device])).code !== 0;) {
    assert.ok(performance.now() < deadline, `wireguard-go did not come up.\n${wireguardGo.tail()}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const own = await makeKeys(), their = await makeKeys();
  const presharedKey = options.psk ? (await check(["wg", "genpsk"])).trim() : undefined;
  await host.check(["wg", "set", device, "private-key", "/dev/stdin"], { input: `${their.privateKey}\n` });
  await host.ip(`addr add ${THEIRS}/24 dev ${device}`, `link set ${device} mtu 1280 up`);
  const peer = new OurPeer(host, {
    privateKey: own.privateKey,
    peerPublicKey: their.publicKey,
    ...(presharedKey === undefined ? {} : { presharedKey }),
    peerPort: Number(await wg("show", device, "listen-port")),
    address: OURS,
    peerAddress: THEIRS,
    ...options.ours,
  });
  try {
    const [{ listening }] = await peer.until(says("listening")) as [{ listening: number }];
    await host.check(
      [
        ...["wg", "set", device, "peer", own.publicKey, "allowed-ips", `${OURS}/32`],
        ...["endpoint", `127.0.0.1:${listening}`, ...(options.theirs ?? [])],
        ...(presharedKey === undefined ? [] : ["preshared-key", "/dev/stdin"]),
      ],
      { input: `${presharedKey ?? ""}\n` },
    );
    await body({ host, device, peer, wg });
  } catch (error) {
    console.error(wireguardGo.tail(40));
    throw error;
  } finally {
    await peer.close();
  }
}

async function makeKeys(): Promise<{ privateKey: string; publicKey: string }> {
  const privateKey = (await check(["wg", "genkey"])).trim();
  return { privateKey, publicKey: (await check(["wg", "pubkey"], { input: `${privateKey}\n` })).trim() };
}

const ping = (count: number, extra: readonly string[] = []) => [
  ...["ping", "-n", "-c", `${count}`, "-i", "0.05", "-W", "10", ...extra],
  OURS,
];

for (const psk of [false, true]) {
  const suffix = psk ? "with a preshared key" : "without a preshared key";

  Deno.test(`wireguard-go initiates, we respond, and its kernel's pings come back, ${suffix}`, async () => {
    await scenario({ psk }, async ({ host, device, peer, wg }) => {
      const output = await host.check(ping(20));
      assert.match(output, /20 packets transmitted, 20 received, 0% packet loss/);
      assert.equal(peer.count(says("outcome", "initiation-accepted")), 1);
      assert.equal(peer.count(says("event", "established")), 1);
      assert.equal(peer.count(says("refused")), 0);
      assert.ok(Number((await wg("show", device, "latest-handshakes")).split("\t")[1]) > 0);
    });
  });

  Deno.test(`we initiate, wireguard-go responds, and our pings come back, ${suffix}`, async () => {
    await scenario({ psk }, async ({ peer }) => {
      peer.tell({ do: "initiate" });
      await peer.until(says("event", "established"));
      peer.tell({ do: "ping", count: 20, interval: 10 });
      const replies = await peer.until(says("reply"), 20);
      assert.deepEqual(new Set(replies.map(({ reply }) => reply)).size, 20);
      assert.ok(replies.every(({ padded, length }) => Number(padded) % 16 === 0 && padded !== length));
      assert.equal(peer.count(says("outcome", "response-accepted")), 1);
      assert.equal(peer.count(says("refused")), 0);
    });
  });
}

Deno.test("a wrong preshared key makes no session, in either role", async () => {
  await scenario({ psk: true, ours: { presharedKey: btoa("x".repeat(32)) } }, async ({ host, peer }) => {
    peer.tell({ do: "initiate" });
    await peer.until(says("outcome", "forged"));
    assert.equal((await host.run(ping(1, ["-w", "1"]))).code, 1);
    assert.equal(peer.count(says("event", "established")), 0);
  });
});

Deno.test("large packets of every padding arrive in both directions", async () => {
  await scenario({ psk: true }, async ({ host, peer }) => {
    for (const size of [0, 1, 15, 16, 17, 1000, 1251, 1252]) {
      assert.match(await host.check(ping(2, ["-s", `${size}`])), /2 received/, `${size} bytes`);
    }
    assert.equal(peer.count(says("refused")), 0);
  });
});

Deno.test("re-keying on traffic loses nothing, as initiator with short timings", async () => {
  const timings = { rekeyAfterTime: 500, rejectAfterTime: 60_000, jitter: 50 };
  await scenario({ psk: true, ours: { timings } }, async ({ peer }) => {
    peer.tell({ do: "initiate" });
    await peer.until(says("event", "established"));
    peer.tell({ do: "ping", count: 150, interval: 20 });
    await peer.until(says("reply"), 150);
    const handshakes = peer.count(says("outcome", "response-accepted"));
    assert.ok(handshakes >= 4, `${handshakes} handshakes`);
    assert.equal(peer.count(says("refused")), 0);
    assert.equal(peer.count(says("noSession")), 0);
  });
});

Deno.test("sessions that both sides ask for at once do not disturb traffic", async () => {
  await scenario({ psk: true }, async ({ host, peer }) => {
    const pings = host.check(ping(40));
    for (let i = 0; i < 5; i++) {
      peer.tell({ do: "initiate" });
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
    assert.match(await pings, /40 packets transmitted, 40 received/);
    assert.ok(peer.count(says("outcome", "response-accepted")) >= 4);
  });
});

Deno.test("wireguard-go follows us to another source port, and we follow it", async () => {
  await scenario({ psk: true }, async ({ host, device, peer, wg }) => {
    assert.match(await host.check(ping(2)), /2 received/);
    peer.tell({ do: "roam" });
    const ports = await peer.until(says("listening"), 2);
    peer.tell({ do: "ping", count: 3, interval: 20 });
    await peer.until(says("reply"), 3);
    assert.equal(
      (await wg("show", device, "endpoints")).trim().split("\t")[1],
      `127.0.0.1:${ports[1]!["listening"]}`,
    );
    const before = Number(await wg("show", device, "listen-port"));
    await wg("set", device, "listen-port", `${before === 65535 ? before - 1 : before + 1}`);
    assert.match(await host.check(ping(3)), /3 received/);
    const requests = peer.lines.filter(says("request"));
    assert.notEqual(requests.at(-1)!["port"], requests[0]!["port"]);
  });
});

Deno.test("a datagram that we send twice is delivered once", async () => {
  await scenario({}, async ({ host, peer }) => {
    assert.match(await host.check(ping(1)), /1 received/);
    peer.tell({ do: "ping", count: 10, interval: 10, copies: 3 });
    await peer.until(says("reply"), 10);
    assert.match(await host.check(ping(1)), /1 received/);
    assert.equal(peer.count(says("reply")), 10);
  });
});

Deno.test("its persistent keepalives are understood as such", async () => {
  await scenario({ theirs: ["persistent-keepalive", "1"] }, async ({ peer }) => {
    await peer.until(says("keepalive"), 3);
    assert.equal(peer.count(says("refused")), 0);
  });
});

Deno.test("wireguard-go takes our cookie and comes back with a mac2 that we let in", async () => {
  await scenario({ psk: true, ours: { perSecond: 0 } }, async ({ host, peer }) => {
    assert.match(await host.check(ping(1, ["-W", "14"]), { timeoutMs: 20_000 }), /1 received/);
    const handshakes = peer.lines.filter(says("handshake")).map(({ outcome }) => outcome);
    assert.deepEqual(handshakes, ["cookie-required", "initiation-accepted"]);
  });
});

Deno.test("we take the cookie of a wireguard-go under load and come back with a mac2 that it lets in", async () => {
  const timings = { rekeyTimeout: 150, jitter: 0 };
  await scenario({ psk: true, ours: { timings } }, async ({ peer }) => {
    // Its handshake queue has to hold 128 messages for it to feel load; it then asks for cookies for one second.
    for (let attempt = 0; attempt < 5 && peer.count(says("outcome", "cookie-accepted")) === 0; attempt++) {
      peer.tell({ do: "flood", count: 3000 });
      peer.tell({ do: "initiate" });
      await new Promise((resolve) => setTimeout(resolve, 1500));
    }
    await peer.until(says("outcome", "cookie-accepted"));
    await peer.until(says("event", "established"));
    const outcomes = peer.lines.filter(says("outcome")).map(({ outcome }) => outcome);
    assert.ok(outcomes.lastIndexOf("response-accepted") > outcomes.indexOf("cookie-accepted"));
    peer.tell({ do: "ping", count: 3, interval: 20 });
    await peer.until(says("reply"), 3);
  });
});
