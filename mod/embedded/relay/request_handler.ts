/**
 * The relay's answers to STUN and TURN requests: RFC 8656 in the dialect that Firezone devices speak (spec portal
 * §5.2, snownet §3.10). Where it differs from the RFC, besides authentication (`authenticator.ts`):
 *
 * - *Every* answer to a request with a USERNAME is signed with that user's own key, errors included.
 * - One allocation per credential: a new one from another address ends the older.
 * - Channels need no permission, CREATE-PERMISSION changes nothing, Send indications are not forwarded.
 * - A relay of one family answers a request for both with the one that it has.
 */
import type { RandomBytes } from "../../crypto/types.ts";
import type { Counters } from "../../packet/counters.ts";
import type { IpFamily } from "../../packet/address.ts";
import { SocketAddress } from "../../packet/address.ts";
import { Path } from "../../packet/path.ts";
import type { Slab } from "../../packet/slab.ts";
import {
  AttributeType as A,
  decodeStun,
  encodeStun,
  FIRST_CHANNEL,
  LAST_CHANNEL,
  looksLikeStun,
  Method,
  type StunAttribute,
  type StunMessage,
  transactionKey,
  TRANSPORT_UDP,
} from "../../stun/mod.ts";
import type { PeerPlace, RelayAllocation, RelaySources } from "./allocation.ts";
import type { Allocations } from "./allocations.ts";
import { Authenticator } from "./authenticator.ts";
import type { PeerPolicy } from "./peer_policy.ts";
import { errorAnswer, Refusal, RefusalCounters } from "./refusal.ts";

const DEFAULT_LIFETIME_S = 600;
const MAX_LIFETIME_S = 3600;
/** Loopback, and the unspecified addresses, which lead there. */
const THIS_HOST = /^(127\.|0\.|::1?$)/;
/** Wherever these stand in a request they ask for nothing that we don't do: relayed packets are never fragmented. */
const TOLERATED = new Set<number>([A.DONT_FRAGMENT]);

export interface RequestHandlerOptions {
  readonly publicAddresses: { readonly 4?: Uint8Array | undefined; readonly 6?: Uint8Array | undefined };
  readonly sources: RelaySources;
  /** This host's addresses as {@link SocketAddress} writes them, besides the public ones. */
  readonly localAddresses: ReadonlySet<string>;
  readonly listenPort: number;
  readonly portRange: readonly [number, number];
  readonly stampSecret: string;
  readonly peers: PeerPolicy;
  readonly random: RandomBytes;
  readonly unixNow: () => number;
  readonly counters: Counters;
}

export class RequestHandler {
  readonly #options: RequestHandlerOptions;
  readonly #allocations: Allocations;
  readonly #authenticator: Authenticator;
  readonly #refusals: RefusalCounters;
  readonly #clientPath = new Path();
  readonly #requests: number;
  readonly #malformed: number;

  constructor(options: RequestHandlerOptions, allocations: Allocations) {
    this.#options = options;
    this.#allocations = allocations;
    const { counters } = options;
    this.#refusals = new RefusalCounters(counters);
    this.#authenticator = new Authenticator({ ...options, refusals: this.#refusals }, allocations);
    this.#requests = counters.register("relay_requests");
    this.#malformed = counters.register("relay_malformed");
  }

  /**
   * The cheap look at a datagram that is no ChannelData, where it lies: false when nothing more is done with it. A
   * source without an allocation is charged here for what it will cause.
   * @param from Slab offset of the sender's address record.
   */
  admits(
    { bytes, words }: Slab,
    offset: number,
    length: number,
    from: number,
    hasAllocation: boolean,
    now: number,
  ): boolean {
    const isRequest = looksLikeStun(bytes, offset, length) &&
      ((bytes[offset]! & 1) | (bytes[offset + 1]! & 0x10)) === 0;
    if (!isRequest) {
      this.#options.counters.add(this.#malformed);
      return false;
    }
    this.#options.counters.add(this.#requests);
    return hasAllocation || this.#authenticator.admits(this.#authenticator.bucketOf(words, from >> 2), now);
  }

