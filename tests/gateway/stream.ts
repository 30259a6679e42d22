/**
 * A stream of TCP super-packets through both cores and back out, without a kernel and without a cipher: what is left
 * is what our own code costs. Shared by the heap test and the bench.
 */
import type { Aead } from "../../mod/crypto/types.ts";
import {
  ADDRESS_RECORD_SIZE,
  type PacketQueue,
  parseIp,
  type Slab,
  writeAddressRecord,
} from "../../mod/packet/mod.ts";
import { CLIENT_SOCKET, Duo, GATEWAY_SOCKET } from "./duo.ts";
import { udp } from "./packets.ts";

const VNET_HEADER = 10, TCP_HEADERS = 40, MSS = 1240;

/** Leaves everything as it is, tags included. */
const NO_CIPHER: Aead = {
  name: "none",
  createKey: () => ({ seal: () => {}, open: () => true, free: () => {} }),
};

export class Stream {
  readonly duo: Duo;
  readonly segments: number;
  readonly #read: number;
  readonly #length: number;
  readonly #input: number;
  readonly #from: number;
  readonly #local: number;
  readonly #packets: PacketQueue;

  /** @param segments of 1240 bytes in each super-packet. */
  constructor(segments: number, options: { readonly flows?: boolean } = {}) {
    this.segments = segments;
    // Handshakes need real authentication only against others; here both ends agree on none.
    this.duo = new Duo({ ...options, aead: () => NO_CIPHER });
    const { duo } = this;
    duo.advance(1000);
    duo.fromClient(udp("100.64.0.5", 40000, "10.0.0.9", 53, "first"));
    duo.advance(3000);
    const client = duo.clientEnd.slab, gateway = duo.gatewayEnd.slab;
    this.#length = VNET_HEADER + TCP_HEADERS + segments * MSS;
    this.#read = client.reserve(70_000);
    superPacket(client, this.#read, segments);
    this.#input = gateway.reserve(70_000);
    this.#from = gateway.reserve(ADDRESS_RECORD_SIZE);
    this.#local = gateway.reserve(ADDRESS_RECORD_SIZE);
    writeAddressRecord(gateway, this.#from, CLIENT_SOCKET);
    writeAddressRecord(gateway, this.#local, GATEWAY_SOCKET);
    this.#packets = duo.gatewayEnd.packets;
    this.#packets.setCoalescing(true, true);
  }

  /** Client's TUN to wire: route, split, seal, queue. */
  send(): void {
    const { client, clientEnd, now } = this.duo;
    clientEnd.transmits.clear();
    client.path.handleTunPacket(this.#read, this.#length, now);
  }

  /** Wire to the gateway's TUN: open, policy, coalesce. Returns the packets that arrived. */
  receive(): number {
    const { gateway, clientEnd, gatewayEnd, now } = this.duo;
    const { transmits } = clientEnd;
    let arrived = 0;
    for (let i = 0; i < transmits.count; i++) {
      const at = transmits.offsetOf(i), length = transmits.lengthOf(i);
      gatewayEnd.slab.bytes.set(clientEnd.slab.bytes.subarray(at, at + length), this.#input);
      gateway.path.handleDatagrams(
        this.#input,
        length,
        transmits.segmentOf(i),
        0,
        this.#from,
        this.#local,
        now,
      );
      arrived += this.#packets.packets;
      this.#packets.finish();
      this.#packets.clear();
    }
    return arrived;
  }
}

/** What the kernel hands out with TSO: virtio header, IPv4 and TCP headers, payload; checksum left to us. */
function superPacket(slab: Slab, at: number, segments: number): void {
  const { view, bytes } = slab, ip = at + VNET_HEADER;
  const total = TCP_HEADERS + segments * MSS;
  bytes.fill(0x5a, at, at + VNET_HEADER + total);
  view.setUint8(at, 1); // NEEDS_CSUM
  view.setUint8(at + 1, 1); // TCPv4
  view.setUint16(at + 2, TCP_HEADERS, true);
  view.setUint16(at + 4, MSS, true);
  view.setUint16(at + 6, 20, true);
  view.setUint16(at + 8, 16, true);
  view.setUint32(ip, 0x45000000 | total);
  view.setUint32(ip + 4, 0x00014000);
  view.setUint32(ip + 8, 0x40060000);
  bytes.set(parseIp("100.64.0.5")!, ip + 12);
  bytes.set(parseIp("10.0.0.9")!, ip + 16);
  view.setUint32(ip + 20, 0x9c400050);
  view.setUint32(ip + 24, 1);
  view.setUint32(ip + 28, 1);
  view.setUint32(ip + 32, 0x50100400); // header of 5 words, ACK
  view.setUint32(ip + 36, 0);
}
