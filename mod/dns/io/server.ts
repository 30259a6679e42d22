/**
 * A DNS server on one address, UDP and TCP: ordinary sockets without a mark, so that answers to tunnel addresses
 * follow the tunnel's routes (spec policy §5.1). What a query is answered with is the handler's business.
 */
import { createSocket, type Socket } from "node:dgram";
import type { ConnectionLimits } from "../connection_limits.ts";
import { frame, FrameReader } from "../frame_reader.ts";
import type { Transport } from "../nameservers.ts";
import { readMessage, writeAll } from "./exchanges.ts";

/** Larger datagrams are no queries. */
const MAX_UDP_QUERY = 2000;
const ACCEPT_PAUSE = 100;

/** The answer; undefined: this is no query, it gets none (and its connection ends). */
export type QueryHandler = (
  bytes: Uint8Array,
  transport: Transport,
  client: string,
) => Promise<Uint8Array | undefined>;

export interface DnsServerOptions {
  readonly address: string;
  readonly port: number;
  readonly limits: ConnectionLimits;
  /** Milliseconds in which a connection must bring a whole query and take its answer; it is closed otherwise. */
  readonly idleTimeout: number;
  readonly handler: QueryHandler;
  readonly onRefused: () => void;
  /** A listening socket died. */
  readonly onError: (error: unknown) => void;
}

export class DnsServer {
  readonly #options: DnsServerOptions;
  readonly #socket: Socket;
  readonly #listener: Deno.TcpListener;
  readonly #connections = new Set<Deno.TcpConn>();
  #isClosed = false;

  private constructor(options: DnsServerOptions, socket: Socket, listener: Deno.TcpListener) {
    this.#options = options;
    this.#socket = socket;
    this.#listener = listener;
    socket.on(
      "message",
      (bytes, { address, port }) => this.#handleDatagram(new Uint8Array(bytes), address, port),
    );
    socket.on("error", (error) => this.#fail(error));
    this.#accept();
  }

  /** @throws when one of the sockets cannot be bound. */
  static async listen(options: DnsServerOptions): Promise<DnsServer> {
    const { address, port } = options;
    const socket = await bindUdp(address, port);
    try {
      return new DnsServer(options, socket, Deno.listen({ hostname: address, port }));
    } catch (error) {
      socket.close();
      throw error;
    }
  }

  get address(): string {
    return this.#options.address;
  }

  /** Connections end, too. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#socket.close();
    this.#listener.close();
    for (const connection of this.#connections) tryClose(connection);
  }

  async #handleDatagram(bytes: Uint8Array, address: string, port: number): Promise<void> {
    if (bytes.length > MAX_UDP_QUERY) return;
    const answer = await this.#options.handler(bytes, "udp", address);
    // A client that has gone costs its answer only.
    if (answer && !this.#isClosed) this.#socket.send(answer, port, address, () => {});
  }

  async #accept(): Promise<void> {
    while (!this.#isClosed) {
      try {
        this.#serve(await this.#listener.accept());
      } catch (error) {
        if (this.#isClosed) return;
        // Out of descriptors, or the client was gone before we looked; a listener that is dead stays so.
        if (error instanceof Deno.errors.BadResource) return this.#fail(error);
        await new Promise((resolve) => setTimeout(resolve, ACCEPT_PAUSE));
      }
    }
  }

  async #serve(connection: Deno.TcpConn): Promise<void> {
    const { limits, onRefused } = this.#options;
    const client = connection.remoteAddr.hostname;
    if (!limits.enter(client)) {
      onRefused();
      return connection.close();
    }
    this.#connections.add(connection);
    try {
      await this.#answerQueries(connection, client);
    } catch {
      // Broken, or closed by the idle timer.
    } finally {
      limits.leave(client);
      this.#connections.delete(connection);
      tryClose(connection);
    }
  }

  /** One query at a time, until the client ends, says something that is no query, or nothing for too long. */
  async #answerQueries(connection: Deno.TcpConn, client: string): Promise<void> {
    const reader = new FrameReader();
    for (;;) {
      const timer = setTimeout(() => tryClose(connection), this.#options.idleTimeout);
      try {
        const query = await readMessage(connection, reader);
        const answer = query && await this.#options.handler(query, "tcp", client);
        if (!answer) return;
        await writeAll(connection, frame(answer));
      } finally {
        clearTimeout(timer);
      }
    }
  }

  #fail(error: unknown): void {
    if (this.#isClosed) return;
    this.close();
    this.#options.onError(error);
  }
}

function bindUdp(address: string, port: number): Promise<Socket> {
  const { promise, resolve, reject } = Promise.withResolvers<Socket>();
  const socket = createSocket(address.includes(":") ? "udp6" : "udp4");
  socket.once("error", (error) => {
    reject(error);
    try {
      socket.close();
    } catch {
      // The error has closed it.
    }
  });
  socket.bind(port, address, () => {
    socket.removeAllListeners("error");
    resolve(socket);
  });
  return promise;
}

function tryClose(connection: Deno.TcpConn): void {
  try {
    connection.close();
  } catch {
    // It is closed already.
  }
}
