/** Turns what the client says into messages for the control thread. */
import type { FromData } from "../../runtime/messages.ts";
import { log, reportNode } from "../../runtime/report.ts";
import type { ClientOutput } from "./client.ts";

export function reportClient(output: ClientOutput): FromData | undefined {
  switch (output.type) {
    case "portal":
      return { type: "portal", command: output.command };
    case "interface":
      return {
        type: "interface",
        interface: output.interface,
        networks: output.resources.flatMap((r) =>
          r.type === "internet" ? ["0.0.0.0/0", "::/0"] : r.cidr ? [r.cidr.text] : []
        ),
      };
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
