/** What every long-running command does around its service: serve health, wait for a signal or the end, stop. */
import { getLogger } from "@logtape/logtape";
import { causeChain, EXIT_FAILURE, EXIT_OK } from "./errors.ts";
import { type HealthServer, type HealthSource, serveHealth } from "./health.ts";
import { listenForStop } from "./signals.ts";
import { VERSION } from "./version.ts";

const log = getLogger(["postern", "cli"]);

/** Something that runs until it is stopped or fails. */
export interface Service extends HealthSource {
  /** Resolves with the text of a fatal error, or with undefined after `stop`. */
  readonly done: Promise<string | undefined>;
  stop(): Promise<void>;
}

/** Runs a service to its end; returns the exit status. `what` is the subject of the log lines: `gateway`. */
export async function runService(
  what: string,
  start: () => Promise<Service>,
  healthAddress: { readonly ip: string; readonly port: number } | undefined,
): Promise<number> {
  using stopSignal = listenForStop();
  log.info(`${what} started logging`, {
    version: VERSION,
    arch: Deno.build.arch,
    os: Deno.build.os,
    kernel: Deno.osRelease(),
    deno: Deno.version.deno,
  });
  let service: Service;
  try {
    service = await start();
  } catch (error) {
    log.error(`Failed to start ${what}: ${causeChain(error)}`);
    return EXIT_FAILURE;
  }
  const health = healthAddress && startHealth(service, healthAddress);
  const outcome = await Promise.race([
    service.done.then((error) => ({ error })),
    stopSignal.received.then((signal) => ({ signal })),
  ]);
  if ("signal" in outcome) log.info(`Received ${outcome.signal}, goodbye!`);
  await Promise.all([service.stop(), health?.close()]);
  if (!("error" in outcome) || outcome.error === undefined) return EXIT_OK;
  log.error(`The ${what} ended: ${outcome.error}`);
  return EXIT_FAILURE;
}

/** A taken port must not keep a gateway down: clients don't need the health endpoint. */
function startHealth(source: HealthSource, address: { ip: string; port: number }): HealthServer | undefined {
  try {
    return serveHealth(source, VERSION, address);
  } catch (error) {
    log.warn("Cannot serve the health endpoint", {
      address: `${address.ip}:${address.port}`,
      reason: causeChain(error),
    });
    return undefined;
  }
}
