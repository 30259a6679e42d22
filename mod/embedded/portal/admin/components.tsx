/** @jsxImportSource hono/jsx */
// deno-lint-ignore-file jsx-key -- rendered once on the server, never reconciled
/** The building blocks of the pages: names of strangers, times, states, tables that become cards, forms. */
import type { Child } from "hono/jsx";
import { iso, plural, relative, utc, visible } from "./format.ts";
import type { Slice, View } from "./view.ts";
import { FAR_FUTURE } from "../policy/policy.ts";

/** Text that somebody else chose, which can't reach out of its place. */
export function Name({ text, limit }: { text: string; limit?: number }) {
  return <bdi>{visible(text, limit)}</bdi>;
}

/** A moment, told from now; the script puts the absolute time in the viewer's zone into its title. */
export function Ago({ at, now }: { at: number; now: number }) {
  return <time datetime={iso(at)} title={utc(at)}>{relative(at, now)}</time>;
}

/** A moment; the script writes it in the viewer's zone. */
export function Moment({ at }: { at: number }) {
  return <time datetime={iso(at)} title={utc(at)} data-local="">{utc(at)}</time>;
}

export function Expiry({ at, now }: { at: number; now: number }) {
  return at >= FAR_FUTURE ? <span class="muted">never</span> : <Ago at={at} now={now} />;
}

export type Mood = "good" | "warn" | "bad" | "idle";

/** A state as a word behind a mark; colour and shape of the mark say the same again. */
export function State({ mood, children }: { mood: Mood; children?: Child }) {
  return <span class={`state ${mood}`}>{children}</span>;
}

export function Online({ yes }: { yes: boolean }) {
  return <State mood={yes ? "good" : "idle"}>{yes ? "online" : "offline"}</State>;
}

export function Muted({ children }: { children?: Child }) {
  return <span class="muted">{children}</span>;
}

export interface Column<T> {
  readonly title: string;
  readonly cell: (row: T) => Child;
  readonly numeric?: boolean;
}

/**
 * A table whose first column heads its rows. On narrow screens rows become cards; roles are spelled out, since a
 * changed `display` takes them away.
 * @param keyOf something that stays the same for a row while the rows around it change
 */
export function Table<T>({ caption, columns, rows, keyOf, empty }: {
  caption: string;
  columns: readonly Column<T>[];
  rows: readonly T[];
  keyOf: (row: T) => string;
  empty: Child;
}) {
  if (rows.length === 0) return <div class="empty">{empty}</div>;
  const kind = ({ numeric }: Column<T>) => numeric ? { class: "number" } : {};
  return (
    <div class="wide">
      <table role="table">
        <caption class="unseen">{visible(caption)}</caption>
        <thead role="rowgroup">
          <tr role="row">
            {columns.map((column) => <th role="columnheader" scope="col" {...kind(column)}>{column.title}
            </th>)}
          </tr>
        </thead>
        <tbody role="rowgroup">
          {rows.map((row) => (
            <tr role="row" data-key={keyOf(row)}>
              {columns.map((column, index) =>
                index === 0
                  ? <th role="rowheader" scope="row" {...kind(column)}>{column.cell(row)}</th>
                  : <td role="cell" data-label={column.title} {...kind(column)}>{column.cell(row)}</td>
              )}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** Terms and what they are. */
export function Facts({ facts }: { facts: readonly (readonly [string, Child])[] }) {
  return (
    <dl class="facts">
      {facts.map(([term, value]) => (
        <div>
          <dt>{term}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

export function Section({ title, note, children }: { title: string; note?: Child; children?: Child }) {
  return (
    <section>
      <div class="heading">
        <h2>{title}</h2>
        {note !== undefined && <p class="muted">{note}</p>}
      </div>
      {children}
    </section>
  );
}

/** Something to type into a shell or a file. */
export function Snippet({ text }: { text: string }) {
  return (
    <div class="copyable">
      <pre class="snippet" tabindex={0} data-copy=""><code>{text}</code></pre>
    </div>
  );
}

/** Links to the other parts of a long list. */
export function Pager({ of, view, noun }: { of: Slice<unknown>; view: View; noun: string }) {
  const link = (page: number, text: string) => {
    const query = new URLSearchParams(view.url.search);
    query.set("page", String(page));
    return <a href={`?${query}`} rel={page > of.page ? "next" : "prev"}>{text}</a>;
  };
  if (of.pages === 1) return null;
  return (
    <nav class="pager" aria-label="Pages">
      {of.page > 1 && link(of.page - 1, "← Previous")}
      <span>Page {of.page} of {of.pages}, {plural(of.total, noun)}</span>
      {of.page < of.pages && link(of.page + 1, "Next →")}
    </nav>
  );
}

/** A button that changes something, behind a step that says what: it works without scripts and by keyboard. */
export function Action({ view, path, label, warning, fields = {}, button = label, danger = true }: {
  view: View;
  /** Below the pages' own. */
  path: string;
  label: string;
  warning: Child;
  fields?: Readonly<Record<string, string>>;
  button?: string;
  danger?: boolean;
}) {
  return (
    <details class="action">
      <summary>{label}…</summary>
      <form method="post" action={`${view.base}${path}`}>
        <p>{warning}</p>
        {view.csrf}
        {Object.entries(fields).map(([name, value]) => <input type="hidden" name={name} value={value} />)}
        <button type="submit" class={danger ? "danger" : "primary"}>{button}</button>
      </form>
    </details>
  );
}

/** A form that only looks: its fields become the query. */
export function Search({ view, label, children }: { view: View; label: string; children?: Child }) {
  return (
    <form class="search" method="get" role="search" aria-label={label}>
      {children}
      <button type="submit">Show</button>
      {[...view.url.searchParams.keys()].some((key) => key !== "done") && <a href="?">Clear</a>}
    </form>
  );
}
