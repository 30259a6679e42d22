/**
 * HTTP for supervisors and Prometheus: `/healthz` says that the process lives, `/readyz` whether the gateway can
 * serve clients right now and if not why, `/metrics` what it counted.
 */
import { Hono } from "hono";
import { formatMetrics, type Metric } from "./metrics.ts";

export interface HealthSource {
  /** Whether clients can be served right now, and one sentence on why or why not. */
  readiness(): { readonly ready: boolean; readonly reason: string };
  metrics(): Promise<readonly Metric[]>;
}

export function healthApplication(source: HealthSource, version: string): Hono {
  const application = new Hono();
  application.get("/healthz", (context) => context.body(null, 200));
  application.get("/readyz", (context) => {
    const { ready, reason } = source.readiness();
    return ready ? context.text(version) : context.text(`${reason}\n`, 503);
  });
  application.get("/metrics", async (context) =>
    context.body(formatMetrics(await source.metrics()), 200, {
      "content-type": "text/plain; version=0.0.4; charset=utf-8",
    }));
  return application;
}

export interface HealthServer {
  readonly port: number;
  close(): Promise<void>;
}

/** @throws Deno.errors.AddrInUse and its kin: the caller decides that this is not fatal. */
export function serveHealth(
  source: HealthSource,
  version: string,
  address: { readonly ip: string; readonly port: number },
): HealthServer {
  const server = Deno.serve(
    { hostname: address.ip, port: address.port, onListen: () => {} },
    healthApplication(source, version).fetch,
  );
  return { port: server.addr.port, close: () => server.shutdown() };
}
