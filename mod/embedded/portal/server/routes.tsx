/** @jsxImportSource hono/jsx */
/** What the portal answers to plain HTTP: its health, and pages for people. */
import { type Context, Hono, type MiddlewareHandler } from "hono";
import { adminRoutes, type LiveState } from "../admin/mod.ts";
import { browser, type BrowserSessions, signInRoutes } from "../sign_in/mod.ts";
import { MessagePage } from "../sign_in/pages.tsx";
import { StoreError } from "../store/store_error.ts";
import { DEVICE_PATHS } from "./device_login.ts";
import { peerOf, setPeer, sourceOf } from "./peer.ts";
import { TokenBuckets } from "./token_buckets.ts";
import type { Portal } from "./portal.ts";
import type { Remote, TrustedProxies } from "./trusted_proxies.ts";

export interface RoutesOptions {
  /** Empty, or like `/vpn`. */
  readonly basePath: string;
  readonly proxies: TrustedProxies;
  readonly sessions: BrowserSessions;
  random(length: number): Uint8Array;
  log(level: "info" | "warning", text: string): void;
  /** Why nobody is served at the moment, if so. */
  suspended(): Error | undefined;
  /** What the admin pages show of gateways. */
  readonly live: LiveState;
  /** Of this software. */
  readonly version: string | undefined;
}

/** Of one source: people who click, and pages that look for news every few seconds. */
const PAGES = { burst: 400, seconds: 0.05 };

const HEADERS = {
  "cache-control": "no-store",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
};
/** Browsers complain about it where it can't count. */
const SECURE_HEADERS = { "cross-origin-opener-policy": "same-origin" };

/** To be called by `fetch(request, remote)`. */
export function portalRoutes(portal: Portal, options: RoutesOptions): Hono<{ Bindings: Remote }> {
  const { basePath, proxies, sessions, random, log, suspended, live, version } = options;
  // Anybody may ask: the reason is in the log, and at `/readyz` of the program's own port.
  const health = (c: Context) =>
    suspended() ? c.json({ status: "suspended" }, 503) : c.json({ status: "ok" });
  const limits = new TokenBuckets(PAGES);
  const pages = new Hono();
  pages.use(async (c, next) => {
    const wait = limits.take(sourceOf(peerOf(c).ip), performance.now() / 1000);
    return wait === 0 ? await next() : c.text("Too many requests.", 429, { "retry-after": String(wait) });
  });
  pages.use(headers);
  pages.use(browser(sessions));
  const note = (text: string) => log("info", text);
  pages.route("/admin", adminRoutes(portal, { basePath, live, version, random, log: note, suspended }));
  pages.route("/", signInRoutes(portal, { basePath, random, log: note }));

  const app = new Hono<{ Bindings: Remote }>();
  app.use(async (c, next) => {
    setPeer(c, proxies.peer(c.req.raw.headers, c.env));
    await next();
  });
  app.get("/healthz", health);
  if (basePath !== "") app.get(`${basePath}/healthz`, health);
  for (const path of DEVICE_PATHS) {
    app.get(basePath + path, (c) => c.text("WebSocket expected", 426, { upgrade: "websocket" }));
    app.all(basePath + path, (c) => c.text("Method not allowed", 405, { allow: "GET" }));
  }
  app.route(basePath || "/", pages);
  app.notFound((c) => c.text("There is nothing here.", 404));
  app.onError((error, c) => {
    if (error instanceof StoreError) {
      c.header("retry-after", "5");
      return c.html(
        <MessagePage title="Not now" text="The portal can't store anything at the moment." />,
        503,
      );
    }
    log("warning", `A page failed: ${error.stack ?? error.message}`);
    return c.html(<MessagePage title="Something went wrong" text="The portal's log says what." />, 500);
  });
  return app;
}

const headers: MiddlewareHandler = async (c, next) => {
  await next();
  const all = { ...HEADERS, ...(peerOf(c).secure && SECURE_HEADERS) };
  for (const [name, value] of Object.entries(all)) {
    if (!c.res.headers.has(name)) c.res.headers.set(name, value);
  }
};
