/** Starts the lab client: its data thread, the portal in the client's role, the host set-up. */
import { connectPortal } from "../../portal/io/portal_io.ts";
import { type OpenPortal, startTunnel } from "../../runtime/tunnel_runtime.ts";
import type { OpenNames, Runtime, RuntimeOptions } from "../../runtime/types.ts";
import { startWorker } from "../../runtime/worker_source.ts";

/** Rejects with a readable error when the devices can't be made; everything later shows in `Runtime.done`. */
export function startClient(options: RuntimeOptions): Promise<Runtime> {
  const worker = startWorker("client_worker", new URL("./client_worker.ts", import.meta.url));
  const openPortal: OpenPortal = (login, listener) => connectPortal({ ...login, role: "client" }, listener);
  const openNames: OpenNames = () => ({ listen: () => Promise.resolve(), handle() {}, close() {} });
  return startTunnel(worker, openPortal, openNames, options);
}
