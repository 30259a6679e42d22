/**
 * The resource check (spec policy §1.6 [H]): may this peer exchange packets of this protocol and port with this
 * address? It is the same question in both directions; outbound asks about the destination and the destination
 * port, inbound about the source and the source port.
 *
 * Any covering resource that permits is enough. When none does, the reason is that of the resource a person would
 * blame: the one with the longest prefix, and of those the one with the larger id.
 *
 * At a proxy address these are the DNS resources that own it, before any CIDR resource around it.
 *
 * Beyond proxy addresses the Internet resource permits everything except private and special addresses; those are
 * left to the CIDR resources that the client holds as well.
 */
import { CLASS_ICMP, CLASS_TCP, CLASS_UDP } from "./filter.ts";
import type { NetworkTable } from "./network_table.ts";
import type { Grant, Peer } from "./peer.ts";
import { isInternetBlocked4, isInternetBlocked6 } from "./ranges.ts";
import { VerdictCache } from "./verdict_cache.ts";

/** Low four bits of a finding. The grant that decided is `peer.list[finding >>> 8]` (allowed findings only). */
export const FINDING_MASK = 15,
  ALLOWED = 1,
  NO_RESOURCE = 2,
  INTERNET_BLOCKED = 3,
  TCP_PORT = 4,
  UDP_PORT = 5,
  ICMP_REFUSED = 6,
  PROTOCOL_REFUSED = 7;
/** Added to an allowed finding: the address may also be behind a proxy address (see `translations.ts`). */
export const SHARED = 16;

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
    let finding: number;
    if (proxy) {
      const owners = peer.translations.find4(a)?.owners ?? NOBODY;
      finding = decide(peer, owners, peer.table4, peer.table4.find4(a), NO_RESOURCE, protocol, port);
    } else {
      finding = peer.internet && !isInternetBlocked4(a)
        ? allowedBy(peer, peer.internet)
        : decide(peer, NOBODY, peer.table4, peer.table4.find4(a), beyond(peer), protocol, port);
      if (peer.translations.isShared(a, 0, 0, 0)) finding |= SHARED;
    }
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
    let finding: number;
    if (proxy) {
      const owners = peer.translations.find6(d)?.owners ?? NOBODY;
      finding = decide(peer, owners, peer.table6, peer.table6.find6(a, b, c, d), NO_RESOURCE, protocol, port);
    } else {
      finding = peer.internet && !isInternetBlocked6(a, b, c, d)
        ? allowedBy(peer, peer.internet)
        : decide(peer, NOBODY, peer.table6, peer.table6.find6(a, b, c, d), beyond(peer), protocol, port);
      if (peer.translations.isShared(a, b, c, d)) finding |= SHARED;
    }
    this.#cache.store(peer.version, flow, a, b, c, d, finding);
    return finding;
  }
}

const NOBODY: readonly Grant[] = [];

/** The finding for an address that no network covers. */
function beyond(peer: Peer): number {
  return peer.internet ? INTERNET_BLOCKED : NO_RESOURCE;
}

function decide(
  peer: Peer,
  owners: readonly Grant[],
  table: NetworkTable<Grant>,
  narrowest: number,
  uncovered: number,
  protocol: number,
  port: number,
): number {
  for (let i = 0; i < owners.length; i++) {
    if (owners[i]!.filters.permits(protocol, port)) return allowedBy(peer, owners[i]!);
  }
  for (let node = narrowest; node >= 0; node = table.parents[node]!) {
    const grants = table.values[node]!;
    for (let i = 0; i < grants.length; i++) {
      if (grants[i]!.filters.permits(protocol, port)) return allowedBy(peer, grants[i]!);
    }
  }
  if (narrowest < 0 && owners.length === 0) return uncovered;
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
