/**
 * Drives a {@link PortalSession} with real sockets and timers, on the `ws` package: the built-in WebSocket hides the
 * answer to a refused upgrade and puts its own name into the user agent, and the portal reads both.
 *
 * Nothing here logs; URLs with their query (the token!) never leave this file.
 */
import type { Socket } from "node:net";
// @ts-types="@types/ws"
import { WebSocket } from "ws";
import type { Codec } from "../codec.ts";
import type { PortalError, Refusal } from "../failure.ts";
import type { Proxy } from "../proxy.ts";
import { describe, Dialer, isProxyRefusal } from "./dial.ts";
import { type Login, type LoginRequest, loginRequest } from "../login_url.ts";
import { clientCodec } from "../schema/client.ts";
import { type RelayLogin, relayLoginRequest } from "../relay_login.ts";
import { gatewayCodec } from "../schema/gateway.ts";
import { relayCodec, type RelayEvent } from "../schema/relay.ts";
import { PortalSession, type SessionEvent } from "../session.ts";
import type { ClientCommand, ClientEvent, GatewayCommand, GatewayEvent } from "../types.ts";

const MAX_MESSAGE = 16 * 1024 * 1024;
const MAX_REFUSAL_BODY = 64 * 1024;
const CLOSE_TIMEOUT = 500;

export interface LinkOptions {
  /** Further certificate authorities to trust, PEM. */
  readonly ca?: string;
  /** The way to the portal; see `proxyFor`. */
  readonly proxy?: Proxy;
  /** All addresses of a name; the system's resolver when absent. */
  readonly resolve?: (host: string) => Promise<readonly string[]>;
  readonly firstConnectTimeout?: number;
  readonly maxPartitionTime?: number;
}

export interface PortalOptions extends Login, LinkOptions {}

export interface PortalHandlers<Event> {
  onEvent(event: Event): void;
  onJoined(): void;
  /** The link is down; the next attempt follows in `retryIn` ms. */
  onDown(down: { readonly reason: string; readonly retryIn: number; readonly refusal?: Refusal }): void;
  /** The end: no further attempt follows. */
  onFailed(error: PortalError): void;
  onWarning(text: string): void;
}

export interface PortalConnection<Command> {
  /** Candidates are kept while the link is down, other commands are dropped. */
  send(command: Command): void;
  readonly isJoined: boolean;
  /** Our address has changed: gives the socket up, which could only time out, and dials anew. */
  reconnect(): void;
  /** Our network has changed: an attempt that is waited for is made now, a link has to show that it still works. */
  networkChanged(): void;
  /** The same, and little else works: an attempt under way is given seconds, too. */
  verify(): void;
  /** Closes the socket with code 1000 and ends the session; resolves when it is closed, after 0.5 s at the latest. */
  close(): Promise<void>;
}

/** Connects a gateway. @throws LoginUrlError at once when URL or token can't be used; later errors go to `handlers`. */
export function connectPortal(
  options: PortalOptions & { readonly role: "gateway" },
  handlers: PortalHandlers<GatewayEvent>,
): PortalConnection<GatewayCommand>;
/** Connects a client. */
export function connectPortal(
  options: PortalOptions & { readonly role: "client" },
  handlers: PortalHandlers<ClientEvent>,
): PortalConnection<ClientCommand>;
export function connectPortal(
  options: PortalOptions,
  handlers: PortalHandlers<GatewayEvent> | PortalHandlers<ClientEvent>,
): PortalConnection<GatewayCommand> | PortalConnection<ClientCommand> {
  const request = loginRequest(options);
  return options.role === "gateway"
    ? new Driver(gatewayCodec(options.dialect), request, options, handlers as PortalHandlers<GatewayEvent>)
    : new Driver(clientCodec(options.dialect), request, options, handlers as PortalHandlers<ClientEvent>);
}

/** Connects a relay, which the portal hands out as long as it is joined. @throws LoginUrlError as above. */
export function connectRelay(
  options: RelayLogin & LinkOptions & { readonly stampSecret: string },
  handlers: PortalHandlers<RelayEvent>,
): PortalConnection<never> {
  return new Driver(relayCodec(options.stampSecret), relayLoginRequest(options), options, handlers);
}

class Driver<Event, Command> implements PortalConnection<Command> {
  readonly #session: PortalSession<Event, Command>;
  readonly #handlers: PortalHandlers<Event>;
  readonly #request: LoginRequest;
  readonly #dialer: Dialer;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #socket: WebSocket | undefined;
  /** Abandons the current attempt: resolution, connections, upgrade. */
  #abandon = new AbortController();

