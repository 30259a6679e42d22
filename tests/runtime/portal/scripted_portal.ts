/**
 * A portal that answers each connection as it is told to, on real sockets: whole HTTP answers, silence, or a WebSocket
 * whose join is answered. What it heard can be looked at.
 */
import { createServer as createTcpServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import { Buffer } from "node:buffer";
import type { IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
// @ts-types="@types/ws"
import { type WebSocket, WebSocketServer } from "ws";
import { CERTIFICATE, PRIVATE_KEY } from "./certificate.ts";

export type Answer =
  /** 101, and the join is answered with ok. */
  | "welcome"
  /** 101, and not a word more. */
  | "mute"
  /** Nothing at all. */
  | "silence"
  | "reset"
  | { readonly status: number; readonly headers?: Readonly<Record<string, string>>; readonly body?: string }
  | { readonly text: string };

export interface ScriptedPortalOptions {
  readonly host?: string;
  readonly port?: number;
  readonly secure?: boolean;
  /** For the first connection, the second, …; the last one is for all that follow. */
  readonly answers?: readonly Answer[];
}

export class ScriptedPortal {
  readonly host: string;
  /** First line and headers of each request. */
  readonly requests: { readonly line: string; readonly headers: Readonly<Record<string, string>> }[] = [];
  /** Connections that were accepted, whether or not they said anything. */
  connections = 0;
  /** When each request came, in milliseconds. */
  readonly times: number[] = [];
  readonly frames: { readonly topic: string; readonly event: string; readonly payload: unknown }[] = [];
  readonly sockets: WebSocket[] = [];
  readonly #closed = Promise.withResolvers<number>();
  readonly #answers: readonly Answer[];
  readonly #server: Server;
  readonly #open = new Set<Socket>();
  readonly #upgrades = new WebSocketServer({ noServer: true });

  static async start(options: ScriptedPortalOptions = {}): Promise<ScriptedPortal> {
    const portal = new ScriptedPortal(options);
    await new Promise<void>((resolve, reject) => {
      portal.#server.once("error", reject);
      portal.#server.listen(options.port ?? 0, portal.host, () => resolve());
    });
    return portal;
  }

  private constructor({ host = "127.0.0.1", secure = false, answers = ["welcome"] }: ScriptedPortalOptions) {
    this.host = host;
    this.#answers = answers;
    const onConnection = (socket: Socket) => this.#accept(socket);
    this.#server = secure
      ? createTlsServer({ cert: CERTIFICATE, key: PRIVATE_KEY }, onConnection)
      : createTcpServer(onConnection);
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** The code with which the first WebSocket was closed. */
  get closed(): Promise<number> {
    return this.#closed.promise;
  }

  push(event: string, payload: unknown): void {
    this.sockets.at(-1)!.send(JSON.stringify({ topic: "gateway", event, payload, ref: null }));
  }

  stop(): Promise<void> {
    for (const socket of this.#open) socket.destroy();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }

  #accept(socket: Socket): void {
    this.connections++;
    this.#open.add(socket);
    socket.on("error", () => {}).on("close", () => this.#open.delete(socket));
    let text = "";
    const onData = (chunk: Uint8Array) => {
      text += Buffer.from(chunk).toString("latin1");
      if (!text.includes("\r\n\r\n")) return;
      socket.off("data", onData);
      this.#answer(socket, text);
    };
    socket.on("data", onData);
  }

  #answer(socket: Socket, text: string): void {
    const [line, ...fields] = text.split("\r\n\r\n")[0]!.split("\r\n");
    const headers = Object.fromEntries(fields.map((field) => {
      const colon = field.indexOf(":");
      return [field.slice(0, colon).toLowerCase(), field.slice(colon + 1).trim()];
    }));
    const answer = this.#answers[Math.min(this.requests.length, this.#answers.length - 1)]!;
    this.requests.push({ line: line!, headers });
    this.times.push(performance.now());
    if (answer === "silence") return;
    if (answer === "reset") return void socket.destroy();
    if (answer === "welcome" || answer === "mute") return this.#upgrade(socket, line!, headers, answer);
    if ("text" in answer) return void socket.end(answer.text);
    const { status, body = "" } = answer;
    const lines = Object.entries(answer.headers ?? {}).map(([name, value]) => `${name}: ${value}\r\n`).join(
      "",
    );
    socket.end(`HTTP/1.1 ${status} Scripted\r\n${lines}Content-Length: ${body.length}\r\n\r\n${body}`);
  }

  #upgrade(socket: Socket, line: string, headers: Record<string, string>, answer: Answer): void {
    const request = { method: "GET", url: line.split(" ")[1], headers } as unknown as IncomingMessage;
    this.#upgrades.handleUpgrade(request, socket, Buffer.alloc(0), (webSocket) => {
      this.sockets.push(webSocket);
      webSocket.on("close", (code) => this.#closed.resolve(code));
      webSocket.on("error", () => {}).on("message", (data) => {
        const { topic, event, payload, ref } = JSON.parse(String(data));
        this.frames.push({ topic, event, payload });
        if (answer === "mute") return;
        const reply = { status: "ok", response: {} };
        webSocket.send(JSON.stringify({ topic, event: "phx_reply", payload: reply, ref }));
      });
    });
  }
}
