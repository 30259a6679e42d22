/**
 * The host's links, addresses, routes and rules over rtnetlink: what `ip` does, without spawning it.
 *
 * Set-up must survive a predecessor that left things behind and a host without IPv6, and tear-down things that are
 * gone already (spec policy §6.2): such answers are results ({@link Outcome}), other refusals are SystemErrors.
 */
import {
  EACCES,
  EADDRNOTAVAIL,
  EAFNOSUPPORT,
  EEXIST,
  ENODEV,
  ENOENT,
  EOPNOTSUPP,
  EPERM,
  ESRCH,
  SystemError,
} from "../errno.ts";
import { NLM_F_CREATE, NLM_F_EXCL } from "./message.ts";
import {
  decodeAddress,
  decodeLink,
  decodeRoute,
  decodeRouteSource,
  decodeRule,
  encodeAddress,
  encodeGetAddresses,
  encodeGetLink,
  encodeGetRoutes,
  encodeGetRouteTo,
  encodeGetRules,
  encodeLinkChange,
  encodeRoute,
  encodeRule,
  formatPrefix,
  type Link,
  type LinkChange,
  type Prefix,
  type Route,
  RTM_DELADDR,
  RTM_DELROUTE,
  RTM_DELRULE,
  RTM_GETADDR,
  RTM_GETLINK,
  RTM_GETROUTE,
  RTM_GETRULE,
  RTM_NEWADDR,
  RTM_NEWLINK,
  RTM_NEWROUTE,
  RTM_NEWRULE,
  type UnmarkedRule,
} from "./route_messages.ts";
import { NETLINK_ROUTE, NetlinkError, NetlinkSocket } from "./socket.ts";
import type { IpFamily } from "../../mod/packet/address.ts";

/** `done`, `already` so (exists on adding, is gone on deleting), or the host lacks that family: `unsupported`. */
export type Outcome = "done" | "already" | "unsupported";

/** EACCES: IPv6 is there but switched off by sysctl (`disable_ipv6`); missing rights are EPERM. */
const UNSUPPORTED = [EOPNOTSUPP, EAFNOSUPPORT, EACCES];
const GONE = [ENOENT, ESRCH, EADDRNOTAVAIL, ENODEV];

export class RouteSocket {
  readonly #socket = new NetlinkSocket(NETLINK_ROUTE);

  /** Undefined when there is no interface with that name. */
  link(name: string): Link | undefined {
    try {
      const [answer] = this.#socket.request(RTM_GETLINK, 0, encodeGetLink(name));
      return answer && decodeLink(answer.body);
    } catch (error) {
      if (error instanceof NetlinkError && error.errno === ENODEV) return undefined;
      throw explain(error, `look up the interface ${name}`, "RTM_GETLINK");
    }
  }

  /** Changes what `change` names. Several settings in one call are applied together or not at all, more or less. */
  changeLink(index: number, change: LinkChange): void {
    this.#try(
      `set ${Object.keys(change).join(", ")} of interface ${index}`,
      "RTM_NEWLINK",
      [],
      () => this.#socket.request(RTM_NEWLINK, 0, encodeLinkChange(index, change)),
    );
  }

  addresses(index: number): Prefix[] {
    return this.#list(RTM_GETADDR, encodeGetAddresses(), "the addresses", decodeAddress)
      .filter(({ link }) => link === index).map(({ prefix }) => prefix);
  }

  addAddress(index: number, prefix: Prefix): Outcome {
    return this.#try(
      `add the address ${formatPrefix(prefix)}`,
      "RTM_NEWADDR",
      [EEXIST],
      () => this.#socket.request(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, encodeAddress(index, prefix)),
    );
  }

  deleteAddress(index: number, prefix: Prefix): Outcome {
    return this.#try(
      `delete the address ${formatPrefix(prefix)}`,
      "RTM_DELADDR",
      GONE,
      () => this.#socket.request(RTM_DELADDR, 0, encodeAddress(index, prefix)),
    );
  }

  /** Routes through interfaces, in every table. */
  routes(family: IpFamily): Route[] {
    return this.#list(RTM_GETROUTE, encodeGetRoutes(family), "the routes", decodeRoute);
  }

  /** This host's address from which it would send to `destination`; undefined when it wouldn't know how. */
  sourceTowards(destination: Uint8Array): Uint8Array | undefined {
    try {
      const [answer] = this.#socket.request(RTM_GETROUTE, 0, encodeGetRouteTo(destination));
      return answer && decodeRouteSource(answer.body);
    } catch (error) {
      if (error instanceof NetlinkError) return undefined;
      throw error;
    }
  }

  addRoute(route: Route): Outcome {
    return this.#try(
      `add the route ${formatPrefix(route.destination)}`,
      "RTM_NEWROUTE",
      [EEXIST],
      () => this.#socket.request(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, encodeRoute(route)),
    );
  }

  deleteRoute(route: Route): Outcome {
    return this.#try(
      `delete the route ${formatPrefix(route.destination)}`,
      "RTM_DELROUTE",
      GONE,
      () => this.#socket.request(RTM_DELROUTE, 0, encodeRoute(route)),
    );
  }

  /** Rules of that form; others are left out. */
  rules(family: IpFamily): UnmarkedRule[] {
    return this.#list(RTM_GETRULE, encodeGetRules(family), "the routing rules", decodeRule);
  }

  /** The kernel chooses the priority, and so would take the same rule twice: looks first. */
  addRule(rule: UnmarkedRule): Outcome {
    const same = ({ mark, table }: UnmarkedRule) => mark === rule.mark && table === rule.table;
    if (this.rules(rule.family).some(same)) return "already";
    return this.#try(
      `add the IPv${rule.family} routing rule`,
      "RTM_NEWRULE",
      [EEXIST],
      () => this.#socket.request(RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, encodeRule(rule)),
    );
  }

  deleteRule(rule: UnmarkedRule): Outcome {
    return this.#try(
      `delete the IPv${rule.family} routing rule`,
      "RTM_DELRULE",
      GONE,
      () => this.#socket.request(RTM_DELRULE, 0, encodeRule(rule)),
    );
  }

  close(): void {
    this.#socket.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #try(doing: string, call: string, already: readonly number[], request: () => unknown): Outcome {
    try {
      request();
      return "done";
    } catch (error) {
      if (error instanceof NetlinkError) {
        if (already.includes(error.errno)) return "already";
        if (UNSUPPORTED.includes(error.errno)) return "unsupported";
      }
      throw explain(error, doing, call);
    }
  }

  #list<T>(type: number, body: Uint8Array, what: string, decode: (body: Uint8Array) => T | undefined): T[] {
    try {
      return this.#socket.dump(type, body).map((message) => decode(message.body)).filter((item) =>
        item !== undefined
      );
    } catch (error) {
      if (error instanceof NetlinkError && UNSUPPORTED.includes(error.errno)) return [];
      throw explain(error, `list ${what} of this host`, "netlink");
    }
  }
}

function explain(error: unknown, doing: string, call: string): unknown {
  if (!(error instanceof NetlinkError)) return error;
  const advice = error.errno === EPERM
    ? "Run as root or with CAP_NET_ADMIN."
    : error.detail
    ? `The kernel says: ${error.detail}.`
    : "Check the host's network configuration.";
  return new SystemError(doing, call, error.errno, advice);
}
