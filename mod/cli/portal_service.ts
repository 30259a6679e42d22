/** The embedded portal as a service: its log, its control socket, and its policy read again when the file changes. */
import { dirname } from "node:path";
import { getLogger } from "@logtape/logtape";
import { controlRoutes, type ControlSocket, openControlSocket } from "../embedded/portal/control/mod.ts";
import { type PortalServer, type PortalServerOptions, startPortal } from "../embedded/portal/mod.ts";
import { diffLines, type PolicyDiff } from "../embedded/portal/policy/diff.ts";
import { PolicyError, problemText } from "../embedded/portal/policy/problems.ts";
import { portalMetrics } from "./portal_metrics.ts";
import type { ControlPlace } from "./control_options.ts";
import { causeChain } from "./errors.ts";
import { type Fingerprints, fingerprints, watchPolicyFiles } from "./policy_watch.ts";
import type { Service } from "./session.ts";
import { VERSION } from "./version.ts";

const log = getLogger(["postern", "portal"]);

export type PortalServiceOptions = Omit<PortalServerOptions, "onLog" | "policy"> & {
  readonly policy: string;
};

export interface PortalService extends Service {
  readonly server: PortalServer;
}

/** @param control undefined: verbs are not served */
export async function portalService(
  options: PortalServiceOptions,
  control: ControlPlace | undefined,
): Promise<PortalService> {
  const before = fingerprints([options.policy]);
  const server = await startPortal({
    ...options,
    version: VERSION,
    onLog: (level, text) => level === "warning" ? log.warn(text) : log.info(text),
  }).catch((error) => {
    throw error instanceof PolicyError ? new Error(logMistakes(error)) : error;
  });
  let socket: ControlSocket | undefined;
  try {
    socket = control && await openControl(server, options, control);
  } catch (error) {
    await server.stop();
    throw error;
  }
  const watch = watchPolicy(options.policy, before, server);
  const { policy } = server;
  log.info("Portal is listening", {
    url: server.url,
    control: socket?.path,
    sites: policy.sites.length,
    gateways: policy.gateways.length,
    actors: policy.actors.length,
    resources: policy.resources.length,
  });
  const ended = Promise.withResolvers<undefined>();
  return {
    server,
    done: ended.promise,
    readiness: () =>
      server.suspended === undefined
        ? { ready: true, reason: "The portal is listening." }
        : { ready: false, reason: server.suspended },
    metrics: () => Promise.resolve(portalMetrics(server)),
    async stop() {
      watch.close();
      await socket?.close();
      await server.stop();
      ended.resolve(undefined);
    },
  };
}

async function openControl(
  server: PortalServer,
  { policy, statePath }: PortalServiceOptions,
  { path, chosenBy }: ControlPlace,
): Promise<ControlSocket | undefined> {
  const routes = controlRoutes(server.administration, {
    about: {
      version: VERSION,
      url: server.url,
      policyFile: policy,
      stateFile: statePath,
      startedAt: server.unixNow(),
    },
    onChange: (what, diff) => logDiff(`${what}, asked by a verb`, diff),
  });
  try {
    if (chosenBy === "default") await Deno.mkdir(dirname(path), { recursive: true, mode: 0o755 });
    return await openControlSocket(path, routes);
  } catch (error) {
    if (chosenBy === "option") throw error;
    // Whoever keeps state wants to manage it; others, such as a second portal here, may not even know of verbs.
    const level = chosenBy === "state" ? "warn" : "info";
    log[level]("Verbs are not served", { reason: causeChain(error) });
    return undefined;
  }
}

/** A mistake in the new text is logged with its line and key; the old policy stays in force. */
function watchPolicy(path: string, before: Fingerprints, server: PortalServer): { close(): void } {
  const reload = () => {
    try {
      logDiff(`Read the policy ${path} again`, server.reload());
    } catch (error) {
      const reason = error instanceof PolicyError ? logMistakes(error) : causeChain(error);
      log.error(`The old policy stays in force: ${reason}`);
    }
  };
  const reloadAll = () => {
    server.reloadCertificate();
    reload();
  };
  let watch: { close(): void } | undefined;
  try {
    watch = watchPolicyFiles(() => server.administration.files(), before, reload);
  } catch (error) {
    log.warn(
      `Cannot watch the policy ${path}: ${causeChain(error)}. Say \`postern portal reload\` after a change.`,
    );
  }
  Deno.addSignalListener("SIGHUP", reloadAll);
  return {
    close() {
      watch?.close();
      Deno.removeSignalListener("SIGHUP", reloadAll);
    },
  };
}

/** A line for each. @returns the sum of it */
function logMistakes({ file, problems }: PolicyError): string {
  for (const problem of problems) log.error(problemText(file, problem));
  return `the policy has ${problems.length} mistake(s), see above.`;
}

function logDiff(what: string, diff: PolicyDiff | undefined): void {
  const lines = diff && diffLines(diff);
  log.info(lines?.length === 0 ? `${what}: nothing changed` : what);
  for (const line of lines ?? []) log.info(line);
}