  /**
   * The answer to one datagram that {@link admits} let through, or undefined to stay silent.
   * @param local Our address that it arrived at.
   * @param hasAllocation As said to {@link admits}.
   */
  handle(
    bytes: Uint8Array,
    client: SocketAddress,
    local: SocketAddress,
    hasAllocation: boolean,
    now: number,
  ): Uint8Array | undefined {
    const request = decodeStun(bytes);
    if (request?.class !== "request") {
      this.#options.counters.add(this.#malformed);
      return undefined;
    }
    this.#clientPath.set(client);
    const authenticator = this.#authenticator, bucket = authenticator.bucketOf(this.#clientPath.words, 0);
    if (request.method === Method.BINDING) {
      if (hasAllocation && !authenticator.admits(bucket, now)) return undefined;
      return authenticator.answerStranger(request, bindingAnswer(request, this.#mapped(client)), bucket, now);
    }
    const credential = authenticator.authenticate(request, client, bucket, !hasAllocation, now);
    if (credential === undefined || credential instanceof Uint8Array) return credential;
    const { key } = credential;
    const answer = this.#perform(request, key, client, local, now);
    if (answer instanceof Refusal) {
      this.#refusals.count(answer);
      return errorAnswer(request, answer, [], key);
    }
    return encodeStun({
      class: "success",
      method: request.method,
      transactionId: request.transactionId,
      attributes: answer,
      integrityKey: key,
    });
  }

  #perform(
    request: StunMessage,
    key: Uint8Array,
    client: SocketAddress,
    local: SocketAddress,
    now: number,
  ): StunAttribute[] | Refusal {
    const unknown = request.unknownRequired.filter((type) => !TOLERATED.has(type));
    if (unknown.length > 0) return new Refusal(420, unknown);
    let allocation = this.#allocations.byClient(client);
    if (allocation && allocation.expiresAt <= now) {
      this.#allocations.remove(allocation);
      allocation = undefined;
    }
    if (request.method === Method.ALLOCATE) {
      return this.#allocate(request, key, allocation, client, local, now);
    }
    if (!allocation) return new Refusal(437);
    // A device that restarted comes from the same socket with a new key, and must be able to clear what it left
    // (spec snownet §6.3). Its nonce, bound to the socket, proves that it is there.
    const clears = request.method === Method.REFRESH && request.lifetime === 0;
    if (allocation.username !== request.username && !clears) return new Refusal(441);
    switch (request.method) {
      case Method.REFRESH:
        return this.#refresh(request, allocation, now);
      case Method.CHANNEL_BIND:
        return this.#bindChannel(request, allocation, now);
      case Method.CREATE_PERMISSION:
        return this.#createPermission(request, allocation);
      default:
        return new Refusal(400);
    }
  }

  #allocate(
    request: StunMessage,
    key: Uint8Array,
    existing: RelayAllocation | undefined,
    client: SocketAddress,
    local: SocketAddress,
    now: number,
  ): StunAttribute[] | Refusal {
    const transaction = transactionKey(request.transactionId);
    if (existing) {
      return existing.transaction === transaction
        ? granted(existing, this.#mapped(client), now)
        : new Refusal(437);
    }
    if (request.requestedTransport !== TRANSPORT_UDP) return new Refusal(400);
    const { requestedFamily, additionalFamily } = request;
    if (additionalFamily !== undefined && (requestedFamily !== undefined || additionalFamily !== 6)) {
      return new Refusal(400);
    }
    const wanted: readonly (IpFamily | 0)[] = additionalFamily === 6 ? [4, 6] : [familyOf(requestedFamily)];
    const addresses = this.#options.publicAddresses;
    const families = wanted.filter((family): family is IpFamily =>
      family !== 0 && addresses[family] !== undefined
    );
    if (families.length === 0) return new Refusal(440);
    if (request.evenPort) return new Refusal(508); // pairs of ports are not kept
    const older = this.#allocations.byUsername(request.username!);
    const exhausted = this.#allocations.exhausted(client, older);
    if (exhausted) return new Refusal(exhausted === "source" ? 486 : 508);
    if (older) this.#allocations.remove(older);
    const port = this.#allocations.openPort(families, request.evenPort !== undefined);
    if (port === undefined) return new Refusal(508);
    const relayed = (family: IpFamily) =>
      families.includes(family) ? SocketAddress.fromBytes(addresses[family]!, port) : undefined;
    const allocation = this.#allocations.add({
      client,
      local,
      username: request.username!,
      key,
      transaction,
      nonce: request.nonce!,
      port,
      v4: relayed(4),
      v6: relayed(6),
      sources: this.#options.sources,
      expiresAt: now + grantedLifetime(request.lifetime) * 1000,
    });
    return granted(allocation, this.#mapped(client), now);
  }

