/**
 * A portal in a process of its own that is killed at random moments while verbs and devices keep it busy, and a model of
 * what it has acknowledged: an operation that was under way may or may not have happened, everything else must have.
 */
import assert from "node:assert/strict";
import {
  ControlClient,
  ControlRefusal,
  type DeviceView,
  type EntryView,
  type StatusView,
  type TokenView,
} from "../../../../mod/embedded/portal/control/mod.ts";
import { formatKey } from "../../../../mod/portal/key.ts";

const MAIN = new URL("../../../../main.ts", import.meta.url).pathname;
const PATIENCE = 20_000;
const WORKERS = 4;

const POLICY = `
[[site]]
name = "home"
[[client]]
name = "laptop"
token = "laptop-token-0123456789"
`;

/** A random integer below `limit`. */
export type Below = (limit: number) => number;

/** Something acknowledged; `undefined` as the latest state: nobody knows. */
type Known<T> = Map<string, T | undefined>;

export class KilledPortal implements Disposable {
  readonly #folder = Deno.makeTempDirSync();
  readonly #below: Below;
  /** Groups of clients that verbs made; false: removed. */
  readonly #clients: Known<string | false> = new Map();
  /** Owners of tokens by id; false: revoked. */
  readonly #tokens: Known<string | false> = new Map();
  /** Tunnel addresses of devices by name. */
  readonly #devices: Known<string> = new Map();
  #process: Deno.ChildProcess | undefined;
  #url = "";
  #next = 0;
  acknowledged = 0;

  constructor(below: Below) {
    this.#below = below;
    Deno.writeTextFileSync(`${this.#folder}/policy.toml`, POLICY);
  }

  /** Starts it and waits until it answers. */
  async start(): Promise<void> {
    const listen = ["--listen", "127.0.0.1:0", "--state", `${this.#folder}/state.db`];
    this.#process = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", "--quiet", MAIN, "portal", ...listen, `${this.#folder}/policy.toml`],
      stdin: "null",
      stdout: "null",
      stderr: "inherit",
    }).spawn();
    const control = this.#control();
    for (const deadline = performance.now() + PATIENCE;;) {
      try {
        this.#url = (await control.call<StatusView>("GET", ["status"])).url;
        return;
      } catch (error) {
        if (performance.now() > deadline) throw error;
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    }
  }

  /** Keeps it busy until it has acknowledged so much, and kills it some milliseconds later, in the middle of more. */
  async killAfter(operations: number, milliseconds: number): Promise<void> {
    const goal = this.acknowledged + operations;
    const reached = Promise.withResolvers<void>();
    let alive = true;
    const workers = Array.from({ length: WORKERS }, async () => {
      while (alive) {
        await this.#work(() => alive);
        if (this.acknowledged >= goal) reached.resolve();
      }
    });
    await Promise.race([reached.promise, ...workers]);
    await new Promise((resolve) => setTimeout(resolve, milliseconds));
    alive = false;
    this.#process!.kill("SIGKILL");
    await this.#process!.status;
    await Promise.all(workers);
  }

  /** Everything that was acknowledged is there, and nothing that was taken back. */
  async check(): Promise<void> {
    const control = this.#control();
    const clients = await control.call<EntryView[]>("GET", ["objects", "client"]);
    settle(this.#clients, new Map(clients.map(({ name, values }) => [name, values.groups ?? ""])), "client");
    const tokens = await control.call<TokenView[]>("GET", ["tokens"]);
    settle(this.#tokens, new Map(tokens.map(({ id, owner }) => [id, owner])), "token");
    const devices = await control.call<DeviceView[]>("GET", ["devices"]);
    settle(this.#devices, new Map(devices.map(({ externalId, ipv4 }) => [externalId, ipv4])), "device");
    assert.equal(new Set(devices.map(({ ipv4 }) => ipv4)).size, devices.length, "an address was given twice");
  }

  [Symbol.dispose](): void {
    try {
      this.#process?.kill("SIGKILL");
    } catch {
      // It is dead already.
    }
    Deno.removeSync(this.#folder, { recursive: true });
  }

  #control(): ControlClient {
    return new ControlClient(`${this.#folder}/state.db.sock`);
  }

  /** One operation. */
  async #work(alive: () => boolean): Promise<void> {
    try {
      await this.#operation(this.#control());
      this.acknowledged++;
    } catch (error) {
      // Another worker may have removed what this one was to change.
      if (alive() && !(error instanceof ControlRefusal)) throw error;
    }
  }

  async #operation(control: ControlClient): Promise<void> {
    const known = [...this.#clients].filter(([, groups]) => groups !== undefined && groups !== false);
    const [name] = known[this.#below(known.length)] ?? [];
    switch (name === undefined ? 0 : this.#below(6)) {
      case 0: {
        const fresh = `client ${this.#next++}`;
        await acknowledge(
          this.#clients,
          fresh,
          "a",
          () => control.call("POST", ["objects", "client"], { name: fresh, document: { groups: ["a"] } }),
        );
        return;
      }
      case 1: {
        const groups = `g${this.#next++}`;
        await acknowledge(
          this.#clients,
          name!,
          groups,
          () => control.call("PATCH", ["objects", "client", name!], { changes: { groups: [groups] } }),
        );
        return;
      }
      case 2: {
        // Its tokens go with it.
        for (const [id, owner] of this.#tokens) if (owner === name) this.#tokens.set(id, undefined);
        await acknowledge(
          this.#clients,
          name!,
          false,
          () => control.call("DELETE", ["objects", "client", name!]),
        );
        return;
      }
      case 3: {
        const { id } = await control.call<TokenView>("POST", ["tokens"], { name: "laptop" });
        this.#tokens.set(id, "laptop");
        return;
      }
      case 4: {
        const own = [...this.#tokens].filter(([, owner]) => typeof owner === "string").map(([id]) => id);
        const id = own[this.#below(own.length)];
        if (id !== undefined) {
          await acknowledge(this.#tokens, id, false, () => control.call("DELETE", ["tokens", id]));
        }
        return;
      }
      default: {
        const id = `device ${this.#next++}`;
        this.#devices.set(id, undefined);
        this.#devices.set(id, await this.#connect(id));
      }
    }
  }

  /** A device joins. @returns the address that it was told */
  #connect(externalId: string): Promise<string> {
    const query = new URLSearchParams({
      token: "laptop-token-0123456789",
      external_id: externalId,
      name: externalId,
      public_key: formatKey(crypto.getRandomValues(new Uint8Array(32))),
      vsn: "1.0.0",
    });
    const socket = new WebSocket(`${this.#url}/client/v2/websocket?${query}`);
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    socket.onopen = () => socket.send('{"topic":"client","event":"phx_join","payload":{},"ref":0}');
    socket.onmessage = ({ data }) => {
      const { event, payload } = JSON.parse(data);
      if (event === "init") resolve(payload.interface.ipv4);
    };
    socket.onerror = socket.onclose = () => reject(new Error("the portal is gone"));
    return promise.finally(() => socket.close());
  }
}

/** Nobody knows while it is under way; a refusal changes nothing. */
async function acknowledge<T>(
  known: Known<T>,
  key: string,
  value: T,
  act: () => Promise<unknown>,
): Promise<void> {
  known.set(key, undefined);
  await act();
  known.set(key, value);
}

/** Compares, and learns what nobody knew. */
function settle<T>(known: Known<T | false>, found: ReadonlyMap<string, T>, kind: string): void {
  for (const [key, value] of known) {
    const now = found.get(key) ?? false;
    if (value !== undefined) assert.equal(now, value, `${kind} ${key}`);
    known.set(key, now);
  }
}
