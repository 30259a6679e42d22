/** Control of the running portal over a local socket: the API, its socket, and its client. */
export type { Administration } from "./administration.ts";
export { Administrator } from "./administrator.ts";
export { ControlClient, type ControlMethod, ControlRefusal, ControlUnreachable } from "./client.ts";
export { type ControlOptions, controlRoutes } from "./routes.ts";
export { makeToken } from "./tokens.ts";
export { type ControlSocket, openControlSocket } from "./socket.ts";
export { type DeviceView, entryCounts, type EntryView, type StatusView, type TokenView } from "./views.ts";
