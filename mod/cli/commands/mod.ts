/**
 * Every command, in the order of the help text. One is loaded when it is asked for: a gateway that has no portal needs
 * none of the portal's code in memory.
 */
import type { CommandEntry } from "../command.ts";

export const DEFAULT_COMMAND = "gateway";
export const COMMANDS: readonly CommandEntry[] = [
  {
    name: "gateway",
    summary: "Serve the clients of a site on behalf of a portal",
    load: async () => (await import("./gateway.ts")).gateway,
  },
  {
    name: "up",
    summary: "Portal, relay and gateway in one process, from one policy file",
    load: async () => (await import("./up.ts")).up,
  },
  {
    name: "portal",
    summary: "The control plane for gateways and clients, from one policy file",
    load: async () => (await import("./portal/mod.ts")).portal,
  },
  {
    name: "relay",
    summary: "A TURN server for devices that cannot reach each other directly",
    load: async () => (await import("./relay.ts")).relay,
  },
  {
    name: "client",
    summary: "The lab client: connect as a client and route its resources",
    load: async () => (await import("./client.ts")).client,
  },
  {
    name: "demo",
    summary: "Show everything working on this machine, in namespaces that vanish afterwards",
    load: async () => (await import("./demo.ts")).demo,
  },
];
