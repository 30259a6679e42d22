/**
 * Tells every datagram apart (spec snownet §1.10, §6.1), in this order, and never falls back to an earlier step:
 *
 *   1. from a relay's socket: an answer to our TURN client, or ChannelData, which is unwrapped and goes on as if it
 *      had come from the peer to our relayed address;
 *   2. WireGuard: data, responses and cookies by receiver index, initiations by the sender's static key;
 *   3. STUN: requests by the first half of USERNAME, answers by transaction id.
 *
 * Data is opened in place and allocates nothing; everything else is rare and may.
 */
import type { Dh } from "../crypto/types.ts";
import { readAddressRecord, type SocketAddress } from "../packet/address.ts";
import type { Slab } from "../packet/slab.ts";
import { decodeStun } from "../stun/mod.ts";
import type { Allocation } from "../turn/mod.ts";
import {
  baseOf,
  classify,
  type HandshakeLimiter,
  MessageType,
  type OpenedInitiation,
  openInitiation,
  type Recipient,
  recipient,
  type StaticKeys,
} from "../wireguard/mod.ts";
import type { Connection } from "./connection.ts";
import type { NodeCounters } from "./counters.ts";
import type { Directory } from "./directory.ts";
import type { Relays } from "./relays.ts";

const WIREGUARD_DATA = 4;
const WIREGUARD_DATA_MIN = 32;

/** What the demultiplexer needs done after it has fed a message to somebody. */
interface NodeSide {
  collect(connection: Connection, now: number): void;
  collectRelay(relay: Allocation, now: number): void;
  touch(connection: Connection, now: number): void;
  send(
    relay: Allocation | undefined,
    base: SocketAddress,
    remote: SocketAddress,
    payload: Uint8Array,
    now: number,
  ): void;
}

export interface DemuxOptions {
  readonly slab: Slab;
  readonly keys: StaticKeys;
  readonly dh: Dh;
  readonly directory: Directory;
  readonly relays: Relays;
  readonly limiter: HandshakeLimiter;
  readonly count: NodeCounters;
  readonly node: NodeSide;
}

export class Demux {
  /** Where the plaintext of the last packet is. */
  packetOffset = 0;
  packetLength = 0;

  readonly #slab: Slab;
  readonly #keys: StaticKeys;
  readonly #self: Recipient;
  readonly #dh: Dh;
  readonly #directory: Directory;
  readonly #relays: Relays;
  readonly #limiter: HandshakeLimiter;
  readonly #count: NodeCounters;
  readonly #node: NodeSide;
  #lastIndex = -1;
  #lastConnection: Connection | undefined;

  constructor({ slab, keys, dh, directory, relays, limiter, count, node }: DemuxOptions) {
    this.#slab = slab;
    this.#keys = keys;
    this.#self = recipient(keys.publicKey);
    this.#dh = dh;
    this.#directory = directory;
    this.#relays = relays;
    this.#limiter = limiter;
    this.#count = count;
    this.#node = node;
  }

  /** A connection is gone: its index may be given to another. */
  forget(connection: Connection): void {
    if (this.#lastConnection === connection) this.#lastConnection = undefined;
  }

  /** See `Node.handleDatagram`. */
  handleDatagram(
    offset: number,
    length: number,
    from: number,
    local: number,
    now: number,
  ): Connection | undefined {
    const bytes = this.#slab.bytes;
    if (
      length >= WIREGUARD_DATA_MIN && this.#slab.words[offset >> 2] === WIREGUARD_DATA && (offset & 3) === 0
    ) {
      return this.#openData(offset, length, now);
    }
    if (length < 4) return this.#count.malformed();
    const first = bytes[offset]!;
    if (first === WIREGUARD_DATA && length >= WIREGUARD_DATA_MIN) return this.#openData(offset, length, now);
    if (first >= 64 && first < 80) return this.#handleChannelData(offset, length, from, now);
    return this.#handleControl(bytes.slice(offset, offset + length), from, local, now);
  }

  // Data ----------------------------------------------------------------------------------------------------------

  #openData(offset: number, length: number, now: number): Connection | undefined {
    const b = this.#slab.bytes;
    const index =
      (b[offset + 4]! | (b[offset + 5]! << 8) | (b[offset + 6]! << 16) | (b[offset + 7]! << 24)) >>> 0;
    let connection = this.#lastConnection;
    if (index >>> 8 !== this.#lastIndex || connection === undefined) {
      connection = this.#directory.byIndex(index >>> 8);
      if (!connection) return this.#count.unknownIndex();
      this.#lastIndex = index >>> 8;
      this.#lastConnection = connection;
    }
    const session = connection.tunnel.session(index);
    if (!session) return this.#count.unknownIndex();
    const plain = session.open(offset, length);
    if (plain < 0) return this.#count.refused(plain);
    connection.heardAt = now;
    const isData = plain > 0;
    connection.tunnel.noteReceived(session, isData, now);
    this.#node.touch(connection, now);
    if (!isData) {
      connection.flushTunnel(now);
      this.#node.collect(connection, now);
      return undefined;
    }
    if (!connection.isEstablished) {
      connection.flushTunnel(now);
      this.#node.collect(connection, now);
    }
    connection.receivedBytes += plain;
    this.packetOffset = session.openedAt;
    this.packetLength = plain;
    return connection;
  }

