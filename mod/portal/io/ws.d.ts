/** The part of the `ws` package (8.x) that the driver uses; the package itself brings no types. */
import type { ClientRequest, IncomingMessage } from "node:http";
import type { Socket } from "node:net";

export interface WebSocketOptions {
  readonly createConnection: () => Socket;
  readonly headers: Readonly<Record<string, string>>;
  readonly perMessageDeflate: boolean;
  /** Bytes of the largest message that is accepted. */
  readonly maxPayload: number;
}

interface WebSocketEvents {
  open: [];
  message: [data: Uint8Array, isBinary: boolean];
  error: [error: Error];
  close: [code: number, reason: Uint8Array];
  "unexpected-response": [request: ClientRequest, response: IncomingMessage];
}

export class WebSocket {
  static readonly CONNECTING: 0;
  static readonly OPEN: 1;
  static readonly CLOSING: 2;
  static readonly CLOSED: 3;
  constructor(url: string, options: WebSocketOptions);
  readonly readyState: 0 | 1 | 2 | 3;
  send(text: string): void;
  close(code: number, reason: string): void;
  terminate(): void;
  on<E extends keyof WebSocketEvents>(event: E, listener: (...values: WebSocketEvents[E]) => void): this;
  once<E extends keyof WebSocketEvents>(event: E, listener: (...values: WebSocketEvents[E]) => void): this;
}
