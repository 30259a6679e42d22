/**
 * The relay in the gateway's own process, reached without leaving the host. Its public address may belong to the
 * router in front, and few routers let a host inside use it (RFC 4787 §6 asks for that "hairpinning"): the gateway
 * would be without a relay, the only one that it has. So it goes to the address of this host that lies on the way.
 */
import { RouteSocket } from "../../ffi/netlink/mod.ts";
import type { RelayPolicy } from "../embedded/portal/mod.ts";
import { SocketAddress } from "../packet/address.ts";
import type { Relay } from "../portal/types.ts";

/** What the portal says of a relay, with the near addresses of `own` in place of its public ones. */
export type RelayPlaces = (relay: Relay) => Relay;

export function ownRelayPlaces(own: Pick<RelayPolicy, "v4" | "v6">): RelayPlaces {
  return (relay) => ({
    ...relay,
    ...(relay.v4 && own.v4?.equals(relay.v4) && { v4: near(relay.v4) }),
    ...(relay.v6 && own.v6?.equals(relay.v6) && { v6: near(relay.v6) }),
  });
}

/** Looked up each time: the host may have moved to another network. */
function near(address: SocketAddress): SocketAddress {
  using routes = new RouteSocket();
  const source = routes.sourceTowards(address.bytes);
  return source ? SocketAddress.fromBytes(source, address.port) : address;
}
