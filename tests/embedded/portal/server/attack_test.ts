/**
 * A portal in a process of its own under attack from one source (127.0.0.1), while a device elsewhere (::1) goes on:
 *
 *   attacker 127.0.0.1 ══ thousands of connections ══▶ portal [::]  ◀── heartbeats ── device ::1
 *
 * What is measured is the portal's memory and how long the device waits for answers. The attacker's numbers are as
 * large as a few seconds allow; none of the limits depends on how long it goes on.
 */
import assert from "node:assert/strict";
import { connect as tcpConnect } from "node:net";
import { BackgroundProcess } from "../../../../mod/embedded/testbed/mod.ts";
import { publicKey } from "../portal_world.ts";
import { PASSWORD_HASH } from "../sign_in/sign_in_world.ts";
import { connect, Device, dial, TOKENS } from "./wire.ts";

const MAIN = new URL("../../../../main.ts", import.meta.url).pathname;
const POLICY = `
[[site]]
name = "home"
[[gateway]]
name = "cellar"
token = "${TOKENS.gateway}"
[[client]]
name = "laptop"
token = "${TOKENS.client}"
[[user]]
name = "anna"
password_hash = "${PASSWORD_HASH.replace("ln=4", "ln=15")}"
[[resource]]
name = "wiki"
address = "10.1.0.0/16"
allow = ["everyone"]
`;
/** Generous, as CI shares its processors with others, and the device its process with the attacker. */
const MAX_GROWTH_MB = 400, MAX_MEDIAN_MS = 300, MAX_WAIT_MS = 4_000;
const HEARTBEAT_PAUSE_MS = 20;
/** The portal's 10 s, its check every second, and some. */
const REQUEST_LIFETIME_MS = 13_000;

Deno.test("10,000 connections, floods and garbage from one source: memory bounded, others unaffected", async (t) => {
  const portal = await startPortalProcess();
  const { port, process } = portal;
  const attacker = { url: `ws://127.0.0.1:${port}` };
  try {
    const device = await connect({ url: `ws://[::1]:${port}` }, { role: "gateway" });
    await device.join();
    const before = residentMb(process.pid);
    const attack = async (name: string, run: () => Promise<void>) => {
      await t.step(name, async () => {
        const { median, longest } = await heartbeatsDuring(device, run);
        const grown = residentMb(process.pid) - before;
        const figures = `median ${median.toFixed(1)} ms, longest ${longest.toFixed(0)} ms, ${grown} MB more`;
        console.log(`    ${name}: ${figures}`);
        assert.ok(median < MAX_MEDIAN_MS && longest < MAX_WAIT_MS && grown < MAX_GROWTH_MB, figures);
      });
    };

    const unfinished = new HalfRequests(port), begun = performance.now();
    await attack("10,000 requests that never end", () => unfinished.open(10_000));
    await attack("5,000 wrong tokens", async () => {
      const answers = await inTurns(5_000, (i) => dial(attacker, { token: `wrong-token-${i}` }));
      assert.deepEqual(new Set(answers.map(statusOf)), new Set([401, 503]));
    });
    await attack("2,500 sockets with a good token that say nothing useful and never read", async () => {
      const answers = await inTurns(2_600, (i) => dial(attacker, { externalId: `idle ${i}` }));
      const sockets = answers.flatMap((one) => one instanceof Device ? [one.socket] : []);
      assert.ok(sockets.length >= 2_000 && sockets.length <= 2_500, `${sockets.length} of one source`);
      const ref = "r".repeat(2_000);
      for (const socket of sockets) {
        socket.pause();
        for (let i = 0; i < 10; i++) {
          socket.send(JSON.stringify({ topic: "phoenix", event: "heartbeat", payload: {}, ref }));
        }
      }
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      for (const socket of sockets) socket.terminate();
    });
    await attack("oversized frames, endless fragments, pings, binary and garbage", async () => {
      await inTurns(60, async (i) => {
        const abuser = await dial(attacker, { externalId: `abuser ${i}` });
        if (!(abuser instanceof Device)) return;
        ABUSES[i % ABUSES.length]!(abuser);
        let timer: ReturnType<typeof setTimeout> | undefined;
        const late = new Promise<void>((resolve) => timer = setTimeout(resolve, 500));
        await Promise.race([abuser.until(() => abuser.closedWith !== undefined), late]).catch(() => {});
        clearTimeout(timer);
        abuser.socket.terminate();
      });
    });
    await attack("1,000 passwords at once", async () => {
      assert.deepEqual(await guessPasswords(port, 1_000), new Set([401, 429]));
    });
    await attack("then everybody is gone, and the source is served again", async () => {
      const left = begun + REQUEST_LIFETIME_MS - performance.now();
      await new Promise((resolve) => setTimeout(resolve, Math.max(0, left)));
      assert.equal(unfinished.alive, 0);
      const newcomer = await connect(attacker, { externalId: "honest", publicKey: publicKey(8) });
      await newcomer.join();
      await newcomer.close();
    });
    await device.close();
    assert.equal(process.status, undefined, "the portal lives");
  } finally {
    await portal.stop();
  }
});

