/**
 * Our ICE agent against aioice (Debian's python3-aioice), a second independent one, over loopback sockets. It gathers
 * first and signals then, writes other foundations than we do, and nominates aggressively.
 *
 *     ours 127.0.0.1:a ◄── checks, data ──► aioice_peer.py 127.0.0.1:b
 *               └── candidates over its stdin and stdout ──┘
 */
import assert from "node:assert/strict";
import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import process from "node:process";
import { CLIENT_ACTIVE, GATEWAY_ACTIVE } from "../../mod/ice/mod.ts";
import { IceEndpoint } from "./ice_endpoint.ts";

/** Debian's own: another python on PATH does not see Debian's packages. */
const PYTHON = "/usr/bin/python3";
const SCRIPT = new URL("./aioice_peer.py", import.meta.url).pathname;
const OURS = { ufrag: "kwe6", password: "mzkrj52x5h5ebrfdsh5iyq" };
const LIMIT_MS = 5_000;

interface Greeting {
  readonly ufrag: string;
  readonly password: string;
  readonly candidates: readonly string[];
}

class Peer {
  readonly #process: ChildProcessWithoutNullStreams;
  readonly #lines: AsyncIterator<string>;
  #complaints = "";

  constructor(role: "controlling" | "controlled") {
    this.#process = spawn(PYTHON, [SCRIPT, role, OURS.ufrag, OURS.password]);
    this.#process.stderr.on("data", (text) => this.#complaints += text);
    this.#lines = createInterface({ input: this.#process.stdout })[Symbol.asyncIterator]();
  }

  say(message: unknown): void {
    this.#process.stdin.write(`${JSON.stringify(message)}\n`);
  }

  /** The next line, which must have `key`. */
  async hear<T>(key: string): Promise<T> {
    const { promise, reject } = Promise.withResolvers<never>();
    const timer = setTimeout(
      () => reject(new Error(`aioice did not say "${key}": ${this.#complaints}`)),
      LIMIT_MS,
    );
    try {
      const line = await Promise.race([this.#lines.next(), promise]);
      const message: unknown = line.done ? undefined : JSON.parse(line.value);
      if (typeof message !== "object" || message === null || !(key in message)) {
        throw new Error(`aioice said ${JSON.stringify(message)} instead of "${key}": ${this.#complaints}`);
      }
      return message as T;
    } finally {
      clearTimeout(timer);
    }
  }

  async close(): Promise<void> {
    this.say({ close: true });
    const kill = setTimeout(() => this.#process.kill("SIGKILL"), LIMIT_MS);
    if (this.#process.exitCode === null) await once(this.#process, "exit");
    clearTimeout(kill);
  }
}

function isAvailable(): boolean {
  if (spawnSync(PYTHON, ["-c", "import aioice"]).status === 0) return true;
  if (process.env["CI"]) throw new Error(`aioice is missing. Install Debian's python3-aioice.`);
  console.log("Left out: interop with aioice, which is not installed (Debian: python3-aioice).");
  return false;
}

for (const role of ["controlled", "controlling"] as const) {
  Deno.test(`as the ${role} side we connect to aioice and exchange data`, async () => {
    if (!isAvailable()) return;
    const peer = new Peer(role === "controlled" ? "controlling" : "controlled");
    let ours: IceEndpoint | undefined;
    try {
      const greeting = await peer.hear<Greeting>("ufrag");
      ours = await IceEndpoint.open({
        controlling: role === "controlling",
        local: OURS,
        remote: { ufrag: greeting.ufrag, password: greeting.password },
        timing: role === "controlling" ? CLIENT_ACTIVE : GATEWAY_ACTIVE,
      });
      const text = ours.gather();
      for (const candidate of greeting.candidates) ours.addRemoteCandidate(`candidate:${candidate}`);
      peer.say({ candidate: text.replace("candidate:", "") });
      peer.say({ end: true });
      peer.say({ connect: true });
      await peer.hear("connected");
      peer.say({ send: "from aioice" });
      await ours.until(() => ours!.texts.includes("from aioice"), "data from aioice");
      ours.send("from us");
      assert.equal((await peer.hear<{ received: string }>("received")).received, "from us");
      if (role === "controlled") assert.ok(ours.checks.includes("nominating"));
      assert.ok(["connected", "completed"].includes(ours.agent.state));
    } finally {
      await ours?.close();
      await peer.close();
    }
  });
}
