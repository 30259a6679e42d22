/**
 * The variables of Firezone's own relay (spec portal §5.4) under the names that ours have, so that a service file
 * written for it keeps working. What is set under our own name counts more.
 */
import type { Environment } from "./options.ts";

const LOWEST = "49152", HIGHEST = "65535";
/** Ours → theirs, where only the name differs. */
const RENAMED: Readonly<Record<string, string>> = {
  POSTERN_RELAY_PORT: "LISTEN_PORT",
  FIREZONE_LOG_FORMAT: "LOG_FORMAT",
};
/** Theirs without a counterpart here. Telemetry is left out: without it nothing is missing. */
const WITHOUT_EFFECT = [
  "RNG_SEED",
  "OTLP_GRPC_ENDPOINT",
  "GOOGLE_CLOUD_PROJECT_ID",
  "EBPF_OFFLOADING",
  "CONTROL_ENDPOINT",
  "NUM_WORKER_THREADS",
];

/** `environment`, and for names that it has no value of, what Firezone's variables say. */
export function withFirezoneRelayVariables(environment: Environment): Environment {
  return (name) => environment(name) || translated(name, environment);
}

/** Names of variables that are set and mean nothing here. */
export function variablesWithoutEffect(environment: Environment): string[] {
  return WITHOUT_EFFECT.filter((name) => environment(name));
}

function translated(name: string, environment: Environment): string | undefined {
  if (name === "POSTERN_RELAY_PORTS") {
    const [lowest, highest] = [environment("LOWEST_PORT"), environment("HIGHEST_PORT")];
    return lowest || highest ? `${lowest || LOWEST}-${highest || HIGHEST}` : undefined;
  }
  const theirs = RENAMED[name];
  const value = theirs && environment(theirs);
  // Google's format is JSON lines with other names for some fields.
  return name === "FIREZONE_LOG_FORMAT" && value === "google-cloud" ? "json" : value;
}