const ABUSES: readonly ((device: Device) => void)[] = [
  ({ socket }) => socket.send("x".repeat(3 << 19)),
  ({ socket }) => {
    for (let i = 0; i < 2_000; i++) socket.send("x".repeat(500), { fin: false });
  },
  ({ socket }) => {
    for (let i = 0; i < 1_000; i++) socket.ping("x".repeat(125));
  },
  ({ socket }) => {
    for (let i = 0; i < 200; i++) socket.send(new Uint8Array(10_000));
  },
  ({ socket }) => socket.send("{".repeat(500_000)),
  ({ socket }) => socket.send(`{"topic":"client","event":"phx_join","payload":${"[".repeat(200_000)}`),
];

async function startPortalProcess() {
  const folder = await Deno.makeTempDir({ prefix: "postern-attack-" });
  await Deno.writeTextFile(`${folder}/policy.toml`, POLICY);
  const process = new BackgroundProcess([
    ...[Deno.execPath(), "run", "-A", "--no-check", MAIN, "portal", `${folder}/policy.toml`],
    ...["--listen", "[::]:0", "--state", `${folder}/state.db`],
  ], { label: "portal" });
  const stop = async () => {
    await process.stop();
    await Deno.remove(folder, { recursive: true });
  };
  try {
    const [, port] = await process.waitFor(/ws:\/\/\[::\]:(\d+)/, 20_000);
    return { process, port: Number(port), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Connections that have begun a request. */
class HalfRequests {
  readonly #port: number;
  alive = 0;

  constructor(port: number) {
    this.#port = port;
  }

  async open(count: number): Promise<void> {
    await inTurns(count, () =>
      new Promise<void>((resolve) => {
        const socket = tcpConnect(this.#port, "127.0.0.1", () => {
          this.alive++;
          socket.once("close", () => this.alive--);
          socket.write("GET / HTTP/1.1\r\nHost: a\r\nX-");
          resolve();
        });
        socket.on("error", () => resolve());
        socket.resume();
      }));
  }
}

/** Statuses of so many tries at once, with one browser's cookie. */
async function guessPasswords(port: number, count: number): Promise<Set<number>> {
  const url = `http://127.0.0.1:${port}/`;
  const page = await fetch(url);
  const cookie = page.headers.get("set-cookie")!.split(";")[0]!;
  const csrf = /name="csrf" value="([^"]+)"/.exec(await page.text())![1]!;
  const body = new URLSearchParams({ csrf, step: "password", name: "anna", password: "guess" });
  const answers = await Promise.all(Array.from({ length: count }, async () => {
    const response = await fetch(url, { method: "POST", body, headers: { cookie } });
    await response.body?.cancel();
    return response.status;
  }));
  return new Set(answers);
}

/** How long a device waits for answers while something else goes on, in milliseconds. */
async function heartbeatsDuring(device: Device, run: () => Promise<void>) {
  const waits: number[] = [];
  let over = false;
  const beating = (async () => {
    while (!over) {
      waits.push(await device.heartbeat());
      device.frames.length = 0;
      await new Promise((resolve) => setTimeout(resolve, HEARTBEAT_PAUSE_MS));
    }
  })();
  try {
    await run();
  } finally {
    over = true;
    await beating;
  }
  waits.sort((a, b) => a - b);
  return { median: waits[waits.length >> 1]!, longest: waits.at(-1)! };
}

/** Does it so often, a hundred at a time. */
async function inTurns<T>(count: number, work: (index: number) => Promise<T>): Promise<T[]> {
  const results: T[] = [];
  let next = 0;
  await Promise.all(Array.from({ length: 100 }, async () => {
    while (next < count) {
      const index = next++;
      results[index] = await work(index);
    }
  }));
  return results;
}

function statusOf(answer: Awaited<ReturnType<typeof dial>>): number {
  return answer instanceof Device ? 101 : answer.status;
}

function residentMb(pid: number): number {
  const [, kilobytes] = /^VmRSS:\s+(\d+) kB/m.exec(Deno.readTextFileSync(`/proc/${pid}/status`))!;
  return Math.round(Number(kilobytes) / 1024);
}
