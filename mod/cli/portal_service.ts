/** The embedded portal as a service: its log, and its policy read again on SIGHUP and when the file changes. */
import { getLogger } from "@logtape/logtape";
import { type PortalServer, type PortalServerOptions, startPortal } from "../embedded/portal/mod.ts";
import { causeChain } from "./errors.ts";
import type { Service } from "./session.ts";

const log = getLogger(["postern", "portal"]);
/** Editors write a file in several steps. */
const SETTLE_MS = 200;

export type PortalServiceOptions = Omit<PortalServerOptions, "onLog" | "policy"> & {
  readonly policy: string;
};

export interface PortalService extends Service {
  readonly server: PortalServer;
}

export async function portalService(options: PortalServiceOptions): Promise<PortalService> {
  const server = await startPortal({
    ...options,
    onLog: (level, text) => level === "warning" ? log.warn(text) : log.info(text),
  });
  const { policy } = server;
  log.info("Portal is listening", {
    url: server.url,
    sites: policy.sites.length,
    gateways: policy.gateways.length,
    actors: policy.actors.length,
    resources: policy.resources.length,
  });
  const ended = Promise.withResolvers<undefined>();
  const watch = watchPolicy(options.policy, server);
  return {
    server,
    done: ended.promise,
    readiness: () =>
      server.suspended === undefined
        ? { ready: true, reason: "The portal is listening." }
        : { ready: false, reason: server.suspended },
    metrics: () =>
      Promise.resolve(
        (["gateway", "client"] as const).map((role) => ({
          name: "portal_devices",
          kind: "gauge" as const,
          help: "Devices that are connected to the embedded portal.",
          value: server.online().filter((device) => device.role === role).length,
          labels: { role },
        })),
      ),
    async stop() {
      watch.close();
      await server.stop();
      ended.resolve(undefined);
    },
  };
}

/** A mistake in the new text is logged with its line and key; the old policy stays in force. */
function watchPolicy(path: string, server: PortalServer): { close(): void } {
  const reload = () => {
    try {
      server.reload();
      log.info("Read the policy again", { file: path });
    } catch (error) {
      log.error(causeChain(error));
    }
  };
  // The folder, since editors replace the file rather than write into it.
  const folder = path.includes("/") ? path.slice(0, path.lastIndexOf("/")) || "/" : ".";
  const name = path.slice(path.lastIndexOf("/") + 1);
  const watcher = Deno.watchFs(folder, { recursive: false });
  let timer: ReturnType<typeof setTimeout> | undefined;
  (async () => {
    for await (const { kind, paths } of watcher) {
      if (kind === "access" || !paths.some((changed) => changed.endsWith(`/${name}`))) continue;
      clearTimeout(timer);
      timer = setTimeout(reload, SETTLE_MS);
    }
  })();
  const reloadAll = () => {
    server.reloadCertificate();
    reload();
  };
  Deno.addSignalListener("SIGHUP", reloadAll);
  return {
    close() {
      clearTimeout(timer);
      watcher.close();
      Deno.removeSignalListener("SIGHUP", reloadAll);
    },
  };
}
