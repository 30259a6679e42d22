/** Our TURN client on a real UDP socket, driven by the event loop: the smallest owner that an allocation can have. */
import { createSocket, type Socket } from "node:dgram";
import { SocketAddress } from "../../mod/packet/address.ts";
import { decodeChannelData, decodeStun, encodeChannelData } from "../../mod/stun/mod.ts";
import { Allocation, type AllocationEvent, type AllocationOptions } from "../../mod/turn/mod.ts";

export type EndpointOptions = Pick<AllocationOptions, "addresses" | "username" | "password" | "realm">;

/** Waits until `condition` holds; throws with `what` when it does not within `limit` ms. */
export async function until(condition: () => boolean, what: string, limit = 10_000): Promise<void> {
  for (const end = performance.now() + limit; !condition();) {
    if (performance.now() > end) throw new Error(`waited ${limit} ms in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

export class TurnEndpoint {
  readonly allocation: Allocation;
  readonly events: AllocationEvent[] = [];
  /** Payloads that came through the relay, with the peer they came from. */
  readonly received: { readonly peer: string; readonly payload: Uint8Array }[] = [];
  /** Error codes of the relay's answers. */
  readonly errors: number[] = [];
  readonly #socket: Socket;
  readonly #local: SocketAddress;
  #timer: ReturnType<typeof setTimeout> | undefined;

  private constructor(socket: Socket, options: EndpointOptions) {
    this.#socket = socket;
    const { address, port } = socket.address();
    this.#local = SocketAddress.of(address, port)!;
    this.allocation = new Allocation({
      ...options,
      relayId: "relay",
      software: "postern-test",
      random: (length) => crypto.getRandomValues(new Uint8Array(length)),
      now: performance.now(),
    });
    socket.on("message", (bytes, { address, port }) => this.#handle(new Uint8Array(bytes), address, port));
    this.#drain();
  }

  /** Bound to loopback of the relay's family. */
  static async open(options: EndpointOptions): Promise<TurnEndpoint> {
    const v4 = options.addresses.v4 !== undefined;
    const socket = createSocket(v4 ? "udp4" : "udp6");
    await new Promise<void>((resolve) => socket.bind(0, v4 ? "127.0.0.1" : "::1", resolve));
    return new TurnEndpoint(socket, options);
  }

  /** Runs `action` on the allocation and sends what it causes. */
  act<T>(action: (allocation: Allocation, now: number) => T): T {
    const result = action(this.allocation, performance.now());
    this.#drain();
    return result;
  }

  /** One payload to `peer`; false when there is no channel yet. */
  send(peer: SocketAddress, payload: Uint8Array): boolean {
    const channel = this.act((allocation, now) => allocation.channelTo(peer, now));
    if (channel === 0) return false;
    const { port, ip } = this.allocation.activeSocket!;
    this.#socket.send(encodeChannelData(channel, payload), port, ip);
    return true;
  }

  /** Sends `payload` to an echoing `peer` until it comes back. */
  async echo(peer: SocketAddress, payload: Uint8Array): Promise<void> {
    const count = this.received.length;
    let tries = 0;
    await until(() => {
      if (tries++ % 20 === 0) this.send(peer, payload);
      return this.received.slice(count).some((r) => r.peer === peer.key && equalBytes(r.payload, payload));
    }, `${payload.length} bytes came back from ${peer}`);
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#socket.close();
  }

  #handle(bytes: Uint8Array, address: string, port: number): void {
    const from = SocketAddress.of(address, port)!, now = performance.now();
    const data = decodeChannelData(bytes);
    if (data && this.allocation.matches(from)) {
      const peer = this.allocation.peerOf(data.channel, now);
      if (peer) this.received.push({ peer: peer.key, payload: data.payload });
    } else {
      const code = decodeStun(bytes)?.errorCode?.code;
      if (code !== undefined) this.errors.push(code);
      this.allocation.handleDatagram(from, this.#local, bytes, now);
    }
    this.#drain();
  }

  #drain(): void {
    for (let t; (t = this.allocation.pollTransmit());) this.#socket.send(t.payload, t.dst.port, t.dst.ip);
    for (let event; (event = this.allocation.pollEvent());) this.events.push(event);
    clearTimeout(this.#timer);
    const due = this.allocation.pollTimeout();
    if (due === undefined) return;
    this.#timer = setTimeout(() => {
      this.act((allocation, now) => allocation.handleTimeout(now));
    }, Math.max(0, due - performance.now()));
  }
}

/** A UDP socket that sends everything back; its address. */
export async function openEcho(ip = "127.0.0.1"): Promise<{ address: SocketAddress; close(): void }> {
  const socket = createSocket(ip.includes(":") ? "udp6" : "udp4");
  await new Promise<void>((resolve) => socket.bind(0, ip, resolve));
  socket.on("message", (bytes, { address, port }) => socket.send(bytes, port, address));
  return { address: SocketAddress.of(ip, socket.address().port)!, close: () => socket.close() };
}

function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
