/**
 * Exchanges with nameservers: a fresh socket for each, so that its port is as hard to guess as the kernel makes it.
 * UDP: a datagram there, any number back. TCP: one message there, one back (RFC 1035 §4.2.2).
 */
import { createSocket, type Socket } from "node:dgram";
import { SocketAddress } from "../../packet/address.ts";
import { frame, FrameReader } from "../frame_reader.ts";
import type { ExchangeCommand } from "../upstream.ts";

export interface ExchangeListener {
  onAnswer(exchange: number, from: SocketAddress, bytes: Uint8Array): void;
  onFailure(exchange: number): void;
}

interface Open {
  repeat(payload: Uint8Array): void;
  close(): void;
}

export class Exchanges {
  readonly #listener: ExchangeListener;
  readonly #open = new Map<number, Open>();

  constructor(listener: ExchangeListener) {
    this.#listener = listener;
  }

  /** Obeys; what comes of it is told later, never from within this call. */
  handle(command: ExchangeCommand): void {
    if (command.type === "open") {
      const start = command.transport === "udp" ? openUdp : openTcp;
      this.#open.set(command.exchange, start(command, this.#listener));
    } else if (command.type === "repeat") {
      this.#open.get(command.exchange)?.repeat(command.payload);
    } else {
      this.#open.get(command.exchange)?.close();
      this.#open.delete(command.exchange);
    }
  }

  closeAll(): void {
    for (const open of this.#open.values()) open.close();
    this.#open.clear();
  }
}

type OpenCommand = ExchangeCommand & { type: "open" };

function openUdp({ exchange, server, payload }: OpenCommand, listener: ExchangeListener): Open {
  let socket: Socket | undefined = createSocket(server.family === 4 ? "udp4" : "udp6");
  const fail = () => {
    if (socket) listener.onFailure(exchange);
  };
  const send = (bytes: Uint8Array) => {
    socket?.send(bytes, server.port, server.ip, (error) => {
      if (error) fail();
    });
  };
  socket.on("error", fail);
  socket.on("message", (bytes, { address, port }) => {
    const from = SocketAddress.of(address, port);
    if (socket && from) listener.onAnswer(exchange, from, new Uint8Array(bytes));
  });
  send(payload);
  return {
    repeat: send,
    close() {
      const closing = socket;
      socket = undefined;
      try {
        closing?.close();
      } catch {
        // An error has closed it already.
      }
    },
  };
}

function openTcp({ exchange, server, payload }: OpenCommand, listener: ExchangeListener): Open {
  let isClosed = false;
  let connection: Deno.TcpConn | undefined;
  const run = async () => {
    connection = await Deno.connect({ hostname: server.ip, port: server.port });
    if (isClosed) return connection.close();
    await writeAll(connection, frame(payload));
    const answer = await readMessage(connection, new FrameReader());
    if (isClosed) return;
    if (answer) listener.onAnswer(exchange, server, answer);
    else listener.onFailure(exchange);
  };
  run().catch(() => {
    if (!isClosed) listener.onFailure(exchange);
  });
  return {
    repeat() {},
    close() {
      isClosed = true;
      try {
        connection?.close();
      } catch {
        // The other side has ended it already.
      }
    },
  };
}

/** @throws when the connection breaks. */
export async function writeAll(connection: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await connection.write(bytes.subarray(at));
}

/** One message, or undefined at the end of the stream. @throws when the connection breaks. */
export async function readMessage(
  connection: Deno.Conn,
  reader: FrameReader,
): Promise<Uint8Array<ArrayBuffer> | undefined> {
  const chunk = new Uint8Array(4096);
  for (;;) {
    const message = reader.next();
    if (message) return message;
    const read = await connection.read(chunk);
    if (read === null) return undefined;
    reader.push(chunk.subarray(0, read));
  }
}
