export { DataPath, type DataPathOptions, type Gate, MAX_DATAGRAM, MAX_PACKET } from "./data_path.ts";
export { Reporter, type ReporterOptions } from "./reporter.ts";
export { Gateway, type GatewayOptions, type GatewayOutput } from "./gateway.ts";
