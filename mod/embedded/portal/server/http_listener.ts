/**
 * One listening port: HTTP and WebSocket upgrades, with or without TLS. `node:http` and `ws` rather than `Deno.serve`,
 * because they bound what strangers can do: how long a request may take to arrive, how long its headers are, how big
 * a frame and of how many fragments; and because a certificate can be replaced under open connections.
 *
 * Nothing here ever sends a WebSocket ping: old devices take an empty one for a broken frame and reconnect (spec
 * portal §2.1). Pings of devices are answered.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer, type Server as TlsServer } from "node:https";
import type { Socket } from "node:net";
import type { Buffer } from "node:buffer";
import type { Duplex } from "node:stream";
import { type WebSocket, WebSocketServer } from "ws";
import type { KeyPair } from "./certificate.ts";
import type { ConnectionTable } from "./connection_table.ts";
import { rawResponse, requestHead, requestWithBody, respond } from "./fetch_bridge.ts";
import { plainIp, type Remote, type TrustedProxies } from "./trusted_proxies.ts";
import { sourceOf } from "./peer.ts";

/** Milliseconds. */
const HANDSHAKE_TIMEOUT = 10_000,
  HEADERS_TIMEOUT = 10_000,
  REQUEST_TIMEOUT = 15_000,
  IDLE_TIMEOUT = 5_000,
  LINGER = 2_000;
const CHECK_INTERVAL = 1_000;
const KEEP_ALIVE_PROBES = 60_000;
const MAX_HEADERS = 16 << 10;
/** Bytes of the longest message that a device may send, fragments and all. */
const MAX_MESSAGE = 1 << 20;
const MAX_FRAGMENTS = 1_024;

export interface UpgradeAnswer {
  accept(socket: WebSocket): void;
  /** The handshake came to nothing. */
  abandon(): void;
}

export interface ListenerHandlers {
  request(request: Request, remote: Remote): Response | Promise<Response>;
  /** Somebody wants a WebSocket. @returns what to do with it, or the refusal */
  upgrade(request: Request, remote: Remote): UpgradeAnswer | Response;
  /** A handler threw; that connection has ended. */
  failed(error: unknown): void;
}

export interface ListenerOptions {
  readonly hostname: string;
  readonly port: number;
  readonly tls: KeyPair | undefined;
  readonly table: ConnectionTable;
  readonly proxies: TrustedProxies;
}

