/**
 * Our ICE agent on a real loopback socket, for tests against independent agents: the smallest event loop around it.
 * Datagrams that are not STUN are kept as texts.
 */
import { Buffer } from "node:buffer";
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import {
  type Candidate,
  formatCandidate,
  hostCandidate,
  IceAgent,
  type IceAgentOptions,
  type IceEvent,
  parseCandidate,
} from "../../mod/ice/mod.ts";
import { SocketAddress } from "../../mod/packet/address.ts";
import { decodeStun } from "../../mod/stun/mod.ts";

const HOST = "127.0.0.1";

export class IceEndpoint {
  readonly events: IceEvent[] = [];
  readonly texts: string[] = [];
  /** The peer's checks as they came. */
  readonly checks: ("plain" | "nominating")[] = [];
  readonly agent: IceAgent;
  readonly #socket: Socket;
  readonly #ufrag: string;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isClosed = false;
  #waiters: { readonly condition: () => boolean; readonly resolve: () => void }[] = [];

  private constructor(socket: Socket, options: Omit<IceAgentOptions, "random" | "now">) {
    this.#socket = socket;
    this.#ufrag = options.local.ufrag;
    this.agent = new IceAgent({
      ...options,
      random: (length) => crypto.getRandomValues(new Uint8Array(length)),
      now: performance.now(),
    });
    socket.on("message", (bytes, from) => this.#receive(bytes, SocketAddress.of(from.address, from.port)!));
  }

  static async open(options: Omit<IceAgentOptions, "random" | "now">): Promise<IceEndpoint> {
    const socket = createSocket("udp4");
    socket.bind(0, HOST);
    await once(socket, "listening");
    return new IceEndpoint(socket, options);
  }

  get address(): SocketAddress {
    return SocketAddress.of(HOST, this.#socket.address().port)!;
  }

  /** Adopts our host candidate; the string to signal. */
  gather(): string {
    const candidate: Candidate = this.agent.addLocalCandidate(hostCandidate(this.address))!;
    this.#drive();
    return formatCandidate(candidate, this.#ufrag);
  }

  addRemoteCandidate(text: string): void {
    const candidate = parseCandidate(text);
    if (!candidate) throw new Error(`the peer signalled an unreadable candidate: ${text}`);
    this.agent.addRemoteCandidate(candidate, performance.now());
    this.#drive();
  }

  send(text: string): void {
    const { selected } = this.agent;
    if (!selected) throw new Error("there is no path to send on");
    this.#socket.send(text, selected.destination.port, selected.destination.ip);
  }

  /** Resolves when `condition` holds; asked after everything that happens here. Rejects after `limit` ms. */
  async until(condition: () => boolean, what: string, limit = 5_000): Promise<void> {
    if (condition()) return;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#waiters.push({ condition, resolve });
    const timer = setTimeout(() => reject(new Error(`${what} did not happen within ${limit} ms`)), limit);
    try {
      await promise;
    } finally {
      clearTimeout(timer);
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    const closed = once(this.#socket, "close");
    this.#socket.close();
    await closed;
  }

  #receive(bytes: Uint8Array, source: SocketAddress): void {
    const message = decodeStun(new Uint8Array(bytes));
    if (message?.class === "request") this.checks.push(message.useCandidate ? "nominating" : "plain");
    if (message) this.agent.handleStun(message, source, this.address, performance.now());
    else this.texts.push(Buffer.from(bytes).toString());
    this.#drive();
  }

  #drive(): void {
    if (this.#isClosed) return;
    clearTimeout(this.#timer);
    let due = this.agent.pollTimeout();
    for (; due !== undefined && due <= performance.now(); due = this.agent.pollTimeout()) {
      this.agent.handleTimeout(performance.now());
    }
    for (let sent = this.agent.pollTransmit(); sent; sent = this.agent.pollTransmit()) {
      this.#socket.send(sent.payload, sent.dst.port, sent.dst.ip);
    }
    for (let event = this.agent.pollEvent(); event; event = this.agent.pollEvent()) this.events.push(event);
    this.#waiters = this.#waiters.filter(({ condition, resolve }) => !condition() || resolve());
    if (due !== undefined) {
      this.#timer = setTimeout(() => this.#drive(), Math.max(0, due - performance.now()));
    }
  }
}
