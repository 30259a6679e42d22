/**
 * Tells every datagram apart (spec snownet §1.10, §6.1), in this order, and never falls back to an earlier step:
 *
 *   1. from a relay's socket: an answer to our TURN client, or ChannelData, which is unwrapped and goes on as if it
 *      had come from the peer to our relayed address;
 *   2. WireGuard: data, responses and cookies by receiver index, initiations by the sender's static key;
 *   3. STUN: requests by the first half of USERNAME, answers by transaction id.
 *
 * Data is opened in place and allocates nothing. Everything else is rare and may, once a look at the bytes in place has
 * told that it concerns somebody here: a flood of strangers ends there, whatever it pretends to be.
 */
import type { Dh, RandomBytes, Sealer } from "../crypto/types.ts";
import type { SocketAddress } from "../packet/address.ts";
import { AddressCache } from "../packet/address_cache.ts";
import { Path } from "../packet/path.ts";
import type { Slab } from "../packet/slab.ts";
import { decodeStun, isStunRequest, looksLikeStun } from "../stun/mod.ts";
import type { Allocation } from "../turn/mod.ts";
import {
  type Admission,
  baseOf,
  classify,
  type HandshakeLimiter,
  hasMac2,
  hasValidMac1,
  MessageType,
  NOBLE_SEALER,
  type OpenedInitiation,
  openInitiation,
  readU32,
  type Recipient,
  recipient,
  type StaticKeys,
} from "../wireguard/mod.ts";
import type { Connection } from "./connection.ts";
import type { NodeCounters } from "./counters.ts";
import type { Directory } from "./directory.ts";
import type { Relays } from "./relays.ts";
import { Screening } from "./screening.ts";

const WIREGUARD_DATA = 4;
const WIREGUARD_DATA_MIN = 32;
const CONCERNS_US: Admission = { admitted: true };
/** Counted where it was found out. */
const CONCERNS_NOBODY: Admission = { admitted: false, refusal: "malformed" };

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
  readonly sealer?: Sealer | undefined;
  readonly directory: Directory;
  readonly relays: Relays;
  readonly limiter: HandshakeLimiter;
  readonly random: RandomBytes;
  readonly count: NodeCounters;
  readonly node: NodeSide;
}

export class Demux {
  /** Where the plaintext of the last packet is. */
  packetOffset = 0;
  packetLength = 0;
  readonly screening: Screening;

  readonly #slab: Slab;
  readonly #addresses: AddressCache;
  readonly #relayedPeer = new Path();
  readonly #keys: StaticKeys;
  readonly #self: Recipient;
  readonly #dh: Dh;
  readonly #sealer: Sealer;
  readonly #directory: Directory;
  readonly #relays: Relays;
  readonly #limiter: HandshakeLimiter;
  readonly #count: NodeCounters;
  readonly #node: NodeSide;
  #lastIndex = -1;
  #lastConnection: Connection | undefined;

  constructor(
    { slab, keys, dh, sealer = NOBLE_SEALER, directory, relays, limiter, random, count, node }: DemuxOptions,
  ) {
    this.#slab = slab;
    this.#addresses = new AddressCache(slab);
    this.#keys = keys;
    this.#self = recipient(keys.publicKey);
    this.#dh = dh;
    this.#sealer = sealer;
    this.#directory = directory;
    this.#relays = relays;
    this.#limiter = limiter;
    this.screening = new Screening(random, count, () => directory.fragments());
    this.#count = count;
    this.#node = node;
  }

