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
import { isInternetBlocked4, isInternetBlocked6, rangeKey4, rangeKey6 } from "./ranges.ts";
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
/** Added to a finding: the address may also be behind a proxy address (see `translations.ts`). */
export const SHARED = 16;

export class AccessCheck {
  readonly #cache: VerdictCache;

  constructor(cacheEntries: number, seed: number) {
    this.#cache = new VerdictCache(cacheEntries, seed);
  }

  /**
   * About the address in four words of `address` from `at` (IPv4 in the first, the rest 0).
   *
   * @param proxy the address lies in the proxy range.
   * @param protocol a CLASS_ of `filter.ts`; `port` is 0 unless it is TCP or UDP.
   */
  check(
    peer: Peer,
    isV4: boolean,
    proxy: boolean,
    protocol: number,
    port: number,
    address: Uint32Array,
    at: number,
  ): number {
    const flow = (isV4 ? 0 : 0x40000) | protocol << 16 | port; // classes take two bits
    const known = this.#cache.find(peer.version, flow, address, at);
    if (known !== 0) return known;
    const finding = look(peer, isV4, proxy, protocol, port, address, at);
    this.#cache.store(peer.version, flow, address, at, finding);
    return finding;
  }
}

const NOBODY: readonly Grant[] = [];

/** What the tables say; only the first packet of a flow comes here. */
function look(
  peer: Peer,
  isV4: boolean,
  proxy: boolean,
  protocol: number,
  port: number,
  address: Uint32Array,
  at: number,
): number {
  const a = address[at]!, b = address[at + 1]!, c = address[at + 2]!, d = address[at + 3]!;
  const table = isV4 ? peer.table4 : peer.table6;
  const node = isV4 ? table.find4(a) : table.find6(a, b, c, d);
  if (proxy) {
    const owners = peer.translations.find(isV4 ? rangeKey4(a) : rangeKey6(d))?.owners ?? NOBODY;
    return decide(peer, owners, table, node, NO_RESOURCE, protocol, port);
  }
  const shared = peer.translations.isShared(a, b, c, d) ? SHARED : 0;
  const { internet } = peer;
  if (!internet) return decide(peer, NOBODY, table, node, NO_RESOURCE, protocol, port) | shared;
  const blocked = isV4 ? isInternetBlocked4(a) : isInternetBlocked6(a, b, c, d);
  if (!blocked) return allowedBy(peer, internet) | shared;
  return decide(peer, NOBODY, table, node, INTERNET_BLOCKED, protocol, port) | shared;
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
