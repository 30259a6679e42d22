/**
 * The resource check (spec policy §1.6 [H]): may this peer exchange packets of this protocol and port with this
 * address? It is the same question in both directions; outbound asks about the destination and the destination
 * port, inbound about the source and the source port.
 *
 * Any covering resource that permits is enough. When none does, the reason is that of the resource a person would
 * blame: the one with the longest prefix, and of those the one with the larger id.
 *
 * Beyond proxy addresses the Internet resource permits everything except private and special addresses; those are
 * left to the CIDR resources that the client holds as well.
 */
import { CLASS_ICMP, CLASS_TCP, CLASS_UDP } from "./filter.ts";
import type { NetworkTable } from "./network_table.ts";
import type { Grant, Peer } from "./peer.ts";
import { isInternetBlocked4, isInternetBlocked6 } from "./ranges.ts";
import { VerdictCache } from "./verdict_cache.ts";

/** Low byte of a finding. The grant that decided is `peer.list[finding >>> 8]` (allowed findings only). */
export const ALLOWED = 1,
  NO_RESOURCE = 2,
  INTERNET_BLOCKED = 3,
  TCP_PORT = 4,
  UDP_PORT = 5,
  ICMP_REFUSED = 6,
  PROTOCOL_REFUSED = 7;

export class AccessCheck {
  readonly #cache: VerdictCache;

  constructor(cacheEntries: number, seed: number) {
    this.#cache = new VerdictCache(cacheEntries, seed);
  }

  /**
   * @param proxy the address lies in the proxy range.
   * @param protocol a CLASS_ of `filter.ts`; `port` is 0 unless it is TCP or UDP.
   */
  check4(peer: Peer, proxy: boolean, protocol: number, port: number, a: number): number {
    const flow = 0x40000 | protocol << 16 | port;
    const known = this.#cache.find(peer.version, flow, a, 0, 0, 0);
    if (known !== 0) return known;
    const blocked = proxy || isInternetBlocked4(a);
    const finding = peer.internet && !blocked
      ? allowedBy(peer, peer.internet)
      : decide(peer, peer.table4, peer.table4.find4(a), proxy, protocol, port);
    this.#cache.store(peer.version, flow, a, 0, 0, 0, finding);
    return finding;
  }

  check6(
    peer: Peer,
    proxy: boolean,
    protocol: number,
    port: number,
    a: number,
    b: number,
    c: number,
    d: number,
  ): number {
    const flow = 0x60000 | protocol << 16 | port;
    const known = this.#cache.find(peer.version, flow, a, b, c, d);
    if (known !== 0) return known;
    const blocked = proxy || isInternetBlocked6(a, b, c, d);
    const finding = peer.internet && !blocked
      ? allowedBy(peer, peer.internet)
      : decide(peer, peer.table6, peer.table6.find6(a, b, c, d), proxy, protocol, port);
    this.#cache.store(peer.version, flow, a, b, c, d, finding);
    return finding;
  }
}

function decide(
  peer: Peer,
  table: NetworkTable<Grant>,
  narrowest: number,
  proxy: boolean,
  protocol: number,
  port: number,
): number {
  for (let node = narrowest; node >= 0; node = table.parents[node]!) {
    const grants = table.values[node]!;
    for (let i = 0; i < grants.length; i++) {
      if (grants[i]!.filters.permits(protocol, port)) return allowedBy(peer, grants[i]!);
    }
  }
  if (narrowest < 0) return peer.internet && !proxy ? INTERNET_BLOCKED : NO_RESOURCE;
  switch (protocol) {
    case CLASS_TCP:
      return TCP_PORT;
    case CLASS_UDP:
      return UDP_PORT;
    case CLASS_ICMP:
      return ICMP_REFUSED;
    default:
      return PROTOCOL_REFUSED;
  }
}

function allowedBy(peer: Peer, grant: Grant): number {
  return ALLOWED | peer.list.indexOf(grant) << 8;
}
