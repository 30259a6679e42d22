/** What every page is given: the portal at this moment, and the request that asks. */
import type { Child } from "hono/jsx";
import type { UserPolicy } from "../policy/policy.ts";
import type { Snapshot } from "./snapshot.ts";

export interface View {
  readonly snapshot: Snapshot;
  readonly user: UserPolicy;
  /** Path of the overview, without a slash at its end. */
  readonly base: string;
  /** Where the form to sign out goes. */
  readonly signOutPath: string;
  /** Of the page itself, with its query. */
  readonly url: URL;
  /** Where devices connect to, as this browser sees the portal: `wss://portal.example`. */
  readonly apiUrl: string;
  /** Hidden field of every form that changes something. */
  readonly csrf: Child;
}

export interface Page {
  readonly title: string;
  readonly body: Child;
  /** The page is shown once and not refreshed: it holds something that another request would not bring again. */
  readonly once?: boolean;
}

export const PAGE_SIZE = 50;

/** A part of a long list, by the query's `page` (from 1). */
export interface Slice<T> {
  readonly rows: readonly T[];
  readonly page: number;
  readonly pages: number;
  readonly total: number;
}

export function slice<T>(rows: readonly T[], url: URL): Slice<T> {
  const pages = Math.max(Math.ceil(rows.length / PAGE_SIZE), 1);
  const wanted = Number.parseInt(url.searchParams.get("page") ?? "1", 10);
  const page = Math.min(Math.max(Number.isNaN(wanted) ? 1 : wanted, 1), pages);
  return { rows: rows.slice((page - 1) * PAGE_SIZE, page * PAGE_SIZE), page, pages, total: rows.length };
}

/** What somebody looks for, in lower case and no longer than a name; empty: everything. */
export function searchText(url: URL, name = "q"): string {
  return (url.searchParams.get(name) ?? "").trim().slice(0, 255).toLowerCase();
}