  /** A connection is gone: its index may be given to another. */
  forget(connection: Connection): void {
    if (this.#lastConnection === connection) this.#lastConnection = undefined;
    this.screening.forgetPath(connection);
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
    return this.#handleControl(offset, length, from, local, now);
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
    if (!isData) {
      connection.flushTunnel(now);
      this.#node.collect(connection, now);
      return undefined;
    }
    this.#node.touch(connection, now);
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
    this.#relayedPeer.set(peer);
    const admission = this.#screen(inner, innerLength, this.#relayedPeer.words, 0, false, now);
    if (admission.reply) this.#node.send(relay, relayed, peer, admission.reply, now);
    if (!admission.admitted) return;
    return this.#handlePeerControl(inner, innerLength, peer, relayed, now);
  }

  // Control -------------------------------------------------------------------------------------------------------

  #handleControl(
    offset: number,
    length: number,
    fromRecord: number,
    localRecord: number,
    now: number,
  ): undefined {
    const { bytes, words } = this.#slab;
    const relay = this.#relays.at(words, fromRecord >> 2);
    let reply: Uint8Array | undefined;
    if (!relay) {
      const admission = this.#screen(offset, length, words, fromRecord >> 2, true, now);
      reply = admission.reply;
      if (!admission.admitted && !reply) return;
    }
    const from = this.#addresses.read(fromRecord);
    const local = this.#addresses.read(localRecord);
    if (!from || !local) return this.#count.malformed();
    if (relay) {
      // Whatever a relay's socket sends by itself is for the TURN client, also when nobody waits for it.
      relay.handleDatagram(from, local, bytes.subarray(offset, offset + length), now);
      this.#node.collectRelay(relay, now);
      return;
    }
    if (this.#relays.isFormer(from)) return;
    if (reply) this.#node.send(undefined, local, from, reply, now);
    else this.#handlePeerControl(offset, length, from, local, now);
  }

  /**
   * Whether a message can concern anybody here, by what is cheap to see without making objects: handshakes must know
   * our key and pass the limiter, cookies name an index of ours, checks a user name, and STUN answers a transaction.
   * @param words with the sender's address record at words[at].
   * @param isDirect it came to a socket of ours, not by a relay.
   */
  #screen(
    offset: number,
    length: number,
    words: Uint32Array,
    at: number,
    isDirect: boolean,
    now: number,
  ): Admission {
    const { bytes } = this.#slab;
    switch (classify(bytes, offset, length)) {
      case MessageType.Initiation:
      case MessageType.Response:
        return this.#admit(bytes.subarray(offset, offset + length), words, at, isDirect, now);
      case MessageType.CookieReply:
        if (this.#directory.byIndex(baseOf(readU32(bytes, offset + 4)))) return CONCERNS_US;
        this.#count.unknownIndex();
        return CONCERNS_NOBODY;
      case MessageType.None:
        if (looksLikeStun(bytes, offset, length)) {
          if (this.#directory.mayKnowStun(bytes, offset, length)) return CONCERNS_US;
          if (isDirect && isStunRequest(bytes, offset)) this.screening.noteStranger(now);
          this.#count.unknownStun();
          return CONCERNS_NOBODY;
        }
    }
    this.#count.malformed();
    return CONCERNS_NOBODY;
  }

  #admit(message: Uint8Array, words: Uint32Array, at: number, isDirect: boolean, now: number): Admission {
    const { screening } = this;
    const length = (words[at]! & 0xffff) === 4 ? 4 : 16;
    const source = new Uint8Array(words.buffer, words.byteOffset + 4 * at + 4, length);
    let isThinned = false;
    if (isDirect && !hasMac2(message)) {
      screening.noteUnproven(source, now);
      isThinned = screening.isThinned(source);
    }
    const admission = this.#limiter.admit(message, source, now, isThinned);
    if (admission.admitted) return admission;
    if (admission.refusal === "cookie-required" && screening.isConnected(words, at)) {
      if (hasValidMac1(message, this.#self) && screening.spares(words, at, now)) return CONCERNS_US;
    }
    this.#count.limited();
    return admission;
  }

  /**
   * What passed the screen.
   * @param local one of our addresses, or our address on the relay that carried the message.
   */
  #handlePeerControl(
    offset: number,
    length: number,
    from: SocketAddress,
    local: SocketAddress,
    now: number,
  ): undefined {
    const { bytes } = this.#slab, end = offset + length;
    const type = classify(bytes, offset, length);
    if (type !== MessageType.None) {
      return this.#handleHandshake(type, bytes.slice(offset, end), from, local, now);
    }
    const stun = decodeStun(bytes.subarray(offset, end));
    if (!stun) return this.#count.malformed();
    const connection = this.#directory.byStun(stun);
    if (!connection) return this.#count.unknownStun();
    connection.agent.handleStun(stun, from, local, now);
    connection.drive(now);
    this.#node.collect(connection, now);
  }

  #handleHandshake(
    type: MessageType,
    message: Uint8Array,
    from: SocketAddress,
    local: SocketAddress,
    now: number,
  ): undefined {
    let connection: Connection | undefined;
    let opened: OpenedInitiation | undefined;
    if (type === MessageType.Initiation) {
      opened = openInitiation(this.#keys, this.#self, this.#dh, this.#sealer, message);
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