  #handleChannelData(offset: number, length: number, from: number, now: number): Connection | undefined {
    const relay = this.#relays.at(this.#slab.words, from >> 2);
    if (!relay) return this.#count.malformed();
    const b = this.#slab.bytes;
    const channel = (b[offset]! << 8) | b[offset + 1]!;
    if (((b[offset + 2]! << 8) | b[offset + 3]!) !== length - 4) return this.#count.malformed();
    const peer = relay.peerOf(channel, now);
    if (!peer) return this.#count.unknownChannel();
    const inner = offset + 4, innerLength = length - 4;
    if (innerLength >= WIREGUARD_DATA_MIN && b[inner] === WIREGUARD_DATA) {
      return this.#openData(inner, innerLength, now);
    }
    const relayed = relay.relayedAddress(peer.family);
    if (!relayed) return this.#count.unknownChannel();
    return this.#handlePeerControl(b.slice(inner, inner + innerLength), peer, relayed, relay, now);
  }

  // Control -------------------------------------------------------------------------------------------------------

  #handleControl(message: Uint8Array, fromRecord: number, localRecord: number, now: number): undefined {
    const from = readAddressRecord(this.#slab, fromRecord);
    const local = readAddressRecord(this.#slab, localRecord);
    if (!from || !local) return this.#count.malformed();
    const relay = this.#relays.at(this.#slab.words, fromRecord >> 2);
    if (relay) {
      // Whatever a relay's socket sends by itself is for the TURN client, also when nobody waits for it.
      relay.handleDatagram(from, local, message, now);
      this.#node.collectRelay(relay, now);
      return;
    }
    if (this.#relays.isFormer(from)) return;
    this.#handlePeerControl(message, from, local, undefined, now);
  }

  /** @param local one of our addresses, or our relayed address when `relay` carried the message. */
  #handlePeerControl(
    message: Uint8Array,
    from: SocketAddress,
    local: SocketAddress,
    relay: Allocation | undefined,
    now: number,
  ): undefined {
    const type = classify(message);
    if (type === MessageType.Transport) return this.#count.malformed();
    if (type !== MessageType.None) return this.#handleHandshake(type, message, from, local, relay, now);
    const stun = decodeStun(message);
    if (!stun) return this.#count.malformed();
    const connection = this.#directory.byStun(stun);
    if (!connection) return this.#count.unknownStun();
    connection.heardAt = now;
    connection.agent.handleStun(stun, from, local, now);
    connection.drive(now);
    this.#node.collect(connection, now);
  }

  /** Answers to the sender go back the way the message came: over our relayed address when it did. */
  #handleHandshake(
    type: MessageType,
    message: Uint8Array,
    from: SocketAddress,
    local: SocketAddress,
    relay: Allocation | undefined,
    now: number,
  ): undefined {
    let connection: Connection | undefined;
    let opened: OpenedInitiation | undefined;
    if (type === MessageType.Initiation || type === MessageType.Response) {
      const admission = this.#limiter.admit(message, from.bytes, now);
      if (admission.reply) this.#node.send(relay, local, from, admission.reply, now);
      if (!admission.admitted) return this.#count.limited();
    }
    if (type === MessageType.Initiation) {
      opened = openInitiation(this.#keys, this.#self, this.#dh, message);
      connection = opened && this.#directory.byPublicKey(opened.peerPublicKey);
    } else {
      const index = readU32(message, type === MessageType.Response ? 8 : 4);
      connection = this.#directory.byIndex(baseOf(index));
    }
    if (!connection) return this.#count.unknownIndex();
    if (type === MessageType.CookieReply) connection.tunnel.handleHandshake(message, from.bytes, now);
    else {
      const outcome = connection.tunnel.handleAdmitted(message, now, opened);
      if (outcome === "initiation-accepted") connection.agent.noteHandshake(from, local, now);
    }
    connection.drive(now);
    this.#node.collect(connection, now);
  }
}

/** Little-endian. */
function readU32(bytes: Uint8Array, at: number): number {
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(at, true);
}
