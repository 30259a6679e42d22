/** Starts a gateway: its data thread, the portal in the gateway's role, DNS for its clients, the host set-up. */
import { connectPortal } from "../portal/io/portal_io.ts";
import { openGatewayNames } from "./gateway_names.ts";
import { type OpenPortal, startTunnel } from "./tunnel_runtime.ts";
import type { Runtime, RuntimeOptions } from "./types.ts";
import { startWorker } from "./worker_source.ts";

/** Rejects with a readable error when the devices can't be made; everything later shows in `Runtime.done`. */
export function startGateway(options: RuntimeOptions): Promise<Runtime> {
  const worker = startWorker("data_worker", new URL("./data_worker.ts", import.meta.url));
  const openPortal: OpenPortal = (login, listener) => connectPortal({ ...login, role: "gateway" }, listener);
  return startTunnel(worker, openPortal, openGatewayNames, options);
}
