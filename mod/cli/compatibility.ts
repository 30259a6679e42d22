/**
 * Flags and variables of Firezone's gateway whose feature does not exist here. They are accepted, so that a service
 * file written for it keeps working, and named once in the log, so that nobody believes they have an effect.
 */
import type { OptionTable, OptionValues } from "./options.ts";

export const COMPATIBILITY_OPTIONS = {
  noTelemetry: {
    flag: "no-telemetry",
    env: "FIREZONE_NO_TELEMETRY",
    kind: "switch",
    help: "Accepted; there is no telemetry.",
    hidden: true,
  },
  tunThreads: {
    flag: "tun-threads",
    env: "FIREZONE_NUM_TUN_THREADS",
    kind: "text",
    help: "Ignored.",
    hidden: true,
  },
  metrics: { flag: "metrics", env: "FIREZONE_METRICS", kind: "text", help: "Ignored.", hidden: true },
  otlpEndpoint: {
    flag: "otlp-grpc-endpoint",
    env: "OTLP_GRPC_ENDPOINT",
    kind: "text",
    help: "Ignored.",
    hidden: true,
  },
  validateChecksums: {
    flag: "validate-checksums",
    env: "FIREZONE_VALIDATE_CHECKSUMS",
    kind: "switch",
    help: "Ignored.",
    hidden: true,
  },
} as const satisfies OptionTable;

/** The flags that were given and have no effect. Telemetry is left out: without it nothing is missing. */
export function withoutEffect(values: OptionValues<typeof COMPATIBILITY_OPTIONS>): string[] {
  return Object.entries(COMPATIBILITY_OPTIONS)
    .filter(([key]) => key !== "noTelemetry")
    .filter(([key]) => Boolean(values[key as keyof typeof values]))
    .map(([, { flag }]) => `--${flag}`);
}
