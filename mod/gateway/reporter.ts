/**
 * What a gateway tells a portal that asked for it ({@link GatewayReport}): connections, relays, and a sample of what
 * happened since the last report. While nobody asks it holds nothing and costs nothing.
 *
 * Flows are those of the flow log where there is one; else they are followed for the report alone. Denied packets are
 * sampled where they are answered, on the slow path: so many a second, each client, destination and port once per
 * report, and never so many that flows find no room.
 */
import type { FlowClose, FlowTracker } from "../flows/mod.ts";
import type { NodeStatus } from "../node/mod.ts";
import { formatIp, type IpHeader, KIND_TCP, KIND_UDP } from "../packet/mod.ts";
import type { Peer } from "../policy/mod.ts";
import { isProxy4, isProxy6, rangeKey4, rangeKey6 } from "../policy/ranges.ts";
import { cidrContains } from "../portal/cidr.ts";
import {
  type GatewayReport,
  type Id,
  MAX_REPORTED_CLIENTS,
  MAX_REPORTED_EVENTS,
  MAX_REPORTED_RELAYS,
  type ReportedClient,
  type ReportedEvent,
} from "../portal/types.ts";

const DENIALS_PER_SECOND = 10, DENIALS_PER_REPORT = MAX_REPORTED_EVENTS / 2;
const PROTOCOLS: Readonly<Record<number, string>> = { 1: "icmp", 6: "tcp", 17: "udp", 58: "icmp" };

export interface ReporterOptions {
  /** Of this software. */
  readonly version: string;
  /** Monotonic ms. */
  readonly startedAt: number;
  /** Unix ms. */
  readonly unixNow: () => number;
  /** Follows flows where the flow log does not. */
  readonly makeFlows: () => FlowTracker;
}

export class Reporter {
  readonly #options: ReporterOptions;
  #interval = Infinity;
  #nextAt = Infinity;
  /** Made for the report. */
  #ownFlows: FlowTracker | undefined;
  #events: ReportedEvent[] = [];
  readonly #denied = new Set<string>();
  #deniedInSecond = 0;
  #second = 0;

  constructor(options: ReporterOptions) {
    this.#options = options;
  }

  get isWanted(): boolean {
    return this.#interval !== Infinity;
  }

  /** When the next report is due, absolute ms; Infinity when nobody wants one. */
  get nextAt(): number {
    return this.#nextAt;
  }

