/**
 * Which of the kernel's own messages about links, addresses and routes (rtnetlink(7)) mean that packets may leave
 * this host another way than before. Pure; `monitor.ts` reads the messages.
 *
 * Of links only their state counts, of addresses also their flags (an IPv6 address is of use from the end of its
 * duplicate detection on), of routes that there is one more or one less. Left out is what repeats itself without
 * news (Wi-Fi scans, router advertisements, renewed leases), what the kernel derives from addresses (its table
 * "local", link-local and multicast routes, cached routes), and what we cause ourselves: our tunnel's link and table.
 */
import { AF_INET6, AF_UNSPEC } from "../libc.ts";
import { IFADDRMSG, IFINFOMSG, RTMSG } from "../structs.ts";
import { decodeAttributes, readNumber } from "./message.ts";
import type { ReceivedMessage } from "./message.ts";
import {
  RTM_DELADDR,
  RTM_DELLINK,
  RTM_DELROUTE,
  RTM_NEWADDR,
  RTM_NEWLINK,
  RTM_NEWROUTE,
} from "./route_messages.ts";

/** Administratively up; a loopback; the driver sees a carrier. */
const IFF_UP = 0x1, IFF_LOOPBACK = 0x8, IFF_RUNNING = 0x40, IFF_LOWER_UP = 0x10000;
const LINK_STATE = IFF_UP | IFF_RUNNING | IFF_LOWER_UP;
/** Not usable yet, no longer preferred, never usable. */
const IFA_F_OPTIMISTIC = 0x04, IFA_F_DADFAILED = 0x08, IFA_F_DEPRECATED = 0x20, IFA_F_TENTATIVE = 0x40;
const ADDRESS_STATE = IFA_F_OPTIMISTIC | IFA_F_DADFAILED | IFA_F_DEPRECATED | IFA_F_TENTATIVE;
const IFA_ADDRESS = 1, IFA_LOCAL = 2;
const RTA_DST = 1, RTA_OIF = 4, RTA_TABLE = 15;
const RT_TABLE_LOCAL = 255, RTM_F_CLONED = 0x200;
const RTN_LOCAL = 2, RTN_BROADCAST = 3, RTN_ANYCAST = 4, RTN_MULTICAST = 5;
const DERIVED_ROUTES = [RTN_LOCAL, RTN_BROADCAST, RTN_ANYCAST, RTN_MULTICAST];
/** Links and addresses that are remembered; a host with more gets a false alarm now and then. */
const MAX_REMEMBERED = 4096;

/** What is ours, and so no news. */
export interface OwnNetwork {
  /** Index of our TUN device; undefined: none. */
  readonly link: number | undefined;
  /** Our routing table. */
  readonly table: number;
}

export class NetworkChanges {
  readonly #own: OwnNetwork;
  /** State of each link, by index. */
  readonly #links = new Map<number, number>();
  /** Prefix length and flags of each address, by link and address. */
  readonly #addresses = new Map<string, number>();

  constructor(own: OwnNetwork) {
    this.#own = own;
  }

  /** True when this message is news. Anything malformed or of another kind is none. */
  isNews({ type, body }: ReceivedMessage): boolean {
    switch (type) {
      case RTM_NEWLINK:
      case RTM_DELLINK:
        return body.length >= IFINFOMSG.size && this.#isLinkNews(type === RTM_NEWLINK, body);
      case RTM_NEWADDR:
      case RTM_DELADDR:
        return body.length >= IFADDRMSG.size && this.#isAddressNews(type === RTM_NEWADDR, body);
      case RTM_NEWROUTE:
      case RTM_DELROUTE:
        return body.length >= RTMSG.size && this.#isRouteNews(body);
      default:
        return false;
    }
  }

  /** Messages were lost: what is remembered may be wrong. */
  forget(): void {
    this.#links.clear();
    this.#addresses.clear();
  }

  /** A link that was never seen before may have changed just now. Bridges repeat their ports' in a family of their own. */
  #isLinkNews(isThere: boolean, body: Uint8Array): boolean {
    const view = viewOf(body);
    const index = view.getInt32(IFINFOMSG.index, true), flags = view.getUint32(IFINFOMSG.flags, true);
    if (body[IFINFOMSG.family] !== AF_UNSPEC || index === this.#own.link) return false;
    if ((flags & IFF_LOOPBACK) !== 0) return false;
    return remember(this.#links, index, isThere ? flags & LINK_STATE : undefined);
  }

  #isAddressNews(isThere: boolean, body: Uint8Array): boolean {
    const link = viewOf(body).getUint32(IFADDRMSG.index, true);
    if (link === this.#own.link) return false;
    const attributes = decodeAttributes(body, IFADDRMSG.size);
    const address = attributes.get(IFA_LOCAL) ?? attributes.get(IFA_ADDRESS);
    if (!address || isLinkLocal6(body[IFADDRMSG.family]!, address)) return false;
    const state = (body[IFADDRMSG.prefixLength]! << 8) | (body[IFADDRMSG.flags]! & ADDRESS_STATE);
    return remember(this.#addresses, `${link} ${address.toHex()}`, isThere ? state : undefined);
  }

  #isRouteNews(body: Uint8Array): boolean {
    if (DERIVED_ROUTES.includes(body[RTMSG.type]!)) return false;
    if ((viewOf(body).getUint32(RTMSG.flags, true) & RTM_F_CLONED) !== 0) return false;
    const attributes = decodeAttributes(body, RTMSG.size);
    const table = readNumber(attributes.get(RTA_TABLE)) ?? body[RTMSG.table]!;
    if (table === RT_TABLE_LOCAL || table === this.#own.table) return false;
    const link = readNumber(attributes.get(RTA_OIF));
    if (link !== undefined && link === this.#own.link) return false;
    const destination = attributes.get(RTA_DST);
    return !destination || !isLinkLocal6(body[RTMSG.family]!, destination);
  }
}

/** Stores what is the case now (undefined: nothing); true unless it was known. */
function remember<K>(known: Map<K, number>, key: K, value: number | undefined): boolean {
  if (value === undefined) {
    known.delete(key);
    return true;
  }
  if (known.get(key) === value) return false;
  if (known.size >= MAX_REMEMBERED) known.clear();
  known.set(key, value);
  return true;
}

/** fe80::/10: of no use beyond its link. */
function isLinkLocal6(family: number, address: Uint8Array): boolean {
  return family === AF_INET6 && address.length === 16 && address[0] === 0xfe && (address[1]! & 0xc0) === 0x80;
}

function viewOf(body: Uint8Array): DataView {
  return new DataView(body.buffer, body.byteOffset, body.byteLength);
}
