/** A portal's end of the WebSocket that does what a test says: for devices that connect by the real network. */
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
// @ts-types="@types/ws"
import { type WebSocket, WebSocketServer } from "ws";

export interface ReceivedFrame {
  readonly topic: string;
  readonly event: string;
  readonly payload: unknown;
  readonly ref: number;
}

const PATIENCE_MS = 5000;

/** One device's connection: what it sends waits here for {@link next}. */
export class ScriptedSocket {
  readonly #frames: ReceivedFrame[] = [];
  #wake = () => {};

  constructor(readonly socket: WebSocket, readonly request: IncomingMessage) {
    socket.on("message", (data) => {
      this.#frames.push(JSON.parse(String(data)));
      this.#wake();
    });
  }

  async next(): Promise<ReceivedFrame> {
    if (this.#frames.length === 0) {
      await within("a frame", new Promise<void>((resolve) => this.#wake = resolve));
    }
    return this.#frames.shift()!;
  }

  push(topic: string, event: string, payload: unknown, ref: number | null = null): void {
    this.socket.send(JSON.stringify({ topic, event, payload, ref }));
  }

  /** Answers the join, which it returns. */
  async join(): Promise<ReceivedFrame> {
    const frame = await this.next();
    this.push(frame.topic, "phx_reply", { status: "ok", response: {} }, frame.ref);
    return frame;
  }
}

export class ScriptedPortal implements AsyncDisposable {
  /** Answers the next upgrades with this status instead of 101. */
  refusal: number | undefined;
  readonly #server: Server;
  readonly #sockets = new WebSocketServer({ noServer: true });
  readonly #waiting: ScriptedSocket[] = [];
  #wake = () => {};

  private constructor(server: Server) {
    this.#server = server;
    server.on("upgrade", (request, socket, head) => {
      if (this.refusal !== undefined) {
        socket.end(`HTTP/1.1 ${this.refusal} No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`);
        return;
      }
      this.#sockets.handleUpgrade(request, socket, head, (websocket) => {
        this.#waiting.push(new ScriptedSocket(websocket, request));
        this.#wake();
      });
    });
  }

  static async start(): Promise<ScriptedPortal> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return new ScriptedPortal(server);
  }

  get url(): string {
    return `ws://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** The next device that connects. */
  async accept(): Promise<ScriptedSocket> {
    if (this.#waiting.length === 0) {
      await within("a connection", new Promise<void>((resolve) => this.#wake = resolve));
    }
    return this.#waiting.shift()!;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets.clients) socket.terminate();
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

async function within<T>(what: string, promise: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error(`Waited in vain for ${what}.`)), PATIENCE_MS);
  try {
    return await Promise.race([promise, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