  /**
   * The portal asks for a report this often (undefined: it doesn't).
   * @param logged the flow log's tracker, if there is one
   * @returns the tracker to use from now on
   */
  request(
    seconds: number | undefined,
    logged: FlowTracker | undefined,
    now: number,
  ): FlowTracker | undefined {
    const interval = seconds === undefined ? Infinity : seconds * 1000;
    if (interval !== this.#interval) {
      this.#interval = interval;
      this.#nextAt = now + interval;
    }
    if (!this.isWanted) {
      if (logged) logged.onClosed = undefined;
      this.#forget();
      return logged;
    }
    const flows = logged ?? (this.#ownFlows ??= this.#options.makeFlows());
    flows.onClosed = (flow) => this.#noteFlow(flow);
    return flows;
  }

  /** A packet of this client's was denied; `header` is as the client sent it. */
  noteDenied(peer: Peer, header: IpHeader, now: number): void {
    const second = Math.floor(now / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#deniedInSecond = 0;
    }
    if (this.#denied.size >= DENIALS_PER_REPORT || this.#deniedInSecond >= DENIALS_PER_SECOND) return;
    this.#deniedInSecond++;
    const ip = destinationOf(header);
    const port = header.kind === KIND_TCP || header.kind === KIND_UDP ? header.dstPort : null;
    const key = `${peer.clientId} ${header.protocol} ${port} ${formatIp(ip)}`;
    if (this.#denied.has(key)) return;
    this.#denied.add(key);
    this.#push({
      at: Math.floor(this.#options.unixNow() / 1000),
      kind: "denied",
      client_id: peer.clientId,
      protocol: PROTOCOLS[header.protocol] ?? String(header.protocol),
      port,
      ...aimOf(peer, header, ip),
    });
  }

  /** The report that is due; the next one is an interval later. */
  take({ connections, relays }: NodeStatus, now: number): GatewayReport {
    this.#nextAt = now + this.#interval;
    const events = this.#events;
    this.#events = [];
    this.#denied.clear();
    const busiest = connections.length <= MAX_REPORTED_CLIENTS ? connections : connections
      .toSorted((a, b) => b.sentBytes + b.receivedBytes - a.sentBytes - a.receivedBytes)
      .slice(0, MAX_REPORTED_CLIENTS);
    return {
      uptime_secs: Math.floor((now - this.#options.startedAt) / 1000),
      version: this.#options.version,
      clients: busiest.map((connection) => clientOf(connection, now)),
      relays: relays.slice(0, MAX_REPORTED_RELAYS).map(({ id, ready, rtt }) => ({
        id,
        ready,
        rtt_ms: tenths(rtt),
      })),
      events,
    };
  }

  #noteFlow(flow: FlowClose): void {
    this.#push({
      at: Math.floor(Date.parse(flow.flow_end) / 1000),
      kind: "flow",
      client_id: flow.client_id,
      resource_id: flow.resource_id,
      protocol: flow.protocol,
      destination: flow.domain ?? flow.inner_dst_ip,
      port: flow.inner_dst_port,
      bytes_in: flow.tx_bytes,
      bytes_out: flow.rx_bytes,
    });
  }

  #push(event: ReportedEvent): void {
    if (this.#events.length === MAX_REPORTED_EVENTS) this.#events.shift();
    this.#events.push(event);
  }

  #forget(): void {
    this.#ownFlows = undefined;
    this.#events = [];
    this.#denied.clear();
  }
}

function clientOf(connection: NodeStatus["connections"][number], now: number): ReportedClient {
  const { peerId, path, rtt, receivedBytes, sentBytes, lastHandshakeAt } = connection;
  return {
    client_id: peerId,
    path: path === "none" ? "connecting" : path,
    rtt_ms: tenths(rtt),
    bytes_in: receivedBytes,
    bytes_out: sentBytes,
    last_handshake_secs: lastHandshakeAt === undefined ? null : Math.floor((now - lastHandshakeAt) / 1000),
  };
}

function tenths(milliseconds: number | undefined): number | null {
  return milliseconds === undefined ? null : Math.round(milliseconds * 10) / 10;
}

/** Which of the client's resources a denied packet was aimed at, and the name or address of its destination. */
function aimOf(
  peer: Peer,
  header: IpHeader,
  ip: Uint8Array,
): { resource_id: Id | null; destination: string } {
  const isProxy = header.version === 4
    ? isProxy4(header.dst0)
    : isProxy6(header.dst0, header.dst1, header.dst2, header.dst3);
  if (isProxy) {
    const key = header.version === 4 ? rangeKey4(header.dst0) : rangeKey6(header.dst3);
    const translation = peer.translations.find(key);
    return {
      resource_id: translation?.owners[0]?.resource.id ?? null,
      destination: translation?.domain ?? formatIp(ip),
    };
  }
  const covering = [...peer.grants.values()].find(({ resource }) =>
    resource.type === "cidr" && cidrContains(resource.address, ip)
  );
  return { resource_id: (covering ?? peer.internet)?.resource.id ?? null, destination: formatIp(ip) };
}

function destinationOf({ version, addresses }: IpHeader): Uint8Array {
  const bytes = new Uint8Array(version === 4 ? 4 : 16), view = new DataView(bytes.buffer);
  for (let i = 0; i < bytes.length / 4; i++) view.setUint32(4 * i, addresses[4 + i]!);
  return bytes;
}
