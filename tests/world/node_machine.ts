/** A whole node, ICE and WireGuard and relays, as a machine: texts in, texts out, candidates to a callback. */
import { NobleAead, NobleDh } from "../../mod/crypto/mod.ts";
import { CLIENT_ACTIVE, CLIENT_IDLE, GATEWAY_ACTIVE, GATEWAY_IDLE } from "../../mod/ice/mod.ts";
import { type ConnectionRequest, Node, type NodeEvent, type RelayDescription } from "../../mod/node/mod.ts";
import { ADDRESS_RECORD_SIZE, writeAddressRecord } from "../../mod/packet/address.ts";
import { Counters } from "../../mod/packet/counters.ts";
import { Slab } from "../../mod/packet/slab.ts";
import type { Transmit } from "../../mod/packet/transmit.ts";
import type { Datagram } from "./datagram.ts";
import { KernelScreen } from "./kernel_screen.ts";
import type { Machine } from "./machine.ts";
import type { Random } from "./random.ts";

const WALL_CLOCK = 1_700_000_000_000;
const MAX_DATAGRAM = 2_048;
const WIREGUARD_HEADER = 16, WIREGUARD_TAG = 16;

export interface NodeMachineOptions {
  readonly role: "gateway" | "client";
  readonly random: Random;
  /** Virtual time, for the stamps of handshakes. */
  readonly now: () => number;
  /** Everything that the node reports, candidates included. */
  readonly onEvent: (event: NodeEvent) => void;
  /** Told of each text that came through the tunnel; may answer. */
  readonly onText?: (text: string, from: string) => void;
}

export class NodeMachine implements Machine {
  readonly node: Node;
  readonly counters = new Counters(new ArrayBuffer(Counters.CAPACITY * 8));
  readonly publicKey: Uint8Array;
  readonly events: (NodeEvent & { readonly at: number })[] = [];
  readonly received: { readonly text: string; readonly from: string; readonly at: number }[] = [];
  readonly #options: NodeMachineOptions;
  readonly #slab = new Slab(1 << 17);
  readonly #input = this.#slab.reserve(MAX_DATAGRAM);
  readonly #output = this.#slab.reserve(MAX_DATAGRAM);
  readonly #from = this.#slab.reserve(ADDRESS_RECORD_SIZE);
  readonly #local = this.#slab.reserve(ADDRESS_RECORD_SIZE);
  readonly #data: Transmit[] = [];
  readonly kernel: KernelScreen;

  constructor(options: NodeMachineOptions) {
    this.#options = options;
    const { role, random, now } = options;
    const dh = new NobleDh();
    const privateKey = random.bytes(32);
    this.publicKey = dh.publicKey(privateKey);
    this.node = new Node({
      role,
      keys: { privateKey, publicKey: this.publicKey },
      slab: this.#slab,
      aead: new NobleAead(this.#slab),
      dh,
      random: random.bytes,
      unixNow: () => WALL_CLOCK + now(),
      counters: this.counters,
      timings: role === "gateway"
        ? { active: GATEWAY_ACTIVE, idle: GATEWAY_IDLE }
        : { active: CLIENT_ACTIVE, idle: CLIENT_IDLE },
    });
    this.kernel = new KernelScreen(this.node.screening, () => random.fraction());
  }

  updateRelays(removed: readonly string[], relays: readonly RelayDescription[]): void {
    this.node.updateRelays(removed, relays, this.#options.now());
    this.#drainEvents();
  }

  upsert(request: ConnectionRequest): boolean {
    const accepted = this.node.upsert(request, this.#options.now()) !== undefined;
    this.#drainEvents();
    return accepted;
  }

  addCandidates(peerId: string, candidates: readonly string[]): void {
    this.node.addRemoteCandidates(peerId, candidates, this.#options.now());
    this.#drainEvents();
  }

  removeCandidates(peerId: string, candidates: readonly string[]): void {
    this.node.removeRemoteCandidates(peerId, candidates, this.#options.now());
    this.#drainEvents();
  }

  /** Sends `text` through the tunnel; false when the node can't take it now. */
  send(peerId: string, text: string): boolean {
    const now = this.#options.now();
    const connection = this.node.connection(peerId);
    const isReady = connection !== undefined && this.node.prepareSend(connection, now);
    this.#drainEvents();
    const { session, headroom, channel } = this.node;
    if (!connection || !isReady || !session) return false;
    const plain = new TextEncoder().encode(text);
    const padded = (plain.length + 15) & ~15, length = WIREGUARD_HEADER + padded + WIREGUARD_TAG;
    const at = this.#output + headroom;
    this.#slab.bytes.fill(0, at, at + length);
    this.#slab.bytes.set(plain, at + WIREGUARD_HEADER);
    session.seal(at, length, padded, padded, 1);
    if (headroom > 0) this.#slab.view.setUint32(this.#output, (channel << 16) | length);
    const { source, destination } = connection.path;
    const payload = this.#slab.bytes.slice(this.#output, at + length);
    this.#data.push({ dst: destination!, payload, ...(source ? { src: source } : {}) });
    this.node.noteSent(connection, session, padded, now);
    return true;
  }

  handleDatagram(datagram: Datagram, now: number): void {
    if (!this.kernel.passes(datagram)) return;
    const { source, destination, payload } = datagram;
    this.#slab.bytes.set(payload, this.#input);
    writeAddressRecord(this.#slab, this.#from, source);
    writeAddressRecord(this.#slab, this.#local, destination);
    const connection = this.node.handleDatagram(this.#input, payload.length, this.#from, this.#local, now);
    if (connection) {
      const { packetOffset, packetLength } = this.node;
      const plain = this.#slab.bytes.subarray(packetOffset, packetOffset + packetLength);
      const text = new TextDecoder().decode(plain).replace(/\0+$/, "");
      this.received.push({ text, from: connection.peerId, at: now });
      this.#options.onText?.(text, connection.peerId);
    }
    this.#drainEvents();
  }

  handleTimeout(now: number): void {
    this.node.handleTimeout(now);
    this.#drainEvents();
  }

  pollTimeout(): number | undefined {
    return this.node.pollTimeout();
  }

  pollTransmit(): Transmit | undefined {
    return this.node.pollTransmit() ?? this.#data.shift();
  }

  #drainEvents(): void {
    for (let event = this.node.pollEvent(); event; event = this.node.pollEvent()) {
      this.events.push({ ...event, at: this.#options.now() });
      this.#options.onEvent(event);
    }
  }
}
