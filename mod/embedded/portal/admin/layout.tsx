/** @jsxImportSource hono/jsx */
/** The frame around every page: who is here, where one can go, and how the page keeps itself up to date. */
import { raw } from "hono/html";
import type { Child } from "hono/jsx";
import { Name } from "./components.tsx";
import { visible } from "./format.ts";
import { SCRIPT, STYLE } from "./security.ts";
import type { Page, View } from "./view.ts";

const SECTIONS = [
  ["", "Overview"],
  ["/gateways", "Gateways"],
  ["/people", "People"],
  ["/devices", "Devices"],
  ["/resources", "Resources"],
  ["/activity", "Activity"],
  ["/sessions", "Sessions"],
] as const;

const MARK =
  `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><path d="M6 29V14a10 10 0 0 1 20 0v15" ` +
  `fill="none" stroke="#3a7bd5" stroke-width="4"/><path d="M16 29V15" stroke="#3a7bd5" stroke-width="4"/>` +
  `<circle cx="16" cy="14" r="3.5" fill="#3a7bd5"/></svg>`;
const ICON = `data:image/svg+xml,${encodeURIComponent(MARK)}`;

/** What was just done, by the word that the redirect carried. */
const NOTICES: Readonly<Record<string, string>> = {
  revoked: "Revoked. Devices that came with it are out.",
  disconnected: "Disconnected.",
  verified: "Marked as verified.",
  unverified: "The verified mark is gone.",
  gone: "That was gone already.",
};

export function Layout({ view, page }: { view: View; page: Page }) {
  const { base, url, user, csrf } = view;
  const notice = NOTICES[url.searchParams.get("done") ?? ""];
  return (
    <Document title={`${visible(page.title)} · Postern`}>
      <a class="skip" href="#main">Skip to content</a>
      <header>
        <a class="brand" href={base}>{raw(MARK.replace("<svg", '<svg aria-hidden="true"'))}Postern</a>
        <nav aria-label="Sections">
          {SECTIONS.map(([path, name]) => (
            <a href={`${base}${path}`} {...isCurrent(view, path) ? { "aria-current": "page" as const } : {}}>
              {name}
            </a>
          ))}
        </nav>
        <form class="who" method="post" action={view.signOutPath}>
          <span class="muted">
            <Name text={user.displayName} />
          </span>
          {csrf}
          <input type="hidden" name="step" value="sign_out" />
          <button type="submit">Sign out</button>
        </form>
      </header>
      <main id="main" tabindex={-1} {...page.once ? {} : { "data-live": "" }}>
        {notice !== undefined && <p class="notice" role="status">{notice}</p>}
        {page.body}
      </main>
      <footer>
        <button type="button" id="live" hidden aria-pressed="true">Live</button>
        <span id="trouble" role="status"></span>
        <span id="zone" class="muted">Times are UTC.</span>
      </footer>
      <script>{raw(SCRIPT)}</script>
    </Document>
  );
}

/** A page for somebody who may not see the others, or for what isn't there. */
export function PlainPage({ title, children }: { title: string; children?: Child }) {
  return (
    <Document title={`${title} · Postern`}>
      <main id="main">
        <h1>{title}</h1>
        {children}
      </main>
    </Document>
  );
}

function Document({ title, children }: { title: string; children?: Child }) {
  return (
    <>
      {raw("<!DOCTYPE html>")}
      <html lang="en">
        <head>
          <meta charset="utf-8" />
          <meta name="viewport" content="width=device-width, initial-scale=1" />
          <meta name="color-scheme" content="light dark" />
          <meta name="robots" content="noindex" />
          <title>{title}</title>
          <link rel="icon" href={ICON} />
          <style>{raw(STYLE)}</style>
        </head>
        <body>{children}</body>
      </html>
    </>
  );
}

function isCurrent({ base, url }: View, path: string): boolean {
  const here = url.pathname.slice(base.length).replace(/\/$/, "");
  return path === "" ? here === "" : here === path || here.startsWith(`${path}/`);
}
