/** Connects the loggers of the whole process to stdout. */
import { configureSync, getLogger, type LogRecord } from "@logtape/logtape";
import { parseLogFilter, passes } from "./filter.ts";
import { formatHuman, formatJson, levelOf } from "./format.ts";

export type LogFormat = "human" | "json";

/** @param filterText the value of `RUST_LOG` */
export function startLogging(format: LogFormat, filterText: string | undefined): void {
  const filter = parseLogFilter(filterText);
  const colors = format === "human" && Deno.stdout.isTerminal() && Deno.env.get("NO_COLOR") === undefined;
  const encoder = new TextEncoder();
  const sink = (record: LogRecord) => {
    const line = format === "json" ? formatJson(record) : formatHuman(record, colors);
    writeAll(encoder.encode(line));
  };
  configureSync({
    reset: true,
    sinks: { stdout: sink },
    filters: {
      rustLog: (record) => passes(filter, categoryPath(record), levelOf(record)),
    },
    loggers: [
      { category: [], sinks: ["stdout"], filters: ["rustLog"], lowestLevel: "trace" },
      { category: ["logtape", "meta"], lowestLevel: "error" },
    ],
  });
  if (filter.ignored.length > 0) {
    getLogger(["postern", "log"]).warn("Ignoring parts of RUST_LOG that have no meaning here", {
      parts: filter.ignored.join(","),
    });
  }
}

function categoryPath(record: LogRecord): readonly string[] {
  return record.category[0] === "postern" ? record.category.slice(1) : record.category;
}

function writeAll(bytes: Uint8Array): void {
  try {
    for (let done = 0; done < bytes.length;) done += Deno.stdout.writeSync(bytes.subarray(done));
  } catch {
    // Whoever read the log is gone; the gateway's work does not depend on it.
  }
}
