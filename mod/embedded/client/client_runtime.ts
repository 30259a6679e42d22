/** Starts the lab client: its data thread, the portal in the client's role, DNS for this host, the host set-up. */
import { connectPortal } from "../../portal/io/portal_io.ts";
import { type OpenPortal, startTunnel } from "../../runtime/tunnel_runtime.ts";
import type { Runtime, RuntimeOptions } from "../../runtime/types.ts";
import { startWorker } from "../../runtime/worker_source.ts";
import { openClientNames } from "./client_names.ts";

/** Rejects with a readable error when the devices can't be made; everything later shows in `Runtime.done`. */
export function startClient(options: RuntimeOptions): Promise<Runtime> {
  const worker = startWorker("client_worker", new URL("./client_worker.ts", import.meta.url));
  const openPortal: OpenPortal = (login, listener) => connectPortal({ ...login, role: "client" }, listener);
  return startTunnel(worker, openPortal, openClientNames, options);
}
