export { startGateway } from "./gateway_runtime.ts";
export type {
  PortalIdentity,
  Readiness,
  Runtime,
  RuntimeOptions,
  RuntimeStatus,
  TunnelHost,
  TunnelOptions,
} from "./types.ts";
export { embedWorker, startWorker } from "./worker_source.ts";
