/**
 * The verdict on every packet: the checks of spec policy §1.1, §1.2 and §2.1 in their order, and the translation of
 * packets to and from DNS resources (§2.2, §3).
 *
 * Everything here runs once per packet or super-packet and allocates nothing.
 */
import {
  type IpHeader,
  KIND_ECHO_REPLY,
  KIND_ECHO_REQUEST,
  KIND_ICMP_OTHER,
  KIND_TCP,
  KIND_UDP,
} from "../packet/ip_header.ts";
import type { Counters } from "../packet/counters.ts";
import type { Slab } from "../packet/slab.ts";
import { AccessCheck, ALLOWED, FINDING_MASK, INTERNET_BLOCKED, SHARED } from "./access.ts";
import { CONTROL_HEADER_SIZE, CONTROL_PROTOCOL } from "./control_packet.ts";
import { CLASS_ICMP, CLASS_OTHER, CLASS_TCP, CLASS_UDP } from "./filter.ts";
import { IcmpQuote } from "./icmp_quote.ts";
import { translateIcmpError } from "./icmp_translation.ts";
import { NAT_ICMP, NAT_TCP, NAT_UDP, NAT_V6, type NatTable } from "./nat_table.ts";
import type { Grant, Peer } from "./peer.ts";
import type { PeerStore } from "./peer_store.ts";
import { PolicyCounters } from "./policy_counters.ts";
import {
  isMulticast4,
  isMulticast6,
  isProxy4,
  isProxy6,
  isTunnel4,
  isTunnel6,
  rangeKey4,
  rangeKey6,
} from "./ranges.ts";
import { rewriteInbound, rewriteOutbound } from "./rewrite.ts";
import {
  type Verdict,
  VERDICT_CONTROL,
  VERDICT_DROP,
  VERDICT_FORWARD,
  VERDICT_REPLY_PROHIBITED,
  VERDICT_REPLY_UNREACHABLE,
} from "./verdict.ts";
import type { Words } from "./words.ts";

const CACHE_ENTRIES = 16384;
const SWEEP_INTERVAL = 1000;

export class PacketPath {
  /** The gateway's own tunnel addresses. */
  own: { readonly v4: Words; readonly v6: Words } | undefined;
  /** When NAT sessions are to be swept next; Infinity when there are none. */
  nextSweep = Infinity;
  /** Length of the last packet that {@link inbound} let through: a translated ICMP error may be shorter. */
  length = 0;

  readonly #slab: Slab;
  readonly #counts: Float64Array<ArrayBufferLike>;
  readonly #counters: PolicyCounters;
  readonly #access: AccessCheck;
  readonly #peers: PeerStore;
  readonly #quote = new IcmpQuote();
  #matchedPeer: Peer | undefined;
  #matchedFinding = 0;

  constructor(slab: Slab, counters: Counters, peers: PeerStore, seed: number) {
    this.#slab = slab;
    this.#counts = counters.values;
    this.#counters = new PolicyCounters(counters);
    this.#peers = peers;
    this.#access = new AccessCheck(CACHE_ENTRIES, seed);
  }

  /** The grant that let the last packet through; undefined when none did or none was needed. */
  get matched(): Grant | undefined {
    return this.#matchedFinding === 0 ? undefined : this.#matchedPeer!.list[this.#matchedFinding >>> 8];
  }

  outbound(peer: Peer, header: IpHeader, offset: number, now: number): Verdict {
    const counters = this.#counters;
    const own = this.own;
    this.#matchedFinding = 0;
    if (peer.removed || own === undefined) return this.#drop(counters.outNoPeer);
    const protocol = protocolClass(header.kind);
    const port = protocol === CLASS_TCP || protocol === CLASS_UDP ? header.dstPort : 0;
    let finding: number, proxy: boolean;
    if (header.version === 4) {
      const { src0, dst0 } = header;
      if (isMulticast4(dst0)) return this.#drop(counters.outMulticast);
      if (header.isIcmpError) return this.#drop(counters.outIcmpError);
      if (src0 !== peer.v4[0]) return this.#prohibit(counters.outSpoofedSource, peer, now);
      if (dst0 === own.v4[0]) return this.#forward(counters.outToGateway);
      if (isTunnel4(dst0)) return this.#prohibit(counters.outOtherClient, peer, now);
      proxy = isProxy4(dst0);
      finding = this.#access.check(peer, true, proxy, protocol, port, header.addresses, 4);
    } else {
      const { src0, src1, src2, src3, dst0, dst1, dst2, dst3 } = header;
      if (this.#isControl(header, offset)) {
        this.#counts[counters.outControl]! += 1;
        return VERDICT_CONTROL;
      }
      if (isMulticast6(dst0)) return this.#drop(counters.outMulticast);
      if (header.isIcmpError) return this.#drop(counters.outIcmpError);
      if (!isWords(peer.v6, src0, src1, src2, src3)) {
        return this.#prohibit(counters.outSpoofedSource, peer, now);
      }
      if (isWords(own.v6, dst0, dst1, dst2, dst3)) return this.#forward(counters.outToGateway);
      if (isTunnel6(dst0, dst1, dst2, dst3)) return this.#prohibit(counters.outOtherClient, peer, now);
      proxy = isProxy6(dst0, dst1, dst2, dst3);
      finding = this.#access.check(peer, false, proxy, protocol, port, header.addresses, 4);
    }
    const code = finding & FINDING_MASK;
    if (code !== ALLOWED) {
      const reason = counters.outRefused[code]!;
      return code === INTERNET_BLOCKED
        ? this.#unreachable(reason, peer, now)
        : this.#prohibit(reason, peer, now);
    }
    this.#matchedPeer = peer;
    this.#matchedFinding = finding;
    if (proxy) return this.#translateOutbound(peer, header, offset, now);
    return peer.nat === undefined
      ? this.#forward(counters.outForwarded)
      : this.#passPlain(peer.nat, header, offset, (finding & SHARED) !== 0, now);
  }

