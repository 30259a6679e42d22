/** Turns what the client says into messages for the control thread. */
import type { FromData } from "../../runtime/messages.ts";
import { log, reportNode } from "../../runtime/report.ts";
import type { ClientResource } from "../../portal/types.ts";
import type { ClientOutput } from "./client.ts";

const PROXY_RANGES = ["100.96.0.0/11", "fd00:2021:1111:8000::/107"];

export function reportClient(output: ClientOutput): FromData | undefined {
  switch (output.type) {
    case "portal":
      return { type: "portal", command: output.command };
    case "interface":
      return {
        type: "interface",
        interface: output.interface,
        networks: [...new Set(output.resources.flatMap(networksOf))],
      };
    case "names":
      return { type: "names", request: output.request };
    case "flow":
      return log("info", "Resource is reachable through a gateway", {
        resource: output.resourceId,
        gateway: output.gatewayId,
      });
    case "refused":
      return log("warning", "The portal refused access to a resource", {
        resource: output.resourceId,
        reason: output.reason,
      });
    case "node":
      return reportNode(output.event, "gateway");
  }
}

/** What has to be routed into the tunnel to reach it. */
function networksOf(resource: ClientResource): readonly string[] {
  if (resource.type === "internet") return ["0.0.0.0/0", "::/0"];
  return resource.type === "dns" ? PROXY_RANGES : [resource.cidr!.text];
}
