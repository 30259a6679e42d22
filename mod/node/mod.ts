export { Connection, type Timings } from "./connection.ts";
export { Node, type NodeOptions } from "./node.ts";
export type { Screening } from "./screening.ts";
export type {
  ConnectionRequest,
  ConnectionStatus,
  NodeEvent,
  NodeStatus,
  PathKind,
  RelayDescription,
} from "./types.ts";
