/**
 * The policy: what each client may reach, and the verdict on every packet (spec policy §1, §2).
 *
 * Control side: the portal's statements (`grant`, `revoke`, `updateResource`, `reconcile`, …) change peers; expiry is
 * a monotonic deadline per grant. When a peer loses its last grant it is gone at once and an event says so.
 * Packet side: {@link Policy.outbound} for what a client sent, {@link Policy.inbound} for what TUN delivered; both
 * work once on a super-packet of one flow. They never allocate, and they honour a deadline exactly even when
 * `handleTimeout` comes late.
 */
import type { Counters } from "../packet/counters.ts";
import {
  type IpHeader,
  KIND_ECHO_REPLY,
  KIND_ECHO_REQUEST,
  KIND_ICMP_OTHER,
  KIND_TCP,
  KIND_UDP,
} from "../packet/ip_header.ts";
import type { Slab } from "../packet/slab.ts";
import { AccessCheck, ALLOWED, INTERNET_BLOCKED } from "./access.ts";
import { IcmpQuote } from "./icmp_quote.ts";
import { CONTROL_HEADER_SIZE, CONTROL_PROTOCOL } from "./control_packet.ts";
import { deadlineOf } from "./deadline.ts";
import { CLASS_ICMP, CLASS_OTHER, CLASS_TCP, CLASS_UDP, FilterSet } from "./filter.ts";
import type { Grant, Peer } from "./peer.ts";
import { PeerStore } from "./peer_store.ts";
import { PolicyCounters } from "./policy_counters.ts";
import { isMulticast4, isMulticast6, isProxy4, isProxy6, isTunnel4, isTunnel6 } from "./ranges.ts";
import type {
  GrantRequest,
  Id,
  PolicyEvent,
  RemovalReason,
  Resource,
  StandingAuthorization,
  TunnelAddresses,
} from "./types.ts";
import { type Words, wordsOf } from "./words.ts";

/** Write the packet to TUN. */
export const VERDICT_FORWARD = 0;
/** Drop it silently; it is counted. */
export const VERDICT_DROP = 1;
/** Answer with "administratively prohibited", built from the packet as it is. */
export const VERDICT_REPLY_PROHIBITED = 2;
/** Answer with "network/address unreachable", built from the packet as it is. */
export const VERDICT_REPLY_UNREACHABLE = 3;
/** A control packet: hand it to `decodeControl`; it must never reach TUN. */
export const VERDICT_CONTROL = 4;
export type Verdict = 0 | 1 | 2 | 3 | 4;

const CACHE_ENTRIES = 16384;

/** The portal said something that can't be obeyed; nothing was changed. */
export class PolicyError extends Error {
  override readonly name = "PolicyError";
}

export interface PolicyOptions {
  readonly slab: Slab;
  readonly counters: Counters;
  /** Wall clock, Unix milliseconds. */
  readonly unixNow: () => number;
  /** 32 random bits; makes hash collisions unpredictable. */
  readonly seed: number;
}

export class Policy {
  readonly #bytes: Uint8Array;
  readonly #counts: Float64Array<ArrayBufferLike>;
  readonly #counters: PolicyCounters;
  readonly #unixNow: () => number;
  readonly #access: AccessCheck;
  readonly #quote = new IcmpQuote();
  readonly #peers = new PeerStore();
  readonly #events: PolicyEvent[] = [];
  #own: { readonly v4: Words; readonly v6: Words } | undefined;
  #nextDeadline = Infinity;
  #version = 0;
  #matchedPeer: Peer | undefined;
  #matchedFinding = 0;

  constructor({ slab, counters, unixNow, seed }: PolicyOptions) {
    this.#bytes = slab.bytes;
    this.#counts = counters.values;
    this.#counters = new PolicyCounters(counters);
    this.#unixNow = unixNow;
    this.#access = new AccessCheck(CACHE_ENTRIES, seed);
  }

  // Control ----------------------------------------------------------------------------------------------------

  /** The gateway's own tunnel addresses; known peers adopt them. */
  setInterface({ ipv4, ipv6 }: TunnelAddresses): void {
    this.#own = tunnelWords(ipv4, ipv6, "Cannot use the gateway's tunnel addresses");
  }

