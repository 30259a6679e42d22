/**
 * Our ICE agent with a single candidate: an address on a relay. What the agent sends leaves as ChannelData, what the
 * relay hands over goes to the agent as if it had come from the peer, as the node does it. Data are texts.
 */
import { Buffer } from "node:buffer";
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import {
  formatCandidate,
  IceAgent,
  type IceAgentOptions,
  parseCandidate,
  relayCandidate,
} from "../../mod/ice/mod.ts";
import { SocketAddress } from "../../mod/packet/address.ts";
import { decodeChannelData, decodeStun, encodeChannelData } from "../../mod/stun/mod.ts";
import { Allocation } from "../../mod/turn/mod.ts";

const HOST = "127.0.0.1";
const TICK_MS = 5;

export interface RelayAccess {
  readonly port: number;
  readonly username: string;
  readonly password: string;
}

export class RelayOnlyEndpoint {
  readonly agent: IceAgent;
  readonly texts: string[] = [];
  readonly #socket: Socket;
  readonly #allocation: Allocation;
  readonly #ufrag: string;
  readonly #timer: ReturnType<typeof setInterval>;

  private constructor(socket: Socket, relay: RelayAccess, options: Omit<IceAgentOptions, "random" | "now">) {
    const random = (length: number) => crypto.getRandomValues(new Uint8Array(length));
    const now = performance.now();
    this.#socket = socket;
    this.#ufrag = options.local.ufrag;
    this.agent = new IceAgent({ ...options, random, now });
    this.#allocation = new Allocation({
      ...{ relayId: "relay", addresses: { v4: SocketAddress.of(HOST, relay.port) }, realm: "firezone" },
      ...{ username: relay.username, password: relay.password, software: "postern-test", random, now },
    });
    socket.on(
      "message",
      (bytes, { address, port }) => this.#receive(bytes, SocketAddress.of(address, port)!),
    );
    this.#timer = setInterval(() => this.#drive(), TICK_MS);
  }

  static async open(
    relay: RelayAccess,
    options: Omit<IceAgentOptions, "random" | "now">,
  ): Promise<RelayOnlyEndpoint> {
    const socket = createSocket("udp4");
    socket.bind(0, HOST);
    await once(socket, "listening");
    return new RelayOnlyEndpoint(socket, relay, options);
  }

  /** Adopts the relayed candidate as soon as there is one; the string to signal. */
  async gather(): Promise<string> {
    await this.until(() => this.#allocation.relayedAddress(4) !== undefined, "an allocation");
    const candidate = this.agent.addLocalCandidate(relayCandidate(this.#allocation.relayedAddress(4)!, 4))!;
    return formatCandidate(candidate, this.#ufrag);
  }

  addRemoteCandidate(text: string): void {
    const candidate = parseCandidate(text);
    if (!candidate) throw new Error(`the peer signalled an unreadable candidate: ${text}`);
    this.agent.addRemoteCandidate(candidate, performance.now());
    this.#allocation.bind(candidate.address, performance.now());
    this.#drive();
  }

  send(text: string): void {
    const { selected } = this.agent;
    if (!selected) throw new Error("there is no path to send on");
    this.#relay(selected.destination, Buffer.from(text));
  }

  async until(condition: () => boolean, what: string, limit = 10_000): Promise<void> {
    for (const end = performance.now() + limit; !condition();) {
      if (performance.now() > end) throw new Error(`${what} did not happen within ${limit} ms`);
      await new Promise((resolve) => setTimeout(resolve, TICK_MS));
    }
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    const closed = once(this.#socket, "close");
    this.#socket.close();
    await closed;
  }

  #receive(datagram: Buffer, from: SocketAddress): void {
    const bytes = new Uint8Array(datagram), now = performance.now();
    const data = decodeChannelData(bytes);
    if (!data) {
      this.#allocation.handleDatagram(from, SocketAddress.of(HOST, this.#socket.address().port)!, bytes, now);
      return this.#drive();
    }
    const peer = this.#allocation.peerOf(data.channel, now);
    if (!peer) return;
    const message = decodeStun(data.payload);
    if (message) this.agent.handleStun(message, peer, this.#allocation.relayedAddress(4)!, now);
    else this.texts.push(Buffer.from(data.payload).toString());
    this.#drive();
  }

  #relay(peer: SocketAddress, payload: Uint8Array): void {
    const channel = this.#allocation.channelTo(peer, performance.now());
    this.#flush();
    const socket = this.#allocation.activeSocket;
    if (channel !== 0 && socket) {
      this.#socket.send(encodeChannelData(channel, payload), socket.port, socket.ip);
    }
  }

  #drive(): void {
    const now = performance.now();
    if ((this.#allocation.pollTimeout() ?? Infinity) <= now) this.#allocation.handleTimeout(now);
    this.#flush();
    while ((this.agent.pollTimeout() ?? Infinity) <= now) this.agent.handleTimeout(now);
    for (let sent; (sent = this.agent.pollTransmit());) this.#relay(sent.dst, sent.payload);
    while (this.agent.pollEvent());
    while (this.#allocation.pollEvent());
  }

  #flush(): void {
    for (let t; (t = this.#allocation.pollTransmit());) this.#socket.send(t.payload, t.dst.port, t.dst.ip);
  }
}
