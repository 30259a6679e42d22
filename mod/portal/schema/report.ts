/**
 * The gateway's report to a portal of our own kind: an addition to the protocol that other portals and gateways never
 * see. A portal asks for it in `init` with `postern: {"report_interval_secs": N}`; then the gateway pushes the event
 * `postern_report` every N seconds while it is joined, and nobody answers.
 */
import * as v from "valibot";
import {
  type GatewayReport,
  MAX_REPORTED_CLIENTS,
  MAX_REPORTED_EVENTS,
  MAX_REPORTED_RELAYS,
} from "../types.ts";
import { decode, type Decoded, type Reader } from "./issues.ts";
import { port, uuid } from "./primitives.ts";

export const REPORT_EVENT = "postern_report";
/** Reports are at least so far apart, whatever the portal asks for; seconds. */
export const MIN_REPORT_INTERVAL = 1;
const MAX_REPORT_INTERVAL = 86_400;

const request = v.object({ report_interval_secs: v.pipe(v.number(), v.finite(), v.minValue(0)) });

/** A request that can't be read is no request: a gateway's work doesn't depend on it. 0 asks for nothing. */
export function readReportInterval(reader: Reader, wire: unknown): { reportIntervalSecs?: number } {
  if (wire === undefined || wire === null) return {};
  const read = reader.readOptional(request, wire, "postern");
  if (read === undefined || read.report_interval_secs === 0) return {};
  const wanted = Math.max(read.report_interval_secs, MIN_REPORT_INTERVAL);
  return { reportIntervalSecs: Math.min(wanted, MAX_REPORT_INTERVAL) };
}

const count = v.pipe(v.number(), v.finite(), v.minValue(0));
const text = v.pipe(v.string(), v.maxLength(255));

const client = v.object({
  client_id: uuid,
  path: v.picklist(["direct", "relayed", "connecting"]),
  rtt_ms: v.nullable(count),
  bytes_in: count,
  bytes_out: count,
  last_handshake_secs: v.nullable(count),
});
const relay = v.object({ id: uuid, ready: v.boolean(), rtt_ms: v.nullable(count) });
const happening = v.object({
  at: count,
  kind: v.picklist(["flow", "denied"]),
  client_id: uuid,
  resource_id: v.nullable(uuid),
  protocol: text,
  destination: text,
  port: v.nullable(port),
  bytes_in: v.exactOptional(count),
  bytes_out: v.exactOptional(count),
});
const report = v.object({
  uptime_secs: count,
  version: text,
  clients: v.pipe(v.array(client), v.maxLength(MAX_REPORTED_CLIENTS)),
  relays: v.pipe(v.array(relay), v.maxLength(MAX_REPORTED_RELAYS)),
  events: v.pipe(v.array(happening), v.maxLength(MAX_REPORTED_EVENTS)),
});

/** For the portal. Never throws; a report is taken whole or not at all. */
export function decodeGatewayReport(payload: unknown): Decoded<GatewayReport> {
  return decode(REPORT_EVENT, (reader) => reader.read(report, payload));
}