  inbound(header: IpHeader, offset: number, length: number, now: number): Peer | undefined {
    const counters = this.#counters;
    const own = this.own;
    this.#matchedFinding = 0;
    this.length = length;
    const { src0, src1, src2, src3, dst0, dst3 } = header;
    const isV4 = header.version === 4;
    const toClient = isV4 ? isTunnel4(dst0) : isTunnel6(dst0, header.dst1, header.dst2, dst3);
    if (own === undefined || !toClient) return this.#discard(counters.inNotToClient);
    const peer = this.#peers.byAddress(isV4 ? rangeKey4(dst0) : rangeKey6(dst3));
    if (peer === undefined) return this.#discard(counters.inNoPeer);

    const nat = peer.nat;
    const isError = header.isIcmpError && this.#quote.parse(this.#slab.bytes, header);
    if (isError && nat !== undefined) {
      // Before the gateway's own address passes: the kernel's errors about translated flows need translation too.
      const record = this.#findQuoted(nat, isV4);
      if (record >= 0 && nat.isExpired(record)) return this.#discard(counters.inExpiredSession);
      if (record >= 0 && !nat.isIdentity(record)) {
        this.length = translateIcmpError(this.#slab, header, offset, this.#quote, peer, nat, record);
        return this.#deliver(peer, counters.inIcmpErrorTranslated);
      }
    }
    if (isV4 ? src0 === own.v4[0] : isWords(own.v6, src0, src1, src2, src3)) {
      return this.#deliver(peer, counters.inFromGateway);
    }
    if (isV4 ? isTunnel4(src0) : isTunnel6(src0, src1, src2, src3)) {
      return this.#discard(counters.inOtherClient);
    }
    if (nat !== undefined && !isError) {
      const key = sessionKey(header);
      const record = key === 0 ? -1 : nat.findOutside(key, header.dstPort, header.addresses, 0);
      if (record >= 0) return this.#translateInbound(peer, nat, record, header, offset, now);
    }
    if (isV4 ? isProxy4(src0) : isProxy6(src0, src1, src2, src3)) {
      return this.#discard(counters.inProxySource);
    }
    if (isError) return this.#deliver(peer, counters.inIcmpError);
    if (!this.#mayEnter(peer, header, header.addresses, 0)) return undefined;
    return this.#deliver(peer, counters.inForwarded);
  }

  /** Ends NAT sessions that are due. */
  sweep(now: number): void {
    let left = 0;
    for (const peer of this.#peers.all()) {
      if (peer.nat === undefined) continue;
      peer.nat.sweep(now);
      left += peer.nat.size;
    }
    this.nextSweep = left > 0 ? nextTick(now) : Infinity;
  }

  /** To a DNS resource: the session of this flow, or a new one, tells the real address. */
  #translateOutbound(peer: Peer, header: IpHeader, offset: number, now: number): Verdict {
    const counters = this.#counters;
    const proxy = header.version === 4 ? rangeKey4(header.dst0) : rangeKey6(header.dst3);
    const translation = peer.translations.find(proxy);
    if (translation === undefined) return this.#unreachable(counters.outNoTranslation, peer, now);
    const { real } = translation;
    const key = sessionKey(header), nat = peer.nat;
    // An open flow keeps its address, also when the name has lost its last one.
    let record = key === 0 || nat === undefined
      ? -1
      : nat.findInside(key, header.srcPort, header.addresses, 4);
    if (real === undefined && record < 0) return this.#unreachable(counters.outUnresolved, peer, now);
    if (key === 0 || nat === undefined) return this.#drop(counters.outUntranslatable);
    if (record < 0) record = this.#open(nat, key, header, real!, 0, now);
    if (record < 0) return this.#drop(counters.outNatExhausted);
    nat.noteOut(record, header.tcpFlags, now);
    this.#rewriteOutbound(nat, record, header, offset);
    return this.#forward(counters.outForwarded);
  }

  /**
   * A packet without translation, of a client that has NAT sessions (§3.4): its flow is no expired session (any more),
   * and towards an address that is also behind a proxy it gets a session from itself to itself, so that no
   * translated flow takes its port; should one have it already, this flow gets another.
   */
  #passPlain(nat: NatTable, header: IpHeader, offset: number, shared: boolean, now: number): Verdict {
    const counters = this.#counters;
    const key = sessionKey(header);
    if (key === 0) return this.#forward(counters.outForwarded);
    if (nat.expired > 0) {
      const stale = nat.findOutside(key, header.srcPort, header.addresses, 4);
      if (stale >= 0 && nat.isExpired(stale)) nat.forget(stale);
    }
    if (!shared) return this.#forward(counters.outForwarded);
    let record = nat.findInside(key, header.srcPort, header.addresses, 4);
    if (record < 0) record = this.#open(nat, key, header, header.addresses, 4, now);
    if (record < 0) return this.#drop(counters.outNatExhausted);
    nat.noteOut(record, header.tcpFlags, now);
    if (!nat.isIdentity(record)) this.#rewriteOutbound(nat, record, header, offset);
    return this.#forward(counters.outForwarded);
  }

