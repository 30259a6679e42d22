/** What happened to names, by kind, since the start. */
export class DnsCounts {
  /** Queries that were passed on. */
  forwarded = 0;
  /** Queries that were answered with SERVFAIL. */
  failed = 0;
  /** Of these: because too many were under way. */
  refusedBusy = 0;
  /** Bytes that are no query. */
  malformedQueries = 0;
  /** Answers with another source, id or question than was asked for, or unreadable ones. */
  ignoredAnswers = 0;
  /** Connections beyond the limits. */
  refusedConnections = 0;
  /** Names looked up, and what came of it. */
  lookups = 0;
  lookupsFromCache = 0;
  lookupsFailed = 0;
  /** Failed look-ups that were answered with what was known before. */
  lookupsStale = 0;
}
