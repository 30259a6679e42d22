export { Client, type ClientOutput } from "./client.ts";
export { startClient } from "./client_runtime.ts";
export { DNS_SENTINEL } from "./proxy_addresses.ts";
