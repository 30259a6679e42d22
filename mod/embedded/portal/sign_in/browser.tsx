/** @jsxImportSource hono/jsx */
/**
 * The browser's side of a session: its cookie, and the proof that a form was sent by one of our own pages. `browser`
 * is the middleware that everything with pages runs behind; it refuses every changing request without that proof,
 * before any handler sees it:
 *
 * - the hidden field of {@link csrfField}, an HMAC of the session's cookie,
 * - and no word of the browser that another site sent it (Sec-Fetch-Site, else Origin).
 */
import type { Context, MiddlewareHandler } from "hono";
import { getCookie, setCookie } from "hono/cookie";
import { peerOf } from "../server/peer.ts";
import type { UserPolicy } from "../policy/policy.ts";
import { type BrowserSessions, SESSION_LIFETIME } from "./sessions.ts";

const KEY = "browser";
export const CSRF_FIELD = "csrf";

interface Browser {
  readonly sessions: BrowserSessions;
  /** Of the cookie: of a session, or of a visitor. */
  id: string;
}

/** Gives each request its session, each visitor a cookie; refuses forms that none of our pages made. */
export function browser(sessions: BrowserSessions): MiddlewareHandler {
  return async (c, next) => {
    const given = getCookie(c, cookieName(c));
    const known = given !== undefined && /^[\w-]{43}$/.test(given);
    c.set(KEY, { sessions, id: known ? given : sessions.newId() } satisfies Browser);
    if (!known) writeCookie(c);
    if (c.req.method !== "GET" && c.req.method !== "HEAD" && !await checkCsrf(c)) {
      return c.text(
        "This form is out of date, or was not made by this site. Go back, reload the page and try again.",
        403,
      );
    }
    return await next();
  };
}

/** Who is signed in at the browser that sent this request. */
export function browserUser(c: Context): UserPolicy | undefined {
  const { sessions, id } = browserOf(c);
  return sessions.user(id);
}

/** The hidden field that each form with `method="post"` carries. */
export function csrfField(c: Context) {
  return <input type="hidden" name={CSRF_FIELD} value={csrfToken(c)} />;
}

export function csrfToken(c: Context): string {
  const { sessions, id } = browserOf(c);
  return sessions.csrfToken(id);
}

/** Names this browser's session, or its visit; as secret as the cookie. */
export function browserId(c: Context): string {
  return browserOf(c).id;
}

/** Whether one of our own pages made this form. {@link browser} asks before any handler runs. */
export async function checkCsrf(c: Context): Promise<boolean> {
  const site = c.req.header("sec-fetch-site"), origin = c.req.header("origin");
  if (site !== undefined) {
    if (site !== "same-origin" && site !== "none") return false;
  } else if (origin !== undefined && origin !== "null") {
    // Our pages say `Referrer-Policy: no-referrer`, with which browsers send the origin "null".
    if (hostOf(origin) !== peerOf(c).host) return false;
  }
  const { sessions, id } = browserOf(c);
  // What is no form has no token.
  const token = (await c.req.parseBody().catch(() => ({} as Record<string, unknown>)))[CSRF_FIELD];
  return typeof token === "string" && sessions.isCsrfToken(id, token);
}

/** The browser is this user's from now on, under a new id: one that somebody else planted is worth nothing. */
export function signIn(c: Context, user: UserPolicy): void {
  const browser = browserOf(c);
  browser.sessions.close(browser.id);
  browser.id = browser.sessions.open(user);
  writeCookie(c);
}

export function signOut(c: Context): void {
  const browser = browserOf(c);
  browser.sessions.close(browser.id);
  browser.id = browser.sessions.newId();
  writeCookie(c);
}

/** The prefix makes browsers insist on HTTPS and on this very host; a plain loopback can't have it. */
export function cookieName(c: Context): string {
  return peerOf(c).secure ? "__Host-postern" : "postern";
}

function writeCookie(c: Context): void {
  setCookie(c, cookieName(c), browserOf(c).id, {
    path: "/",
    httpOnly: true,
    sameSite: "Lax",
    secure: peerOf(c).secure,
    maxAge: SESSION_LIFETIME,
  });
}

function browserOf(c: Context): Browser {
  return c.get(KEY);
}

function hostOf(origin: string): string | undefined {
  try {
    return new URL(origin).host;
  } catch {
    return undefined;
  }
}
