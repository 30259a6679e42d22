export { formatPrefix, type Link, type LinkChange, parsePrefix, type Prefix } from "./route_messages.ts";
export type { Route, UnmarkedRule } from "./route_messages.ts";
export { type Outcome, RouteSocket } from "./route_socket.ts";
