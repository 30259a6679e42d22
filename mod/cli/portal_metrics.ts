/** What the embedded portal tells Prometheus. */
import type { PortalServer } from "../embedded/portal/mod.ts";
import { counterMetrics, type Metric } from "./metrics.ts";

export function portalMetrics(server: Pick<PortalServer, "online" | "load" | "suspended">): Metric[] {
  const { strangers, sockets, counters } = server.load;
  const roles = server.online().map(({ role }) => role);
  return [
    ...(["gateway", "client"] as const).map((role): Metric => ({
      name: "portal_devices",
      kind: "gauge",
      help: "Devices that are connected to the embedded portal.",
      value: roles.filter((one) => one === role).length,
      labels: { role },
    })),
    {
      name: "portal_suspended",
      kind: "gauge",
      help: "1 while the portal's state can't be written and no device is served.",
      value: server.suspended === undefined ? 0 : 1,
    },
    ...Object.entries({ stranger: strangers, device: sockets }).map(([kind, value]): Metric => ({
      name: "portal_connections",
      kind: "gauge",
      help: "Connections at the portal's port: WebSockets of devices, and all others.",
      value,
      labels: { kind },
    })),
    ...counterMetrics(counters),
  ];
}