  #refresh(request: StunMessage, allocation: RelayAllocation, now: number): StunAttribute[] | Refusal {
    if (request.requestedFamily !== undefined) {
      const family = familyOf(request.requestedFamily);
      if (family === 0 || !allocation.relayed(family)) return new Refusal(443);
    }
    if (request.lifetime === 0) {
      this.#allocations.remove(allocation);
      return [[A.LIFETIME, 0]];
    }
    const lifetime = grantedLifetime(request.lifetime);
    this.#allocations.extend(allocation, now + lifetime * 1000);
    return [[A.LIFETIME, lifetime]];
  }

  #bindChannel(request: StunMessage, allocation: RelayAllocation, now: number): StunAttribute[] | Refusal {
    const { channelNumber: number, xorPeerAddress: peer } = request;
    if (number === undefined || peer === undefined || peer.port === 0) return new Refusal(400);
    if (number < FIRST_CHANNEL || number > LAST_CHANNEL) return new Refusal(400);
    const place = this.#placeOf(peer, allocation);
    if (place instanceof Refusal) return place;
    const channel = this.#allocations.bind(allocation, number, peer, place, now);
    if (channel === "conflict") return new Refusal(400);
    if (channel === "full") return new Refusal(508);
    return [];
  }

  #createPermission(request: StunMessage, allocation: RelayAllocation): StunAttribute[] | Refusal {
    if (!request.xorPeerAddress) return new Refusal(400);
    const place = this.#placeOf(request.xorPeerAddress, allocation);
    return place instanceof Refusal ? place : [];
  }

  /** Where `peer` is, or why nothing may be sent to it. */
  #placeOf(peer: SocketAddress, allocation: RelayAllocation): PeerPlace | Refusal {
    if (!allocation.relayed(peer.family)) return new Refusal(443);
    const { peers, listenPort, localAddresses, portRange: [lowest, highest] } = this.#options;
    const isOwn = this.#isOwn(peer);
    // Never our listening port, whatever is allowed: the relay could be made its own client, and talk to itself.
    const isHere = isOwn || localAddresses.has(peer.ip) || THIS_HOST.test(peer.ip);
    if (isHere && peer.port === listenPort) return new Refusal(403);
    if (!isOwn) {
      if (peers.permits(peer.bytes)) return "network";
    } else {
      if (peers.permitsByName(peer.bytes)) return "relay or host";
      if (peer.port >= lowest && peer.port <= highest) return "relay";
    }
    return new Refusal(403);
  }

  /**
   * Where others see `client`. One on this very host is behind the NAT that we are behind, with the same port: for a
   * forwarded port that is certain, and else what home routers do.
   */
  #mapped(client: SocketAddress): SocketAddress {
    const outside = this.#options.publicAddresses[client.family];
    return outside && this.#options.localAddresses.has(client.ip)
      ? SocketAddress.fromBytes(outside, client.port)
      : client;
  }

  #isOwn(peer: SocketAddress): boolean {
    const own = this.#options.publicAddresses[peer.family];
    return own !== undefined && own.every((byte, i) => byte === peer.bytes[i]);
  }
}

/** RFC 8489 §12: needs no credential. */
function bindingAnswer(request: StunMessage, mapped: SocketAddress): Uint8Array {
  if (request.unknownRequired.length > 0) {
    return errorAnswer(request, new Refusal(420, request.unknownRequired), []);
  }
  return encodeStun({
    class: "success",
    method: Method.BINDING,
    transactionId: request.transactionId,
    attributes: [[A.XOR_MAPPED_ADDRESS, mapped]],
  });
}

function granted(allocation: RelayAllocation, mapped: SocketAddress, now: number): StunAttribute[] {
  const attributes: StunAttribute[] = [];
  if (allocation.v4) attributes.push([A.XOR_RELAYED_ADDRESS, allocation.v4]);
  if (allocation.v6) attributes.push([A.XOR_RELAYED_ADDRESS, allocation.v6]);
  attributes.push([A.XOR_MAPPED_ADDRESS, mapped]);
  attributes.push([A.LIFETIME, Math.ceil((allocation.expiresAt - now) / 1000)]);
  return attributes;
}

/** RFC 8656 §7.2: what was asked for, but never below the default nor above the maximum. */
function grantedLifetime(requested: number | undefined): number {
  return Math.min(MAX_LIFETIME_S, Math.max(DEFAULT_LIFETIME_S, requested ?? 0));
}

function familyOf(requested: number | undefined): IpFamily | 0 {
  return requested === undefined || requested === 4 ? 4 : requested === 6 ? 6 : 0;
}
