/**
 * One end of a WireGuard tunnel without a TUN device: our Tunnel over a plain UDP socket, with an IP host behind it
 * that knows nothing but ICMP echo. Started by wireguard_go_test.ts inside a network namespace.
 *
 * The configuration is the first argument; commands come as JSON lines on stdin, everything that happens goes as
 * JSON lines to stdout.
 */
import { Buffer } from "node:buffer";
import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import { once } from "node:events";
import process from "node:process";
import { createInterface } from "node:readline";
import { NobleAead } from "../../mod/crypto/noble_aead.ts";
import { NodeDh } from "../../mod/crypto/node_dh.ts";
import { parseIp } from "../../mod/packet/address.ts";
import { Slab } from "../../mod/packet/slab.ts";
import {
  classify,
  HandshakeLimiter,
  IndexAllocator,
  MessageType,
  Tunnel,
  type WireGuardTimings,
} from "../../mod/wireguard/mod.ts";

export interface PeerConfiguration {
  /** base64, as `wg` writes them. */
  readonly privateKey: string;
  readonly peerPublicKey: string;
  readonly presharedKey?: string;
  readonly peerPort: number;
  /** Addresses inside the tunnel. */
  readonly address: string;
  readonly peerAddress: string;
  readonly timings?: Partial<WireGuardTimings>;
  /** Handshakes per second before cookies are asked for. */
  readonly perSecond?: number;
}

export type PeerCommand =
  | { readonly do: "initiate" }
  /** Echo requests, `interval` milliseconds apart, each datagram sent `copies` times. */
  | { readonly do: "ping"; readonly count: number; readonly interval: number; readonly copies?: number }
  /** Goes on from another source port. */
  | { readonly do: "roam" }
  /** Initiations with a valid mac1 and nothing else: they keep the peer busy. */
  | { readonly do: "flood"; readonly count: number }
  | { readonly do: "close" };

const PROTOCOL_ICMP = 1, ECHO_REQUEST = 8, ECHO_REPLY = 0, ECHO_LENGTH = 28 + 30;

class Peer {
  readonly #slab = new Slab(1 << 18);
  readonly #area = this.#slab.reserve(65536 + 64);
  readonly #limiter: HandshakeLimiter;
  readonly #tunnel: Tunnel;
  readonly #floodTarget: () => Tunnel;
  readonly #address: Uint8Array;
  readonly #peerAddress: Uint8Array;
  #peerPort: number;
  #socket: Socket | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #sequence = 0;

