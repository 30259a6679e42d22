/**
 * HTTP for supervisors and Prometheus: `/healthz` says that the process lives, `/readyz` whether the gateway can
 * serve clients right now and if not why, `/metrics` what it counted.
 */
import { Hono } from "hono";
import { formatMetrics, type Metric } from "./metrics.ts";

export interface HealthSource {
  /** What keeps the gateway from serving clients; empty when nothing does. */
  obstacles(): readonly string[];
  metrics(): readonly Metric[];
}

export function healthApplication(source: HealthSource, version: string): Hono {
  const application = new Hono();
  application.get("/healthz", (context) => context.body(null, 200));
  application.get("/readyz", (context) => {
    const obstacles = source.obstacles();
    return obstacles.length === 0 ? context.text(version) : context.text(`${obstacles.join("\n")}\n`, 503);
  });
  application.get("/metrics", (context) =>
    context.body(formatMetrics(source.metrics()), 200, {
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
