export { formatPrefix, type Link, type LinkChange, parsePrefix, type Prefix } from "./route_messages.ts";
export type { Route, UnmarkedRule } from "./route_messages.ts";
export { type Outcome, RouteSocket } from "./route_socket.ts";
export { NetworkMonitor } from "./monitor.ts";
export type { OwnNetwork } from "./network_changes.ts";