  constructor(configuration: PeerConfiguration) {
    const dh = new NodeDh(), random = (length: number) => crypto.getRandomValues(new Uint8Array(length));
    const privateKey = key(configuration.privateKey);
    const keys = { privateKey, publicKey: dh.publicKey(privateKey) };
    const { presharedKey, perSecond } = configuration;
    this.#limiter = new HandshakeLimiter({
      publicKey: keys.publicKey,
      random,
      ...(perSecond === undefined ? {} : { perSecond }),
    });
    const indices = new IndexAllocator(random);
    const make = () =>
      new Tunnel({
        keys,
        peerPublicKey: key(configuration.peerPublicKey),
        presharedKey: presharedKey === undefined ? undefined : key(presharedKey),
        index: indices.allocate(),
        limiter: this.#limiter,
        slab: this.#slab,
        aead: new NobleAead(this.#slab),
        dh,
        random,
        unixNow: () => Date.now(),
        timings: configuration.timings,
        now: performance.now(),
      });
    this.#tunnel = make();
    this.#floodTarget = make;
    this.#address = parseIp(configuration.address)!;
    this.#peerAddress = parseIp(configuration.peerAddress)!;
    this.#peerPort = configuration.peerPort;
  }

  async open(): Promise<void> {
    const socket = createSocket("udp4");
    socket.on("message", (bytes, from) => this.#receive(bytes, from));
    socket.bind(0, "127.0.0.1");
    await once(socket, "listening");
    this.#socket?.close();
    this.#socket = socket;
    say({ listening: socket.address().port });
  }

  async obey(command: PeerCommand): Promise<void> {
    switch (command.do) {
      case "initiate":
        this.#tunnel.initiate(performance.now());
        return this.#drain();
      case "ping":
        for (let i = 0; i < command.count; i++) {
          this.#sendEcho(ECHO_REQUEST, ++this.#sequence, command.copies ?? 1);
          await new Promise((resolve) => setTimeout(resolve, command.interval));
        }
        return;
      case "roam":
        return await this.open();
      case "flood":
        return this.#flood(command.count);
      case "close":
        clearTimeout(this.#timer);
        this.#tunnel.close();
        this.#socket?.close();
    }
  }

  #receive(bytes: Uint8Array, from: RemoteInfo): void {
    const now = performance.now();
    if (classify(bytes) !== MessageType.Transport) {
      const outcome = this.#tunnel.handleHandshake(bytes, parseIp(from.address)!, now);
      say({ outcome, handshake: classify(bytes) });
      if (outcome.endsWith("-accepted")) this.#peerPort = from.port;
      return this.#drain(outcome === "cookie-required" ? from.port : undefined);
    }
    const session = this.#tunnel.session(Buffer.from(bytes).readUInt32LE(4));
    this.#slab.bytes.set(bytes, this.#area);
    const length = session?.open(this.#area, bytes.length) ?? -99;
    if (session === undefined || length < 0) return say({ refused: length });
    this.#tunnel.noteReceived(session, length > 0, now);
    this.#peerPort = from.port;
    if (length === 0) say({ keepalive: from.port });
    else this.#handlePacket(this.#slab.bytes.slice(session.openedAt, session.openedAt + length), from.port);
    this.#drain();
  }

  #handlePacket(packet: Uint8Array, port: number): void {
    const view = new DataView(packet.buffer);
    if (packet[0] !== 0x45 || packet[9] !== PROTOCOL_ICMP) return say({ unexpected: packet.length });
    const sequence = view.getUint16(26), padded = packet.length, length = view.getUint16(2);
    if (packet[20] === ECHO_REPLY) say({ reply: sequence, port, padded, length });
    if (packet[20] === ECHO_REQUEST) {
      say({ request: sequence, port, padded, length });
      this.#sendEcho(ECHO_REPLY, sequence, 1, packet.subarray(24, 26), packet.subarray(28, length));
    }
  }

  #sendEcho(
    type: number,
    sequence: number,
    copies: number,
    id: Uint8Array = Uint8Array.of(7, 7),
    data: Uint8Array = new Uint8Array(ECHO_LENGTH - 28).fill(sequence),
  ): void {
    const now = performance.now();
    const session = this.#tunnel.sendSession(now);
    if (session === undefined) {
      say({ noSession: true });
      this.#tunnel.initiate(now);
      return this.#drain();
    }
    const packet = echoPacket(type, this.#address, this.#peerAddress, id, sequence, data);
    const padded = (packet.length + 15) & ~15;
    const at = this.#area + 16;
    this.#slab.bytes.fill(0, at, at + padded).set(packet, at);
    session.seal(this.#area, padded + 32, padded, padded, 1);
    const datagram = this.#slab.bytes.slice(this.#area, this.#area + padded + 32);
    for (let i = 0; i < copies; i++) this.#socket!.send(datagram, this.#peerPort, "127.0.0.1");
    this.#tunnel.noteSent(session, true, now);
    this.#drain();
  }

  #flood(count: number): void {
    const tunnel = this.#floodTarget();
    tunnel.initiate(performance.now());
    const initiation = tunnel.pollTransmit()!;
    for (let i = 0; i < count; i++) this.#socket!.send(initiation, this.#peerPort, "127.0.0.1");
  }

  #drain(replyPort = this.#peerPort): void {
    for (let next = this.#tunnel.pollTransmit(); next; next = this.#tunnel.pollTransmit()) {
      this.#socket!.send(next, replyPort, "127.0.0.1");
    }
    for (let next = this.#tunnel.pollEvent(); next; next = this.#tunnel.pollEvent()) {
      say({ event: next.type });
    }
    clearTimeout(this.#timer);
    const timeout = this.#tunnel.pollTimeout();
    if (timeout === undefined) return;
    this.#timer = setTimeout(() => {
      this.#tunnel.handleTimeout(performance.now());
      this.#drain();
    }, Math.ceil(timeout - performance.now()));
  }
}

function echoPacket(
  type: number,
  source: Uint8Array,
  destination: Uint8Array,
  id: Uint8Array,
  sequence: number,
  data: Uint8Array,
): Uint8Array {
  const packet = new Uint8Array(28 + data.length);
  const view = new DataView(packet.buffer);
  view.setUint16(0, 0x4500);
  view.setUint16(2, packet.length);
  packet[8] = 64;
  packet[9] = PROTOCOL_ICMP;
  packet.set(source, 12);
  packet.set(destination, 16);
  view.setUint16(10, checksum(packet.subarray(0, 20)));
  packet[20] = type;
  packet.set(id, 24);
  view.setUint16(26, sequence);
  packet.set(data, 28);
  view.setUint16(22, checksum(packet.subarray(20)));
  return packet;
}

function checksum(bytes: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) sum += bytes[i]! << 8 | (bytes[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

function key(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, "base64"));
}

function say(line: Record<string, unknown>): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

if (import.meta.main) {
  const peer = new Peer(JSON.parse(process.argv[2]!));
  await peer.open();
  for await (const line of createInterface({ input: process.stdin })) {
    const command: PeerCommand = JSON.parse(line);
    await peer.obey(command);
    if (command.do === "close") break;
  }
  process.exit(0);
}
