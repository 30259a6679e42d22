/**
 * What gateways report, kept for the pages: how fast the counters of each move, with a short history of that; and the
 * latest problems of the portal itself. Everything is bounded, since what devices do fills it.
 *
 * It looks at the latest reports from time to time, at least as often as they come; one that it misses makes a rate
 * the mean of two intervals. Counters are of present connections and start anew with each, so one that went back
 * began at zero.
 */
import { type GatewayReport, type Id, MAX_REPORTED_CLIENTS } from "../../../portal/types.ts";
import type { ReceivedReport } from "../core/happenings.ts";

const MAX_PROBLEMS = 200;
const MAX_HISTORY = 60;
const MAX_PROBLEM_CHARACTERS = 500;
/** A gateway may state any numbers; sums of what is below stay finite. */
const MAX_RATE = 1e15;

/** Bytes per second, seen from the gateway: `in` comes from clients. */
export interface Rate {
  readonly in: number;
  readonly out: number;
}

export interface GatewayLive {
  /** Unix seconds of the latest report. */
  readonly at: number;
  /** Monotonic milliseconds of it. */
  readonly receivedAt: number;
  readonly report: GatewayReport;
  /** By client; a client is missing until two reports tell its rate. */
  readonly rates: ReadonlyMap<Id, Rate>;
  /** Of all clients together; undefined until there are two reports. */
  readonly total: Rate | undefined;
  /** Totals, the newest last. */
  readonly history: readonly Rate[];
}

export interface Problem {
  /** Unix seconds of the latest time. */
  readonly at: number;
  readonly text: string;
  /** So often in a row. */
  readonly times: number;
}

export class LiveState {
  readonly #gateways = new Map<Id, GatewayLive>();
  readonly #problems: Problem[] = [];

  /** Takes the latest report of each gateway; those that it has seen already change nothing. */
  observe(reports: readonly ReceivedReport[]): void {
    const present = new Set(reports.map(({ gatewayId }) => gatewayId));
    for (const id of this.#gateways.keys()) if (!present.has(id)) this.#gateways.delete(id);
    for (const received of reports) {
      const before = this.#gateways.get(received.gatewayId);
      if (before?.report !== received.report) this.#gateways.set(received.gatewayId, next(before, received));
    }
  }

  /** Notes something that somebody should look at. */
  handleProblem(text: string, unixNow: number): void {
    const cut = text.slice(0, MAX_PROBLEM_CHARACTERS);
    const last = this.#problems.at(-1);
    if (last?.text === cut) {
      this.#problems[this.#problems.length - 1] = { at: unixNow, text: cut, times: last.times + 1 };
      return;
    }
    this.#problems.push({ at: unixNow, text: cut, times: 1 });
    if (this.#problems.length > MAX_PROBLEMS) this.#problems.shift();
  }

  /** Undefined for a gateway that reports nothing. */
  gateway(id: Id): GatewayLive | undefined {
    return this.#gateways.get(id);
  }

  /** In the order of their arrival. */
  get problems(): readonly Problem[] {
    return this.#problems;
  }
}

function next(before: GatewayLive | undefined, { at, receivedAt, report }: ReceivedReport): GatewayLive {
  const seconds = before === undefined ? 0 : (receivedAt - before.receivedAt) / 1000;
  const continues = before !== undefined && seconds > 0 && report.uptime_secs >= before.report.uptime_secs;
  if (!continues) return { at, receivedAt, report, rates: new Map(), total: undefined, history: [] };
  const rates = ratesOf(before.report, report, seconds);
  const total = sum(rates.values());
  return { at, receivedAt, report, rates, total, history: [...before.history, total].slice(-MAX_HISTORY) };
}

function ratesOf(before: GatewayReport, after: GatewayReport, seconds: number): Map<Id, Rate> {
  const known = new Map(before.clients.map((client) => [client.client_id, client]));
  // A client that was not among those that a long report had room for may have moved anything before.
  const complete = before.clients.length < MAX_REPORTED_CLIENTS;
  const rates = new Map<Id, Rate>();
  for (const client of after.clients) {
    const old = known.get(client.client_id);
    if (!old && !complete) continue;
    rates.set(client.client_id, {
      in: Math.min(moved(old?.bytes_in ?? 0, client.bytes_in) / seconds, MAX_RATE),
      out: Math.min(moved(old?.bytes_out ?? 0, client.bytes_out) / seconds, MAX_RATE),
    });
  }
  return rates;
}

function moved(before: number, after: number): number {
  return after >= before ? after - before : after;
}

function sum(rates: Iterable<Rate>): Rate {
  const total = { in: 0, out: 0 };
  for (const rate of rates) {
    total.in += rate.in;
    total.out += rate.out;
  }
  return total;
}
