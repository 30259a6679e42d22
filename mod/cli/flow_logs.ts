/** The option that turns flow records on, and where they go. */
import { UsageError } from "./errors.ts";
import type { OptionTable } from "./options.ts";

export const FLOW_LOG_OPTIONS = {
  flowLogs: {
    flag: "flow-logs",
    env: "FIREZONE_FLOW_LOGS",
    kind: "text",
    value: "path",
    default: "false",
    alone: "true",
    help: "Record flows as JSON lines in this file; without a path (or with `true`) on stdout.",
  },
} as const satisfies OptionTable;

/** A path, "stdout", or undefined for nowhere. A path has a slash, so that a misspelt `true` is no file name. */
export function flowLogDestination(text: string): string | undefined {
  if (text === "true" || text === "1") return "stdout";
  if (text === "false" || text === "0") return undefined;
  if (text.includes("/")) return text;
  throw new UsageError(
    `\`--flow-logs\` (or FIREZONE_FLOW_LOGS) is \`${text}\`, which is neither true, false nor a path with a slash.`,
  );
}
