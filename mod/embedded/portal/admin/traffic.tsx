/** @jsxImportSource hono/jsx */
/** Traffic and paths, as gateways report them. */
import { Muted, State } from "./components.tsx";
import { bytes, duration, rate as rateText } from "./format.ts";
import type { Rate } from "./live_state.ts";
import type { ReportedClient } from "../../../portal/types.ts";

export function PathState({ path }: { path: ReportedClient["path"] }) {
  const mood = path === "direct" ? "good" : path === "relayed" ? "warn" : "idle";
  return <State mood={mood}>{path}</State>;
}

export function RoundTrip({ ms }: { ms: number | null }) {
  if (ms === null) return <Muted>not measured</Muted>;
  return <>{ms < 9.95 ? ms.toFixed(1) : Math.round(ms)} ms</>;
}

/** Both directions now, `in` from the client. */
export function Rates({ rate }: { rate: Rate | undefined }) {
  if (!rate) return <Muted>not yet known</Muted>;
  return (
    <span class="flows">
      <span title="from clients">↑ {rateText(rate.in)}</span>{" "}
      <span title="to clients">↓ {rateText(rate.out)}</span>
    </span>
  );
}

export function Totals({ in: from, out }: { in: number; out: number }) {
  return (
    <span class="flows">
      <span title="from clients">↑ {bytes(from)}</span> <span title="to clients">↓ {bytes(out)}</span>
    </span>
  );
}

export function Handshake({ secs }: { secs: number | null }) {
  return secs === null ? <Muted>none yet</Muted> : <>{duration(secs)} ago</>;
}

const WIDTH = 160, HEIGHT = 28;

/** The last minutes of traffic as a line; it says in words what it shows. */
export function Sparkline({ history }: { history: readonly Rate[] }) {
  const sums = history.map((rate) => rate.in + rate.out);
  const top = Math.max(...sums, 1);
  if (sums.length < 3) return null;
  const points = sums.map((sum, i) =>
    `${(i / (sums.length - 1) * WIDTH).toFixed(1)},${(HEIGHT - 2 - sum / top * (HEIGHT - 4)).toFixed(1)}`
  );
  return (
    <svg
      class="sparkline"
      role="img"
      aria-label={`Traffic of the last minutes, at most ${rateText(top)}`}
      viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
      preserveAspectRatio="none"
    >
      <polyline points={points.join(" ")} fill="none" vector-effect="non-scaling-stroke" />
    </svg>
  );
}
