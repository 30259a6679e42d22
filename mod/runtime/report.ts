/** Turns what the gateway says into messages for the control thread: portal commands, host set-up, log records. */
import type { GatewayOutput } from "../gateway/mod.ts";
import type { NodeEvent } from "../node/mod.ts";
import type { PolicyEvent } from "../policy/mod.ts";
import type { FromData, LogLevel } from "./messages.ts";

export function reportGateway(output: GatewayOutput): FromData | undefined {
  switch (output.type) {
    case "portal":
      return { type: "portal", command: output.command };
    case "interface":
      return { type: "interface", interface: output.interface, networks: [] };
    case "granted":
      return log("info", "Allowing access to resource", {
        client: output.clientId,
        resource: output.resourceId,
        name: output.resource,
        expires: output.expiresAt === null ? "never" : new Date(output.expiresAt * 1000).toISOString(),
      });
    case "refused":
      return log("warning", "Ignoring what the portal asks for", {
        ...(output.clientId === undefined ? {} : { client: output.clientId }),
        reason: output.reason,
      });
    case "revoked":
      return log("info", "Revoking resource authorization", {
        client: output.clientId,
        resource: output.resourceId,
      });
    case "resolve":
      return { type: "names", request: output };
    case "policy":
      return reportPolicy(output.event);
    case "node":
      return reportNode(output.event, "client");
  }
}

function reportPolicy(event: PolicyEvent): FromData | undefined {
  if (event.type === "access-expired") {
    return log("info", "Access to resource expired", { client: event.clientId, resource: event.resourceId });
  }
  if (event.type === "peer-removed") {
    return log("info", "Client has no access any more", { client: event.clientId, reason: event.reason });
  }
  return undefined;
}

export function reportNode(event: NodeEvent, peer: "client" | "gateway"): FromData | undefined {
  switch (event.type) {
    case "established":
      return log("info", "Tunnel established", { [peer]: event.peerId });
    case "path":
      return log("info", "Packets take a path", { [peer]: event.peerId, path: event.kind });
    case "failed":
      return log("info", "Connection lost", { [peer]: event.peerId, reason: event.reason });
    case "relay":
      return log(
        event.state === "ready" ? "info" : "warning",
        event.state === "ready" ? "Updated allocation" : "Relay lost",
        { relay: event.relayId, ...(event.reason === undefined ? {} : { reason: event.reason }) },
      );
    case "relays":
      return event;
    case "moved":
      return { type: "moved" };
    case "network-changed":
      return { type: "network", doubtful: false };
    case "network-doubtful":
      return { type: "network", doubtful: true };
    default:
      return undefined;
  }
}

export function log(level: LogLevel, message: string, fields: Record<string, unknown>): FromData {
  return { type: "log", level, message, fields };
}
