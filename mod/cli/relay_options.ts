/** The options that `relay` and `up` have in common for the relay. */
import type { RelayOptions } from "../embedded/relay/mod.ts";
import { UsageError } from "./errors.ts";
import type { OptionTable, OptionValues } from "./options.ts";
import { parseAddressOf, parseCidrs, parsePort, parsePortRange } from "./values.ts";

export const RELAY_OPTIONS = {
  publicIpv4: {
    flag: "public-ipv4",
    env: "PUBLIC_IP4_ADDR",
    kind: "text",
    value: "address",
    help: "IPv4 address that devices reach the relay at.",
  },
  publicIpv6: {
    flag: "public-ipv6",
    env: "PUBLIC_IP6_ADDR",
    kind: "text",
    value: "address",
    help: "IPv6 address that devices reach the relay at.",
  },
  bindIpv4: {
    flag: "bind-ipv4",
    env: "BIND_IP4_ADDR",
    kind: "text",
    value: "address",
    help: "Local IPv4 address of the relay's sockets; all of this host when absent.",
  },
  bindIpv6: {
    flag: "bind-ipv6",
    env: "BIND_IP6_ADDR",
    kind: "text",
    value: "address",
    help: "Local IPv6 address of the relay's sockets; all of this host when absent.",
  },
  relayPort: {
    flag: "relay-port",
    env: "POSTERN_RELAY_PORT",
    kind: "text",
    value: "port",
    default: "3478",
    help: "UDP port of the relay.",
  },
  relayPorts: {
    flag: "relay-ports",
    env: "POSTERN_RELAY_PORTS",
    kind: "text",
    value: "range",
    default: "49152-65535",
    help: "UDP ports for relayed connections; open or forward them like the relay's port.",
  },
  relayAllow: {
    flag: "relay-allow",
    env: "POSTERN_RELAY_ALLOW",
    kind: "text",
    value: "networks",
    help: "Private networks that the relay may send to all the same, separated by commas.",
  },
  relayBandwidth: {
    flag: "relay-bandwidth",
    env: "POSTERN_RELAY_BANDWIDTH",
    kind: "text",
    value: "Mbit/s",
    help: "The most that one device gets relayed, both ways together; without a limit when absent.",
  },
} as const satisfies OptionTable;

/** @param refused addresses that the relay must not send to, besides this host's own: those of the portal */
export function relayOptions(
  values: OptionValues<typeof RELAY_OPTIONS>,
  refused: readonly string[],
  stampSecret?: string,
): RelayOptions {
  const addresses = {
    v4: values.publicIpv4 && parseAddressOf(4, values.publicIpv4, "`--public-ipv4`"),
    v6: values.publicIpv6 && parseAddressOf(6, values.publicIpv6, "`--public-ipv6`"),
  };
  if (!addresses.v4 && !addresses.v6) {
    throw new UsageError(
      "Say where devices reach the relay: `--public-ipv4`, `--public-ipv6` or both. " +
        "Behind a NAT that is the router's address, with the relay's ports forwarded.",
    );
  }
  const bind = {
    v4: values.bindIpv4 && parseAddressOf(4, values.bindIpv4, "`--bind-ipv4`"),
    v6: values.bindIpv6 && parseAddressOf(6, values.bindIpv6, "`--bind-ipv6`"),
  };
  return {
    addresses,
    bind,
    port: parsePort(values.relayPort, "`--relay-port`"),
    portRange: parsePortRange(values.relayPorts, "`--relay-ports`"),
    allowedPeers: parseCidrs(values.relayAllow ?? "", "`--relay-allow`"),
    refusedPeers: [...refused, ...ownAddresses([addresses.v4, addresses.v6])],
    ...(values.relayBandwidth !== undefined &&
      { limits: { bytesPerSecond: bandwidth(values.relayBandwidth) } }),
    ...(stampSecret === undefined ? {} : { stampSecret }),
  };
}

/** Mbit/s in bytes per second. */
function bandwidth(text: string): number {
  const megabits = /^\d{1,6}(\.\d{1,3})?$/.test(text) ? Number(text) : 0;
  if (megabits > 0) return megabits * 125_000;
  throw new UsageError(
    `\`--relay-bandwidth\` is \`${text}\`, which is no number of Mbit/s. Write it like 100.`,
  );
}

/** What listens on this host's other addresses is not for whoever holds a relay credential. */
function ownAddresses(relays: readonly (string | undefined)[]): string[] {
  const addresses = Deno.networkInterfaces().map(({ address }) => address.replace(/%.*$/, ""));
  return [...new Set(addresses)].filter((address) => !relays.includes(address));
}