  constructor(
    codec: Codec<Event, Command>,
    request: LoginRequest,
    options: LinkOptions,
    handlers: PortalHandlers<Event>,
  ) {
    this.#request = request;
    this.#dialer = new Dialer(this.#request, options);
    this.#handlers = handlers;
    this.#session = new PortalSession(codec, {
      random: (length) => crypto.getRandomValues(new Uint8Array(length)),
      unixNow: () => Math.floor(Date.now() / 1000),
      now: performance.now(),
      ...(options.firstConnectTimeout !== undefined && { firstConnectTimeout: options.firstConnectTimeout }),
      ...(options.maxPartitionTime !== undefined && { maxPartitionTime: options.maxPartitionTime }),
    });
    queueMicrotask(() => this.#drain());
  }

  get isJoined(): boolean {
    return this.#session.isJoined;
  }

  send(command: Command): void {
    this.#session.send(command);
    this.#drain();
  }

  reconnect(): void {
    this.#feed((now) => this.#session.reconnect(now));
  }

  networkChanged(): void {
    this.#feed((now) => this.#session.networkChanged(now));
  }

  verify(): void {
    this.#feed((now) => this.#session.verify(now));
  }

  close(): Promise<void> {
    const socket = this.#socket;
    const closed = new Promise<void>((resolve) => {
      if (!socket || socket.readyState === WebSocket.CLOSED) return resolve();
      const late = setTimeout(() => (socket.terminate(), resolve()), CLOSE_TIMEOUT);
      socket.once("close", () => (clearTimeout(late), resolve()));
    });
    this.#session.close(performance.now());
    this.#drain();
    return closed;
  }

  #drain(): void {
    for (let event; (event = this.#session.pollEvent()) !== undefined;) this.#handle(event);
    for (let frame; (frame = this.#session.pollTransmit()) !== undefined;) this.#socket?.send(frame);
    clearTimeout(this.#timer);
    const at = this.#session.pollTimeout();
    if (at === undefined) return;
    const delay = Math.min(Math.max(at - performance.now(), 0), 0x7fffffff);
    this.#timer = setTimeout(() => this.#feed((now) => this.#session.handleTimeout(now)), delay);
  }

  #feed(input: (now: number) => void): void {
    input(performance.now());
    this.#drain();
  }

  #handle(event: SessionEvent<Event>): void {
    switch (event.type) {
      case "dial":
        this.#abandon.abort();
        this.#abandon = new AbortController();
        void this.#dial(this.#abandon.signal);
        return;
      case "hangup":
        return this.#hangUp(event.code, event.reason);
      case "joined":
        return this.#handlers.onJoined();
      case "down":
        return this.#handlers.onDown(event);
      case "failed":
        return this.#handlers.onFailed(event.error);
      case "event":
        return this.#handlers.onEvent(event.event);
      case "warning":
        return this.#handlers.onWarning(event.text);
    }
  }

  #hangUp(code: number, reason: string): void {
    this.#abandon.abort();
    const socket = this.#socket;
    this.#socket = undefined;
    if (socket?.readyState === WebSocket.OPEN) socket.close(code, reason);
  }

  async #dial(signal: AbortSignal): Promise<void> {
    try {
      const stream = await this.#dialer.dial(signal);
      if (signal.aborted) stream.destroy();
      else this.#upgrade(stream, signal);
    } catch (error) {
      const isReached = isProxyRefusal(error);
      this.#report(signal, (now) => this.#session.handleDialError(describe(error), now, isReached));
    }
  }

  /** Reports about an attempt, unless it was abandoned meanwhile. */
  #report(signal: AbortSignal, input: (now: number) => void): void {
    if (!signal.aborted) this.#feed(input);
  }

  #upgrade(stream: Socket, signal: AbortSignal): void {
    const { url, headers } = this.#request;
    const socket = new WebSocket(url, {
      createConnection: () => stream,
      headers,
      perMessageDeflate: false,
      maxPayload: MAX_MESSAGE,
    });
    this.#socket = socket;
    signal.addEventListener("abort", () => {
      if (socket.readyState === WebSocket.CONNECTING) socket.terminate();
    }, { once: true });
    let lastError = "";
    socket.on("open", () => this.#report(signal, (now) => this.#session.handleOpen(now)));
    socket.on("message", (data, isBinary) => {
      if (!isBinary) this.#report(signal, (now) => this.#session.handleText(String(data), now));
    });
    socket.on("error", (error) => lastError = describe(error));
    socket.on("unexpected-response", (request, response) => {
      let body = "";
      const done = () => {
        const retryAfter = response.headers["retry-after"];
        const refusal = {
          status: response.statusCode ?? 0,
          body,
          ...(retryAfter !== undefined && { retryAfter }),
        };
        if (this.#socket === socket) this.#socket = undefined;
        this.#report(signal, (now) => this.#session.handleRefused(refusal, now));
        request.destroy();
      };
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => {
        if (body.length < MAX_REFUSAL_BODY) body += chunk;
      });
      response.once("end", done);
      response.once("error", done);
    });
    socket.on("close", (code, reason) => {
      const text = lastError || `WebSocket closed with ${code}${reason.length > 0 ? ` ${reason}` : ""}`;
      this.#report(signal, (now) => {
        this.#session.handleDialError(text, now);
        this.#session.handleClosed(text, now);
      });
    });
  }
}
