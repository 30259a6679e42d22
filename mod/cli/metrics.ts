/** Prometheus' text exposition format 0.0.4. */
import { counterHelp } from "./counter_help.ts";

export interface Metric {
  /** Without the prefix: `portal_connected`. */
  readonly name: string;
  readonly kind: "counter" | "gauge";
  readonly help: string;
  readonly value: number;
  readonly labels?: Readonly<Record<string, string>>;
}

export const PREFIX = "postern_";

/** Metrics of one name stand together, whatever the order they were given in. */
export function formatMetrics(metrics: readonly Metric[]): string {
  const families = new Map<string, Metric[]>();
  for (const metric of metrics) {
    const name = PREFIX + metric.name + (metric.kind === "counter" ? "_total" : "");
    const family = families.get(name);
    if (family) family.push(metric);
    else families.set(name, [metric]);
  }
  return [...families].map(([name, family]) =>
    [
      `# HELP ${name} ${family[0]!.help.replace(/\\/g, "\\\\").replace(/\n/g, "\\n")}`,
      `# TYPE ${name} ${family[0]!.kind}`,
      ...family.map(({ labels, value }) => `${name}${formatLabels(labels)} ${value}`),
      "",
    ].join("\n")
  ).join("");
}

function formatLabels(labels: Readonly<Record<string, string>> = {}): string {
  const pairs = Object.entries(labels).map(([key, value]) =>
    `${key}="${value.replace(/\\/g, "\\\\").replace(/"/g, '\\"').replace(/\n/g, "\\n")}"`
  );
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}

/** The packet path's counters: `drop_malformed` becomes `postern_drop_malformed_total`. */
export function counterMetrics(counters: ReadonlyMap<string, number>): Metric[] {
  return [...counters].map(([name, value]) => ({
    name,
    kind: "counter",
    help: counterHelp(name) ?? `Packet path: ${name.replaceAll("_", " ")}.`,
    value,
  }));
}
