/** The embedded relay as a service. */
import { getLogger } from "@logtape/logtape";
import { type Relay, type RelayOptions, startRelay } from "../embedded/relay/mod.ts";
import type { RelayPolicy } from "../embedded/portal/mod.ts";
import { SocketAddress } from "../packet/address.ts";
import { counterMetrics } from "./metrics.ts";
import { RelayLink, type RelayLinkOptions } from "./relay_link.ts";
import type { Service } from "./session.ts";

const log = getLogger(["postern", "relay"]);

export interface RelayService extends Service {
  /** What the portal needs to know to hand this relay out. */
  readonly policy: RelayPolicy;
}

/** @param portal The portal that hands this relay out; none: somebody else tells devices about it. */
export async function relayService(options: RelayOptions, portal?: RelayLinkOptions): Promise<RelayService> {
  const relay = await startRelay(options);
  let isAlive = true;
  relay.done.then(() => isAlive = false);
  const { v4, v6 } = relay.addresses;
  const [socket4, socket6] = [v4 && SocketAddress.of(v4, relay.port), v6 && SocketAddress.of(v6, relay.port)];
  log.info("Relay is listening", { addresses: [socket4, socket6].filter(Boolean).join(" ") });
  const link = portal && await openLink(portal, relay);
  return {
    policy: {
      stampSecret: relay.stampSecret,
      ...(socket4 ? { v4: socket4 } : {}),
      ...(socket6 ? { v6: socket6 } : {}),
    },
    done: link ? Promise.race([relay.done, link.failed]) : relay.done,
    readiness() {
      if (!isAlive) return { ready: false, reason: "The relay has ended." };
      return link?.readiness() ?? { ready: true, reason: "The relay is listening." };
    },
    metrics: () => Promise.resolve([...relayMetrics(relay.stats()), ...link?.metrics() ?? []]),
    async stop() {
      await link?.close();
      await relay.stop();
    },
  };
}

/** A link that cannot be opened at all takes the relay with it. */
async function openLink(portal: RelayLinkOptions, relay: Relay): Promise<RelayLink> {
  const { port, stampSecret, addresses } = relay;
  try {
    return new RelayLink(portal, { ...addresses, port, stampSecret });
  } catch (error) {
    await relay.stop();
    throw error;
  }
}

/** Current numbers among the counters. */
const GAUGES: readonly string[] = ["relay_allocations", "relay_channels"];

function relayMetrics(stats: Readonly<Record<string, number>>) {
  const counters = Object.entries(stats).filter(([name]) => !GAUGES.includes(name));
  const gauges = GAUGES.map((name) => ({
    name,
    kind: "gauge" as const,
    help: `Relay: ${name.replace("relay_", "")} right now.`,
    value: stats[name] ?? 0,
  }));
  return [...counterMetrics(new Map(counters)), ...gauges];
}
