/**
 * What is told about a flow: one record when it opens, one when it closes (spec policy §8.3). A record is one line of
 * JSON whose keys are the fields below; docs/flow-logs.md describes them for operators.
 *
 * `tx` is what the client sent, `rx` what it got. Times are ISO 8601 with milliseconds, UTC. Bytes are those behind
 * the TCP or UDP header. Addresses and ports are those that the resource sees: behind NAT, the real ones.
 */

/** How a flow ended. */
export type FlowEnd =
  /** Both sides closed it. */
  | "fin"
  /** One side reset it. */
  | "rst"
  /** No packet for two minutes. */
  | "idle"
  /** The client's access to the resource ended, by the portal's word or by its expiry. */
  | "revoked"
  /** The client said goodbye. */
  | "goodbye"
  /** The same addresses and ports began anew: another connection, or by way of another resource. */
  | "replaced"
  /** The gateway stopped. */
  | "shutdown";

interface Flow {
  readonly protocol: "tcp" | "udp";
  readonly client_id: string;
  readonly resource_id: string;
  readonly resource_name: string;
  /** The name that the client asked for; only of DNS resources. */
  readonly domain?: string;
  readonly inner_src_ip: string;
  readonly inner_src_port: number;
  readonly inner_dst_ip: string;
  readonly inner_dst_port: number;
  readonly flow_start: string;
}

export interface FlowOpen extends Flow {
  readonly record: "open";
}

export interface FlowClose extends Flow {
  readonly record: "close";
  readonly end: FlowEnd;
  readonly flow_end: string;
  readonly last_packet: string;
  readonly rx_packets: number;
  readonly tx_packets: number;
  readonly rx_bytes: number;
  readonly tx_bytes: number;
}

/** What is missing before this line. */
export interface FlowLoss {
  readonly record: "lost";
  readonly time: string;
  /** Records that could not be kept or written. */
  readonly records: number;
  /** Packets of flows that were not followed, for lack of room. */
  readonly untracked_packets: number;
}

export type FlowRecord = FlowOpen | FlowClose | FlowLoss;

/** One line, its end included. */
export function renderRecord(record: FlowRecord): string {
  return `${JSON.stringify(record)}\n`;
}
