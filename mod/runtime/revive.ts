/**
 * Portal events that crossed from the control thread: a structured clone keeps an address's fields but not its
 * methods, so the addresses in them are made again.
 */
import { SocketAddress } from "../packet/mod.ts";
import type { ClientEvent, ClientInterface, GatewayEvent, Relay, RelaysPresence } from "../portal/types.ts";

export function reviveGatewayEvent(event: GatewayEvent): GatewayEvent {
  if (event.type === "init") {
    return { ...event, init: { ...event.init, relays: event.init.relays.map(reviveRelay) } };
  }
  return event.type === "relays_presence" ? { ...event, presence: revivePresence(event.presence) } : event;
}

export function reviveClientEvent(event: ClientEvent): ClientEvent {
  switch (event.type) {
    case "init": {
      const { relays, interface: own } = event.init;
      return {
        ...event,
        init: { ...event.init, relays: relays.map(reviveRelay), interface: reviveInterface(own) },
      };
    }
    case "config_changed":
      return { ...event, interface: reviveInterface(event.interface) };
    case "relays_presence":
      return { ...event, presence: revivePresence(event.presence) };
    default:
      return event;
  }
}

function revivePresence(presence: RelaysPresence): RelaysPresence {
  return { ...presence, connected: presence.connected.map(reviveRelay) };
}

function reviveRelay(relay: Relay): Relay {
  return {
    ...relay,
    ...(relay.v4 && { v4: revive(relay.v4) }),
    ...(relay.v6 && { v6: revive(relay.v6) }),
  };
}

function reviveInterface(own: ClientInterface): ClientInterface {
  return { ...own, upstreamDns: own.upstreamDns.map(revive) };
}

function revive({ bytes, port }: SocketAddress): SocketAddress {
  return SocketAddress.fromBytes(bytes, port);
}
