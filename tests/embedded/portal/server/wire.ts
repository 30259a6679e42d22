/** The server from the wire: raw TCP, and WebSockets whose every frame and header a test chooses. */
import { WebSocket } from "ws";
import { Buffer } from "node:buffer";
import {
  type PortalServer,
  type PortalServerOptions,
  startPortal,
} from "../../../../mod/embedded/portal/mod.ts";
import { CLIENT_KEY, GATEWAY_KEY } from "../../../portal/support.ts";
import { POLICY, policyOf, RELAY } from "../portal_world.ts";

const PATIENCE = 5_000;

export const TOKENS = { gateway: "gateway-token-0123456789", client: "laptop-token-0123456789" };

/** Runs a portal, and stops it whatever happens. */
export async function withPortal(
  run: (server: PortalServer, log: string[]) => Promise<void>,
  options: Partial<PortalServerOptions> = {},
): Promise<void> {
  const log: string[] = [];
  const server = await startPortal({
    policy: policyOf(POLICY),
    listen: { hostname: "127.0.0.1", port: 0 },
    relays: [RELAY],
    onLog: (level, text) => log.push(`${level}: ${text}`),
    ...options,
  });
  try {
    await run(server, log);
  } finally {
    await server.stop();
  }
}

/** Sends bytes, and returns what came back until the other end closed, and after how long. */
export async function sendRaw(port: number, text: string | Uint8Array, timeoutMs = PATIENCE) {
  const start = performance.now();
  const connection = await Deno.connect({ hostname: "127.0.0.1", port });
  const late = setTimeout(() => connection.close(), timeoutMs);
  let answer = "", closed = false;
  try {
    await connection.write(typeof text === "string" ? new TextEncoder().encode(text) : text);
    answer = await new Response(connection.readable).text();
    closed = true;
  } catch (error) {
    // A reset is a way to close.
    closed = !(error instanceof Deno.errors.BadResource || error instanceof Deno.errors.Interrupted);
  } finally {
    clearTimeout(late);
  }
  return { answer, closed, milliseconds: performance.now() - start };
}

export interface DialOptions {
  readonly role?: "gateway" | "client";
  readonly path?: string;
  readonly token?: string;
  readonly externalId?: string;
  readonly publicKey?: string;
  readonly headers?: Record<string, string>;
  readonly query?: Record<string, string>;
  readonly perMessageDeflate?: boolean;
}

export interface Refused {
  readonly status: number;
  readonly retryAfter: string | undefined;
  readonly body: string;
}

/** A WebSocket as a device opens it. @returns the open socket, or how it was refused */
export async function dial(
  server: Pick<PortalServer, "url">,
  options: DialOptions = {},
): Promise<Device | Refused> {
  const { role = "client", token = TOKENS[role], externalId = role } = options;
  const query = new URLSearchParams({
    token,
    external_id: externalId,
    name: role,
    public_key: options.publicKey ?? (role === "gateway" ? GATEWAY_KEY : CLIENT_KEY),
    ...options.query,
  });
  const socket = new WebSocket(`${server.url}${options.path ?? `/${role}/websocket`}?${query}`, {
    headers: { "user-agent": "Debian/13 connlib/1.5.0 (x86_64)", ...options.headers },
    perMessageDeflate: options.perMessageDeflate ?? false,
    rejectUnauthorized: false,
  });
  const device = new Device(socket, role);
  return await new Promise((resolve, reject) => {
    socket.once("open", () => resolve(device));
    socket.once("error", reject);
    socket.once("unexpected-response", (_request, response) => {
      let body = "";
      response.on("data", (part: Uint8Array) => body += Buffer.from(part).toString());
      response.on(
        "end",
        () =>
          resolve({ status: response.statusCode ?? 0, retryAfter: response.headers["retry-after"], body }),
      );
    });
  });
}

/** As {@link dial}, of a device that must get in. */
export async function connect(server: Pick<PortalServer, "url">, options: DialOptions = {}): Promise<Device> {
  const answer = await dial(server, options);
  if (answer instanceof Device) return answer;
  throw new Error(`Refused: ${answer.status} ${answer.body}`);
}

interface Frame {
  readonly event: string;
  readonly payload: { readonly reason?: string; readonly resources?: { readonly name: string }[] };
  readonly ref: unknown;
}

export class Device {
  readonly frames: Frame[] = [];
  /** Payloads of pings that the portal sent. */
  readonly pings: string[] = [];
  readonly pongs: string[] = [];
  closedWith: number | undefined;
  /** Milliseconds. */
  patience = PATIENCE;
  #ref = 0;
  #wake = () => {};

  constructor(readonly socket: WebSocket, readonly role: string) {
    socket.on("message", (data) => this.#note(() => this.frames.push(JSON.parse(String(data)))));
    socket.on("ping", (data) => this.pings.push(String(data)));
    socket.on("pong", (data) => this.#note(() => this.pongs.push(String(data))));
    socket.on("close", (code) => this.#note(() => this.closedWith = code));
    socket.on("error", () => {});
  }

  say(event: string, payload: unknown, topic = this.role): number {
    const ref = this.#ref++;
    this.socket.send(JSON.stringify({ topic, event, payload, ref }));
    return ref;
  }

  /** Joins, and returns the payload of `init`. */
  async join(): Promise<Frame["payload"]> {
    this.say("phx_join", null);
    return (await this.next("init")).payload;
  }

  /** Milliseconds until a heartbeat is answered. */
  async heartbeat(): Promise<number> {
    const start = performance.now();
    const ref = this.say("heartbeat", {}, "phoenix");
    await this.until(() => this.frames.some((frame) => frame.ref === ref));
    return performance.now() - start;
  }

  async next(event: string): Promise<Frame> {
    await this.until(() => this.frames.some((frame) => frame.event === event));
    return this.frames.find((frame) => frame.event === event)!;
  }

  async closed(): Promise<number> {
    await this.until(() => this.closedWith !== undefined);
    return this.closedWith!;
  }

  async until(condition: () => boolean): Promise<void> {
    const deadline = performance.now() + this.patience;
    while (!condition()) {
      const left = deadline - performance.now();
      if (left <= 0) throw new Error(`Waited in vain for ${condition}.`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        this.#wake = () => (clearTimeout(timer), resolve());
      });
    }
  }

  async close(): Promise<void> {
    if (this.closedWith !== undefined) return;
    this.socket.close(1000);
    await this.closed();
  }

  #note(what: () => void): void {
    what();
    this.#wake();
  }
}