  /**
   * Gives access, or renews it: filters, address and expiry of a resource that the client holds are replaced. A
   * client whose tunnel addresses changed loses everything else (its flows could not continue); a client whose
   * address now belongs to this one is removed.
   *
   * Throws a {@link PolicyError} before `setInterface` and for addresses that can't be routed.
   */
  grant({ client, resource, expiresAt }: GrantRequest, now: number): Peer {
    if (!this.#own) {
      throw new PolicyError(
        "Cannot grant access: the gateway's tunnel addresses are not known. Wait for the portal's init.",
      );
    }
    tunnelWords(client.ipv4, client.ipv6, "Cannot grant access: the client's tunnel addresses are unusable");
    checkResource(resource);
    for (const rival of this.#peers.rivalsOf(client)) this.#remove(rival, "address-reassigned");
    let peer = this.#peers.byId(client.id);
    if (!peer) peer = this.#peers.add(client, now);
    else if (!sameBytes(peer.ipv4, client.ipv4) || !sameBytes(peer.ipv6, client.ipv6)) {
      this.#peers.readdress(peer, client);
    }
    peer.grants.set(resource.id, {
      resource,
      filters: filtersOf(resource),
      deadline: deadlineOf(expiresAt, now, this.#unixNow()),
    });
    this.#compile(peer);
    return peer;
  }

  /** Takes one resource away. Unknown clients and resources are ignored; true when something was removed. */
  revoke(clientId: Id, resourceId: Id): boolean {
    const peer = this.#peers.byId(clientId);
    if (!peer?.grants.delete(resourceId)) return false;
    this.#settle(peer, "revoked");
    return true;
  }

  /** Replaces the expiry of a grant. False when the client does not hold the resource. */
  updateExpiry(clientId: Id, resourceId: Id, expiresAt: number | null, now: number): boolean {
    const peer = this.#peers.byId(clientId);
    const grant = peer?.grants.get(resourceId);
    if (!peer || !grant) return false;
    peer.grants.set(resourceId, { ...grant, deadline: deadlineOf(expiresAt, now, this.#unixNow()) });
    this.#compile(peer);
    return true;
  }

  /**
   * Replaces the filters of a resource for everyone who holds it; nothing else of it can change under a grant, and
   * a resource of another kind is ignored. Returns how many clients were affected.
   */
  updateResource(resource: Resource): number {
    let affected = 0;
    for (const peer of this.#peers.all()) {
      const grant = peer.grants.get(resource.id);
      if (grant === undefined || resource.type === "internet") continue;
      if (grant.resource.type !== resource.type) continue;
      peer.grants.set(resource.id, {
        ...grant,
        resource: { ...grant.resource, filters: resource.filters },
        filters: filtersOf(resource),
      });
      this.#compile(peer);
      affected++;
    }
    return affected;
  }

  /**
   * The portal's complete list of what is still allowed: everything else is revoked, an empty list revokes all.
   * Undefined means that the portal said nothing, and changes nothing. The list never gives access; an expiry in it
   * replaces the known one.
   */
  reconcile(authorizations: readonly StandingAuthorization[] | undefined, now: number): void {
    if (authorizations === undefined) return;
    const unixNow = this.#unixNow();
    const listed = new Map<Id, Map<Id, StandingAuthorization>>();
    for (const entry of authorizations) {
      const resources = listed.get(entry.clientId) ?? new Map<Id, StandingAuthorization>();
      listed.set(entry.clientId, resources.set(entry.resourceId, entry));
    }
    for (const peer of [...this.#peers.all()]) {
      const resources = listed.get(peer.clientId);
      for (const [id, grant] of [...peer.grants]) {
        const entry = resources?.get(id);
        if (!entry) peer.grants.delete(id);
        else if (entry.expiresAt !== undefined) {
          peer.grants.set(id, { ...grant, deadline: deadlineOf(entry.expiresAt, now, unixNow) });
        }
      }
      this.#settle(peer, "not-listed");
    }
  }

  /** Forgets a client (it said goodbye). No event follows. False when it is unknown. */
  removePeer(clientId: Id): boolean {
    const peer = this.#peers.byId(clientId);
    if (!peer) return false;
    this.#peers.remove(peer);
    this.#schedule();
    return true;
  }

  peerById(clientId: Id): Peer | undefined {
    return this.#peers.byId(clientId);
  }

  peers(): IterableIterator<Peer> {
    return this.#peers.all();
  }

  get peerCount(): number {
    return this.#peers.size;
  }

  /** Ends what has expired. */
  handleTimeout(now: number): void {
    if (now >= this.#nextDeadline) this.#expire(now);
  }

  /** When `handleTimeout` is next due, absolute milliseconds. */
  pollTimeout(): number | undefined {
    return this.#nextDeadline === Infinity ? undefined : this.#nextDeadline;
  }

  pollEvent(): PolicyEvent | undefined {
    return this.#events.shift();
  }

  // Packets ----------------------------------------------------------------------------------------------------

  /**
   * What to do with the packet at `offset` that `peer` sent, parsed into `header`. It is left as it is unless the
   * verdict is VERDICT_FORWARD.
   */
  outbound(peer: Peer, header: IpHeader, offset: number, _length: number, now: number): Verdict {
    if (now >= this.#nextDeadline) this.#expire(now);
    const counters = this.#counters;
    const own = this.#own;
    this.#matchedFinding = 0;
    if (peer.removed || own === undefined) return this.#drop(counters.outNoPeer);

    const protocol = protocolClass(header.kind);
    const port = protocol === CLASS_TCP || protocol === CLASS_UDP ? header.dstPort : 0;
    let finding: number;
    if (header.version === 4) {
      const dst = header.dst0;
      if (isMulticast4(dst)) return this.#drop(counters.outMulticast);
      if (header.isIcmpError) return this.#drop(counters.outIcmpError);
      if (header.src0 !== peer.v4[0]) return this.#prohibit(counters.outSpoofedSource, peer, now);
      if (dst === own.v4[0]) return this.#forward(counters.outToGateway);
      if (isTunnel4(dst)) return this.#prohibit(counters.outOtherClient, peer, now);
      finding = this.#access.check4(peer, isProxy4(dst), protocol, port, dst);
    } else {
      const { dst0, dst1, dst2, dst3 } = header;
      if (this.#isControl(header, offset)) {
        this.#counts[counters.outControl]! += 1;
        return VERDICT_CONTROL;
      }
      if (isMulticast6(dst0)) return this.#drop(counters.outMulticast);
      if (header.isIcmpError) return this.#drop(counters.outIcmpError);
      const { src0, src1, src2, src3 } = header;
      if (!isWords(peer.v6, src0, src1, src2, src3)) {
        return this.#prohibit(counters.outSpoofedSource, peer, now);
      }
      if (isWords(own.v6, dst0, dst1, dst2, dst3)) return this.#forward(counters.outToGateway);
      if (isTunnel6(dst0, dst1, dst2, dst3)) {
        return this.#prohibit(counters.outOtherClient, peer, now);
      }
      const proxy = isProxy6(dst0, dst1, dst2, dst3);
      finding = this.#access.check6(peer, proxy, protocol, port, dst0, dst1, dst2, dst3);
    }
    if ((finding & 0xff) !== ALLOWED) {
      const reason = counters.outRefused[finding & 0xff]!;
      return (finding & 0xff) === INTERNET_BLOCKED
        ? this.#unreachable(reason, peer, now)
        : this.#prohibit(reason, peer, now);
    }
    this.#matchedPeer = peer;
    this.#matchedFinding = finding;
    return this.#forward(counters.outForwarded);
  }

  /** The peer that the packet at `offset` from TUN goes to, or undefined: it was dropped and counted. */
  inbound(header: IpHeader, _offset: number, _length: number, now: number): Peer | undefined {
    if (now >= this.#nextDeadline) this.#expire(now);
    const counters = this.#counters;
    this.#matchedFinding = 0;
    const own = this.#own;
    const { src0, src1, src2, src3, dst0, dst1, dst2, dst3 } = header;
    const isV4 = header.version === 4;
    const toClient = isV4 ? isTunnel4(dst0) : isTunnel6(dst0, dst1, dst2, dst3);
    if (own === undefined || !toClient) return this.#discard(counters.inNotToClient);
    const peer = isV4 ? this.#peers.by4(dst0) : this.#peers.by6(dst3);
    if (peer === undefined) return this.#discard(counters.inNoPeer);
    if (isV4 ? src0 === own.v4[0] : isWords(own.v6, src0, src1, src2, src3)) {
      this.#counts[counters.inFromGateway]! += 1;
      return peer;
    }
    if (isV4 ? isTunnel4(src0) : isTunnel6(src0, src1, src2, src3)) {
      return this.#discard(counters.inOtherClient);
    }
    if (isV4 ? isProxy4(src0) : isProxy6(src0, src1, src2, src3)) {
      return this.#discard(counters.inProxySource);
    }
    if (header.isIcmpError && this.#quote.parse(this.#bytes, header)) {
      this.#counts[counters.inIcmpError]! += 1;
      return peer;
    }
    const protocol = protocolClass(header.kind);
    const port = protocol === CLASS_TCP || protocol === CLASS_UDP ? header.srcPort : 0;
    const finding = isV4
      ? this.#access.check4(peer, false, protocol, port, src0)
      : this.#access.check6(peer, false, protocol, port, src0, src1, src2, src3);
    if ((finding & 0xff) !== ALLOWED) return this.#discard(counters.inRefused[finding & 0xff]!);
    this.#matchedPeer = peer;
    this.#matchedFinding = finding;
    this.#counts[counters.inForwarded]! += 1;
    return peer;
  }

  /** The grant that let the last packet through; undefined when none did or none was needed. */
  get matched(): Grant | undefined {
    return this.#matchedFinding === 0 ? undefined : this.#matchedPeer!.list[this.#matchedFinding >>> 8];
  }

  // ------------------------------------------------------------------------------------------------------------

  #isControl(header: IpHeader, offset: number): boolean {
    return (header.dst0 | header.dst1 | header.dst2 | header.dst3) === 0 &&
      (header.src0 | header.src1 | header.src2 | header.src3) === 0 &&
      this.#bytes[offset + 6] === CONTROL_PROTOCOL && header.totalLength >= CONTROL_HEADER_SIZE;
  }

  #forward(counter: number): Verdict {
    this.#counts[counter]! += 1;
    return VERDICT_FORWARD;
  }

  #drop(counter: number): Verdict {
    this.#counts[counter]! += 1;
    return VERDICT_DROP;
  }

  #discard(counter: number): undefined {
    this.#counts[counter]! += 1;
    return undefined;
  }

  #prohibit(reason: number, peer: Peer, now: number): Verdict {
    if (!this.#mayAnswer(reason, peer, now)) return VERDICT_DROP;
    this.#counts[this.#counters.answerProhibited]! += 1;
    return VERDICT_REPLY_PROHIBITED;
  }

  #unreachable(reason: number, peer: Peer, now: number): Verdict {
    if (!this.#mayAnswer(reason, peer, now)) return VERDICT_DROP;
    this.#counts[this.#counters.answerUnreachable]! += 1;
    return VERDICT_REPLY_UNREACHABLE;
  }

  #mayAnswer(reason: number, peer: Peer, now: number): boolean {
    this.#counts[reason]! += 1;
    if (peer.answers.take(now)) return true;
    this.#counts[this.#counters.answerLimited]! += 1;
    return false;
  }

  #compile(peer: Peer): void {
    this.#version = (this.#version + 1) >>> 0 || 1;
    peer.compile(this.#version);
    this.#schedule();
  }

  /** After grants went: a peer without any goes too. */
  #settle(peer: Peer, reason: RemovalReason): void {
    if (peer.grants.size === 0) this.#remove(peer, reason);
    else this.#compile(peer);
  }

  #remove(peer: Peer, reason: RemovalReason): void {
    this.#peers.remove(peer);
    this.#schedule();
    this.#events.push({ type: "peer-removed", peer, clientId: peer.clientId, reason });
  }

  #schedule(): void {
    let next = Infinity;
    for (const peer of this.#peers.all()) next = Math.min(next, peer.nextDeadline);
    this.#nextDeadline = next;
  }

  #expire(now: number): void {
    for (const peer of [...this.#peers.all()]) {
      if (now < peer.nextDeadline) continue;
      for (const [resourceId, grant] of [...peer.grants]) {
        if (now < grant.deadline) continue;
        peer.grants.delete(resourceId);
        this.#events.push({ type: "access-expired", clientId: peer.clientId, resourceId });
      }
      this.#settle(peer, "expired");
    }
  }
}

function protocolClass(kind: number): number {
  switch (kind) {
    case KIND_TCP:
      return CLASS_TCP;
    case KIND_UDP:
      return CLASS_UDP;
    case KIND_ECHO_REQUEST:
    case KIND_ECHO_REPLY:
    case KIND_ICMP_OTHER:
      return CLASS_ICMP;
    default:
      return CLASS_OTHER;
  }
}

function isWords(words: Words, a: number, b: number, c: number, d: number): boolean {
  return words[3] === d && words[2] === c && words[1] === b && words[0] === a;
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

function filtersOf(resource: Resource): FilterSet {
  return resource.type === "internet" ? FilterSet.EVERYTHING : new FilterSet(resource.filters);
}

function tunnelWords(ipv4: Uint8Array, ipv6: Uint8Array, problem: string): { v4: Words; v6: Words } {
  const v4 = wordsOf(ipv4), v6 = wordsOf(ipv6);
  if (v4 && v6 && ipv4.length === 4 && ipv6.length === 16 && isTunnel4(v4[0]) && isTunnel6(...v6)) {
    return { v4, v6 };
  }
  throw new PolicyError(
    `${problem}: not inside 100.64.0.0/11 and fd00:2021:1111::/107. Check the portal's address ranges.`,
  );
}

function checkResource(resource: Resource): void {
  if (resource.type !== "cidr") return;
  const { ip, prefix } = resource.address;
  if (
    (ip.length === 4 || ip.length === 16) && Number.isInteger(prefix) && prefix >= 0 &&
    prefix <= 8 * ip.length
  ) {
    return;
  }
  throw new PolicyError(`Cannot grant access: resource ${resource.id} is no network. Check its address.`);
}