  #open(
    nat: NatTable,
    key: number,
    header: IpHeader,
    real: Uint32Array,
    realAt: number,
    now: number,
  ): number {
    if (this.nextSweep === Infinity) this.nextSweep = nextTick(now);
    return nat.create(key, header.srcPort, header.addresses, 4, real, realAt, now);
  }

  #rewriteOutbound(nat: NatTable, record: number, header: IpHeader, offset: number): void {
    rewriteOutbound(this.#slab, header, offset, nat.outsidePort(record), nat.words, nat.outsideAt(record));
  }

  /** From a DNS resource. The filter sees the proxy address and the server's real port. */
  #translateInbound(
    peer: Peer,
    nat: NatTable,
    record: number,
    header: IpHeader,
    offset: number,
    now: number,
  ): Peer | undefined {
    const counters = this.#counters;
    if (nat.isExpired(record)) return this.#discard(counters.inExpiredSession);
    if (!this.#mayEnter(peer, header, nat.words, nat.insideAt(record))) return undefined;
    nat.noteIn(record, header.tcpFlags, now);
    if (!nat.isIdentity(record)) {
      rewriteInbound(this.#slab, header, offset, nat.insidePort(record), nat.words, nat.insideAt(record));
    }
    return this.#deliver(peer, counters.inForwarded);
  }

  /** The resource check on the source as the client will see it; a refusal is counted. */
  #mayEnter(peer: Peer, header: IpHeader, address: Uint32Array, at: number): boolean {
    const protocol = protocolClass(header.kind);
    const port = protocol === CLASS_TCP || protocol === CLASS_UDP ? header.srcPort : 0;
    const isV4 = header.version === 4;
    const proxy = isV4
      ? isProxy4(address[at]!)
      : isProxy6(address[at]!, address[at + 1]!, address[at + 2]!, address[at + 3]!);
    const finding = this.#access.check(peer, isV4, proxy, protocol, port, address, at);
    if ((finding & FINDING_MASK) !== ALLOWED) {
      this.#counts[this.#counters.inRefused[finding & FINDING_MASK]!]! += 1;
      return false;
    }
    this.#matchedPeer = peer;
    this.#matchedFinding = finding;
    return true;
  }

  #findQuoted(nat: NatTable, isV4: boolean): number {
    const quote = this.#quote;
    const kind = quote.kind === KIND_TCP ? NAT_TCP : quote.kind === KIND_UDP ? NAT_UDP : NAT_ICMP;
    return nat.findOutside(isV4 ? kind : kind | NAT_V6, quote.srcPort, quote.dst, 0);
  }

  #isControl(header: IpHeader, offset: number): boolean {
    return (header.dst0 | header.dst1 | header.dst2 | header.dst3) === 0 &&
      (header.src0 | header.src1 | header.src2 | header.src3) === 0 &&
      this.#slab.bytes[offset + 6] === CONTROL_PROTOCOL && header.totalLength >= CONTROL_HEADER_SIZE;
  }

  #forward(counter: number): Verdict {
    this.#counts[counter]! += 1;
    return VERDICT_FORWARD;
  }

  #drop(counter: number): Verdict {
    this.#counts[counter]! += 1;
    return VERDICT_DROP;
  }

  #deliver(peer: Peer, counter: number): Peer {
    this.#counts[counter]! += 1;
    return peer;
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
}

function nextTick(now: number): number {
  return (Math.floor(now / SWEEP_INTERVAL) + 1) * SWEEP_INTERVAL;
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

/** What NAT files the packet under; 0: it can't be translated. */
function sessionKey(header: IpHeader): number {
  const family = header.version === 4 ? 0 : NAT_V6;
  switch (header.kind) {
    case KIND_TCP:
      return NAT_TCP | family;
    case KIND_UDP:
      return NAT_UDP | family;
    case KIND_ECHO_REQUEST:
    case KIND_ECHO_REPLY:
      return NAT_ICMP | family;
    default:
      return 0;
  }
}

function isWords(words: Words, a: number, b: number, c: number, d: number): boolean {
  return words[3] === d && words[2] === c && words[1] === b && words[0] === a;
}
