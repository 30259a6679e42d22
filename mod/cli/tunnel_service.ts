/** A gateway or client as a service: its readiness and metrics for the health endpoint. */
import type { Counters } from "../packet/counters.ts";
import type { Runtime, RuntimeStatus } from "../runtime/mod.ts";
import { counterMetrics, type Metric } from "./metrics.ts";
import type { Service } from "./session.ts";

const STATUS_TIMEOUT_MS = 1000;

export function tunnelService(runtime: Runtime): Service {
  return {
    done: runtime.done,
    stop: () => runtime.stop(),
    readiness: () => runtime.readiness(),
    async metrics() {
      const { counters, nameCounters } = runtime;
      // First, since it brings some counters up to date.
      const status = await statusOf(runtime);
      return [
        ...counterMetrics(valuesOf(runtime.counterNames(), counters)),
        ...(nameCounters ? counterMetrics(valuesOf(nameCounters.names, nameCounters)) : []),
        {
          name: "ready",
          kind: "gauge",
          help: "1 when clients can be served.",
          value: Number(runtime.readiness().ready),
        },
        ...statusMetrics(status),
      ];
    },
  };
}

function valuesOf(names: readonly string[], { values }: Counters): Map<string, number> {
  return new Map(names.map((name, index) => [name, values[index]!]));
}

/** The data thread answers within a round of its loop; one that has ended never does. */
async function statusOf(runtime: Runtime): Promise<RuntimeStatus | undefined> {
  const { promise, resolve } = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => resolve(undefined), STATUS_TIMEOUT_MS);
  const status = await Promise.race([runtime.status(), promise]);
  clearTimeout(timer);
  return status;
}

function statusMetrics(status: RuntimeStatus | undefined): Metric[] {
  if (!status) return [];
  const gauge = (name: string, help: string, value: number, labels: Record<string, string>): Metric => ({
    name,
    kind: "gauge",
    help,
    value,
    labels,
  });
  const count = (path: string) => status.connections.filter((connection) => connection.path === path).length;
  const bytes = (field: "sentBytes" | "receivedBytes") =>
    status.connections.reduce((sum, connection) => sum + connection[field], 0);
  return [
    ...["direct", "relayed", "none"].map((path) =>
      gauge("connections", "Connections by the path that their packets take.", count(path), { path })
    ),
    gauge(
      "connections_idle",
      "Of these: without a packet for 20 s.",
      status.connections.filter((connection) => connection.state === "idle").length,
      {},
    ),
    gauge("connection_bytes", "Bytes of the present connections.", bytes("sentBytes"), { direction: "sent" }),
    gauge("connection_bytes", "", bytes("receivedBytes"), { direction: "received" }),
    gauge("relays", "Relays by whether we hold an allocation.", status.relays.filter((r) => r.ready).length, {
      ready: "true",
    }),
    gauge("relays", "", status.relays.filter((r) => !r.ready).length, { ready: "false" }),
    gauge("cipher_info", "The cipher back end in use.", 1, { name: status.aead }),
  ];
}