export class HttpListener {
  readonly #server: Server | TlsServer;
  readonly #webSockets = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: MAX_MESSAGE,
    maxFragments: MAX_FRAGMENTS,
  });
  readonly #options: ListenerOptions;
  readonly #handlers: ListenerHandlers;
  /** By address and port of the other end, as TLS hides which of these a request came by. */
  readonly #connections = new Map<string, Socket>();

  private constructor(options: ListenerOptions, handlers: ListenerHandlers) {
    this.#options = options;
    this.#handlers = handlers;
    const limits = {
      headersTimeout: HEADERS_TIMEOUT,
      requestTimeout: REQUEST_TIMEOUT,
      keepAliveTimeout: IDLE_TIMEOUT,
      connectionsCheckingInterval: CHECK_INTERVAL,
      maxHeaderSize: MAX_HEADERS,
    };
    const { tls } = options;
    this.#server = tls
      ? createTlsServer({ ...limits, ...tls, handshakeTimeout: HANDSHAKE_TIMEOUT })
      : createServer(limits);
    this.#server.on("connection", (socket: Socket) => this.#connected(socket));
    this.#server.on("request", (message, response) => void this.#request(message, response));
    this.#server.on("upgrade", (message, socket, head) => void this.#upgrade(message, socket, head));
    this.#server.on("clientError", (_error, socket: Duplex) => socket.destroy());
    this.#server.on("tlsClientError", (_error, socket: Duplex) => socket.destroy());
  }

  /** @throws Error when the port can't be had */
  static async open(options: ListenerOptions, handlers: ListenerHandlers): Promise<HttpListener> {
    const listener = new HttpListener(options, handlers);
    const { hostname: host, port } = options;
    await new Promise<void>((resolve, reject) => {
      listener.#server.once("error", (cause) => {
        const text =
          `Cannot listen on ${host} port ${port}: ${cause.message}. Choose another address or port.`;
        reject(new Error(text, { cause }));
      });
      listener.#server.listen({ host, port, backlog: 4096 }, resolve);
    });
    listener.#server.on("error", (error) => handlers.failed(error));
    return listener;
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === "object" && address ? address.port : this.#options.port;
  }

  /** For connections from now on. Only of a listener with TLS. */
  setCertificate(pair: KeyPair): void {
    if ("setSecureContext" in this.#server) this.#server.setSecureContext({ ...pair });
  }

  /** No new connections; then those that are still there are cut, after `graceMs`. */
  async close(graceMs: number): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeIdleConnections();
    const late = setTimeout(() => {
      for (const socket of this.#connections.values()) socket.destroy();
    }, graceMs);
    await closed;
    clearTimeout(late);
  }

  #connected(socket: Socket): void {
    const { table, proxies } = this.#options;
    const ip = remoteIp(socket), key = keyOf(socket);
    table.add(socket, proxies.trusts(ip) ? undefined : sourceOf(ip));
    this.#connections.set(key, socket);
    socket.setKeepAlive(true, KEEP_ALIVE_PROBES);
    socket.on("error", () => socket.destroy());
    socket.once("close", () => {
      table.remove(socket);
      if (this.#connections.get(key) === socket) this.#connections.delete(key);
    });
  }

  async #request(message: IncomingMessage, response: ServerResponse): Promise<void> {
    response.on("error", () => response.destroy());
    try {
      const head = requestHead(message);
      if (!head) return void response.writeHead(400).end();
      const request = await requestWithBody(head, message);
      if (!request) {
        response.writeHead(413, { connection: "close" }).end("Too long.");
        return void message.destroy();
      }
      await respond(await this.#handlers.request(request, this.#remote(message)), response);
    } catch (error) {
      // A request that broke off is nobody's fault here.
      if (!message.destroyed || message.complete) this.#handlers.failed(error);
      response.destroy();
    }
  }

  async #upgrade(message: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    socket.on("error", () => socket.destroy());
    try {
      const request = requestHead(message);
      const answer = await this.#answerTo(request, message);
      if (answer instanceof Response) {
        return refuse(socket, await rawResponse(answer));
      }
      let opened = false;
      this.#webSockets.handleUpgrade(message, socket, head, (webSocket) => {
        opened = true;
        const connection = this.#connections.get(keyOf(message.socket));
        if (connection) this.#options.table.remove(connection);
        answer.accept(webSocket);
      });
      if (!opened) answer.abandon();
    } catch (error) {
      this.#handlers.failed(error);
      socket.destroy();
    }
  }

  /** Some HTTP clients ask for HTTP/2 this way and are content without it. */
  #answerTo(
    request: Request | undefined,
    message: IncomingMessage,
  ): UpgradeAnswer | Response | Promise<Response> {
    if (!request) return new Response("Bad request", { status: 400 });
    const { upgrade, request: plain } = this.#handlers;
    const isWebSocket = message.headers.upgrade?.toLowerCase() === "websocket";
    return isWebSocket ? upgrade(request, this.#remote(message)) : plain(request, this.#remote(message));
  }

  #remote(message: IncomingMessage): Remote {
    return { ip: remoteIp(message.socket), encrypted: this.#options.tls !== undefined };
  }
}

/** Says it, and waits a moment for the other end to have read it. */
function refuse(socket: Duplex, text: string): void {
  const late = setTimeout(() => socket.destroy(), LINGER);
  socket.once("close", () => clearTimeout(late));
  socket.end(text);
}

function remoteIp(socket: Socket): string {
  return plainIp(socket.remoteAddress ?? "") ?? "";
}

function keyOf(socket: Socket): string {
  return `${socket.remoteAddress} ${socket.remotePort}`;
}
