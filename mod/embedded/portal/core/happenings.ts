/**
 * What people look at when something doesn't work: the latest report of each gateway, and what was refused, here or
 * there. Everything is bounded; the same refusal again within a minute counts instead of filling the list, and refused
 * logins, which anybody on the network can cause, have a list of their own.
 */
import type { GatewayReport, Id, ReportedEvent } from "../../../portal/types.ts";

const MAX_REPORTS = 1_000;
const MAX_EVENTS = 1_000;
const MAX_REFUSED_LOGINS = 200;
/** Seconds. */
const SAME = 60;

export interface ReceivedReport {
  readonly gatewayId: Id;
  /** Unix seconds. */
  readonly at: number;
  /** Monotonic milliseconds: rates want them more exact. */
  readonly receivedAt: number;
  readonly report: GatewayReport;
}

export interface RefusedLogin {
  readonly kind: "login_refused";
  readonly role: string;
  readonly remoteIp: string;
  readonly name: string | undefined;
  readonly code: string;
  readonly detail: string;
}

export interface RefusedAccess {
  readonly kind: "access_refused";
  readonly clientId: Id;
  readonly resourceId: Id;
  /** `not_found`, `forbidden`, `offline`, `version_mismatch` */
  readonly reason: string;
  /** Properties of the conditions that weren't met. */
  readonly violated: readonly string[];
}

/** A flow that is over or a packet that was denied, as a gateway told. */
export interface GatewayEvent {
  readonly kind: "gateway";
  readonly gatewayId: Id;
  readonly event: ReportedEvent;
}

export type Happening = {
  /** Unix seconds, of the last time. */
  readonly at: number;
  /** How often it has happened within a minute of each other. */
  readonly count: number;
} & (RefusedLogin | RefusedAccess | GatewayEvent);

interface Entry {
  readonly number: number;
  readonly happening: Happening;
}

export class Happenings {
  readonly #reports = new Map<Id, ReceivedReport>();
  /** By what makes two of them the same; the oldest first. */
  readonly #events = new Map<string, Entry>();
  readonly #logins = new Map<string, Entry>();
  #next = 0;

  /** The latest of each gateway. */
  get reports(): readonly ReceivedReport[] {
    return [...this.#reports.values()];
  }

  /** The newest last. */
  get recent(): readonly Happening[] {
    return [...this.#events.values(), ...this.#logins.values()]
      .sort((a, b) => a.number - b.number)
      .map(({ happening }) => happening);
  }

  handleReport(gatewayId: Id, report: GatewayReport, at: number, now: number): void {
    this.#reports.delete(gatewayId);
    this.#reports.set(gatewayId, { gatewayId, at, receivedAt: now, report });
    trim(this.#reports, MAX_REPORTS);
    for (const event of report.events) {
      this.#add(this.#events, String(this.#next), {
        at: event.at,
        count: 1,
        kind: "gateway",
        gatewayId,
        event,
      });
    }
    trim(this.#events, MAX_EVENTS);
  }

  handleRefusedLogin(refused: Omit<RefusedLogin, "kind">, at: number): void {
    const key = `${refused.role} ${refused.remoteIp} ${refused.code}`;
    const count = countOf(this.#logins.get(key), at);
    this.#add(this.#logins, key, { at, count, kind: "login_refused", ...refused });
    trim(this.#logins, MAX_REFUSED_LOGINS);
  }

  handleRefusedAccess(refused: Omit<RefusedAccess, "kind">, at: number): void {
    const key = `${refused.clientId} ${refused.resourceId} ${refused.reason}`;
    const count = countOf(this.#events.get(key), at);
    this.#add(this.#events, key, { at, count, kind: "access_refused", ...refused });
    trim(this.#events, MAX_EVENTS);
  }

  #add(list: Map<string, Entry>, key: string, happening: Happening): void {
    list.delete(key);
    list.set(key, { number: this.#next++, happening });
  }
}

function countOf(known: Entry | undefined, at: number): number {
  if (known === undefined || Math.abs(at - known.happening.at) > SAME) return 1;
  return known.happening.count + 1;
}

function trim(map: Map<string, unknown>, limit: number): void {
  while (map.size > limit) map.delete(map.keys().next().value!);
}
