/** What happened to names since the start, for /metrics. */
import { Counters } from "../packet/counters.ts";

export class DnsCounts {
  readonly counters = new Counters();
  readonly forwarded = this.counters.register("dns_queries_forwarded");
  readonly failed = this.counters.register("dns_queries_failed");
  readonly refusedBusy = this.counters.register("dns_queries_refused_busy");
  readonly malformedQueries = this.counters.register("dns_queries_malformed");
  readonly ignoredAnswers = this.counters.register("dns_answers_ignored");
  readonly refusedConnections = this.counters.register("dns_connections_refused");
  readonly lookups = this.counters.register("dns_lookups");
  readonly lookupsKnown = this.counters.register("dns_lookups_known");
  readonly lookupsFailed = this.counters.register("dns_lookups_failed");
  readonly lookupsStale = this.counters.register("dns_lookups_stale");

  /** @param what one of the fields */
  add(what: number): void {
    this.counters.add(what);
  }
}
