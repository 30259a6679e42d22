/** The gateway as a service, for `gateway` and `up`. */
import { firezoneId, IDENTITY_FILES, TunnelHost } from "../host/mod.ts";
import { type PortalIdentity, startGateway, type TunnelOptions } from "../runtime/mod.ts";
import type { RelayPlaces } from "./own_relay.ts";
import { raiseBufferLimits } from "./buffers.ts";
import type { Service } from "./session.ts";
import { tunnelService } from "./tunnel_service.ts";

export interface GatewayServiceOptions {
  readonly identity: (firezoneId: string) => PortalIdentity;
  /** As the operator gave it. */
  readonly firezoneId: string | undefined;
  readonly tunnel: TunnelOptions;
  readonly masquerade: boolean;
  readonly raiseBuffers: boolean;
  /** Where flow records go; undefined = nowhere. */
  readonly flowLogs: string | undefined;
  /** Where relays are to be reached instead of where the portal says. */
  readonly relayPlaces?: RelayPlaces;
}

export async function gatewayService(options: GatewayServiceOptions): Promise<Service> {
  const portal = options.identity(firezoneId(options.firezoneId, IDENTITY_FILES));
  if (options.raiseBuffers) raiseBufferLimits();
  const { tunnel, masquerade, flowLogs, relayPlaces } = options;
  const host = new TunnelHost({ tunName: tunnel.tunName, masquerade });
  return tunnelService(await startGateway({ portal, tunnel, host, flowLogs, relayPlaces }));
}
