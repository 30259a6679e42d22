/** What a gateway and a client core have in common, on a slab of their own, and the ways in and out of it. */
import type { Aead, RandomBytes } from "../../mod/crypto/types.ts";
import { NobleDh } from "../../mod/crypto/mod.ts";
import { CLIENT_ACTIVE, CLIENT_IDLE, GATEWAY_ACTIVE, GATEWAY_IDLE } from "../../mod/ice/mod.ts";
import { Node } from "../../mod/node/mod.ts";
import {
  ADDRESS_RECORD_SIZE,
  Counters,
  Kernels,
  PacketQueue,
  Path,
  Slab,
  type SocketAddress,
  Splitter,
  TransmitQueue,
  writeAddressRecord,
} from "../../mod/packet/mod.ts";
import { seededRandom, UNIX_NOW } from "../embedded/relay_harness.ts";

export const VNET_HEADER = 10;

export interface Outgoing {
  readonly src: SocketAddress | undefined;
  readonly dst: SocketAddress;
  readonly payload: Uint8Array;
  readonly ecn: number;
}

/** The parts that both ends have, and the ways in and out of their slab. */
export class End {
  readonly slab = new Slab(2 << 20);
  readonly counters = new Counters(new ArrayBuffer(Counters.CAPACITY * 8));
  readonly packets: PacketQueue;
  readonly transmits: TransmitQueue;
  readonly splitter: Splitter;
  readonly node: Node;
  readonly publicKey: Uint8Array;
  readonly random: RandomBytes;
  readonly #input = this.slab.reserve(65536 + VNET_HEADER + 64);
  readonly #from = this.slab.reserve(ADDRESS_RECORD_SIZE);
  readonly #local = this.slab.reserve(ADDRESS_RECORD_SIZE);

  constructor(
    role: "gateway" | "client",
    seed: number,
    clock: () => number,
    aeadOf: (slab: Slab) => Aead,
  ) {
    const kernels = new Kernels(this.slab);
    this.packets = new PacketQueue(this.slab, kernels, { capacity: 2048, tcp: false, udp: false });
    this.transmits = new TransmitQueue(this.slab, { areaLength: 131072, capacity: 1024 });
    this.splitter = new Splitter(this.slab, kernels);
    const random = this.random = seededRandom(seed), dh = new NobleDh();
    const privateKey = random(32);
    this.publicKey = dh.publicKey(privateKey);
    this.node = new Node({
      role,
      keys: { privateKey, publicKey: this.publicKey },
      slab: this.slab,
      aead: aeadOf(this.slab),
      dh,
      random,
      unixNow: () => UNIX_NOW * 1000 + clock(),
      counters: this.counters,
      timings: role === "gateway"
        ? { active: GATEWAY_ACTIVE, idle: GATEWAY_IDLE }
        : { active: CLIENT_ACTIVE, idle: CLIENT_IDLE },
    });
  }

  /** Puts a datagram into the slab and says where its pieces are. */
  place(
    { src, dst, payload }: { src: SocketAddress; dst: SocketAddress; payload: Uint8Array },
  ): [offset: number, length: number, from: number, local: number] {
    this.slab.bytes.set(payload, this.#input);
    writeAddressRecord(this.slab, this.#from, src);
    writeAddressRecord(this.slab, this.#local, dst);
    return [this.#input, payload.length, this.#from, this.#local];
  }

  /** Puts a packet (or, with its own header, a super-packet) where a TUN read would. */
  placePacket(
    packet: Uint8Array,
    vnet: Uint8Array = new Uint8Array(VNET_HEADER),
  ): [offset: number, length: number] {
    this.slab.bytes.set(vnet, this.#input);
    this.slab.bytes.set(packet, this.#input + VNET_HEADER);
    return [this.#input, packet.length + VNET_HEADER];
  }

  takePackets(): Uint8Array[] {
    const taken: Uint8Array[] = [];
    const writes = this.packets.finish();
    for (let i = 0; i < writes; i++) {
      const at = this.packets.iovOffset(i);
      const base = this.slab.view.getUint32(at, true), length = this.slab.view.getUint32(at + 8, true);
      taken.push(this.slab.bytes.slice(base + VNET_HEADER, base + length));
    }
    this.packets.clear();
    return taken;
  }

  /** What is to go out, datagram by datagram; without `src` the kernel would choose the address. */
  takeDatagrams(): Outgoing[] {
    const taken: Outgoing[] = [];
    for (let i = 0; i < this.transmits.count; i++) {
      const path = new Path();
      path.words.set(
        this.transmits.words.subarray(this.transmits.wordsOffset(i), this.transmits.wordsOffset(i) + 10),
      );
      const end = this.transmits.offsetOf(i) + this.transmits.lengthOf(i);
      for (let at = this.transmits.offsetOf(i); at < end; at += this.transmits.segmentOf(i)) {
        const payload = this.slab.bytes.slice(at, Math.min(end, at + this.transmits.segmentOf(i)));
        taken.push({ src: path.source, dst: path.destination!, payload, ecn: this.transmits.ecnOf(i) });
      }
    }
    this.transmits.clear();
    return taken;
  }
}
