/** An HTTP proxy that understands CONNECT and nothing else, with TLS to itself and Basic credentials if wanted. */
import { connect, createServer as createTcpServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import { Buffer } from "node:buffer";
import type { AddressInfo } from "node:net";
import { CERTIFICATE, PRIVATE_KEY } from "./certificate.ts";

export interface ConnectProxyOptions {
  /** A free port of the loopback when absent. */
  readonly listen?: { readonly host: string; readonly port: number };
  readonly secure?: boolean;
  /** `user:password` */
  readonly credentials?: string;
  /** What it answers instead of opening a tunnel. */
  readonly answer?: string;
  /** Told the first line of each request that is let through. */
  readonly onRequest?: (line: string) => void;
  /** Where names lead to. */
  readonly hosts?: Readonly<Record<string, string>>;
}

export class ConnectProxy {
  /** The first line of each request. */
  readonly requests: string[] = [];
  readonly #options: ConnectProxyOptions;
  readonly #server: Server;
  readonly #open = new Set<Socket>();

  static async start(options: ConnectProxyOptions = {}): Promise<ConnectProxy> {
    const proxy = new ConnectProxy(options);
    const { host, port } = options.listen ?? { host: "127.0.0.1", port: 0 };
    await new Promise<void>((resolve) => proxy.#server.listen(port, host, () => resolve()));
    return proxy;
  }

  private constructor(options: ConnectProxyOptions) {
    this.#options = options;
    const onConnection = (socket: Socket) => this.#accept(socket);
    this.#server = options.secure
      ? createTlsServer({ cert: CERTIFICATE, key: PRIVATE_KEY }, onConnection)
      : createTcpServer(onConnection);
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  stop(): Promise<void> {
    for (const socket of this.#open) socket.destroy();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }

  #accept(socket: Socket): void {
    this.#hold(socket);
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
    const { credentials, answer, hosts = {} } = this.#options;
    this.requests.push(text.split("\r\n")[0]!);
    const given = /^Proxy-Authorization: Basic (\S+)\r$/mi.exec(text)?.[1];
    if (credentials !== undefined && (given === undefined || atob(given) !== credentials)) {
      return void socket.end(
        'HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm="x"\r\nContent-Length: 0\r\n\r\n',
      );
    }
    if (answer !== undefined) return void socket.end(answer);
    this.#options.onRequest?.(this.requests.at(-1)!);
    const target = /^CONNECT ([^ ]+):(\d+) HTTP\/1\.1\r$/m.exec(text)!;
    const upstream = connect({ host: hosts[target[1]!] ?? target[1]!, port: Number(target[2]) });
    this.#hold(upstream);
    upstream.once("connect", () => {
      socket.write("HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n");
      socket.pipe(upstream);
      upstream.pipe(socket);
    });
    upstream.once("error", () => socket.end("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"));
    upstream.once("close", () => socket.destroy());
    socket.once("close", () => upstream.destroy());
  }

  #hold(socket: Socket): void {
    this.#open.add(socket);
    socket.on("error", () => {}).on("close", () => this.#open.delete(socket));
  }
}
