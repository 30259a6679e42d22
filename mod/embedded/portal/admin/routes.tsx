/** @jsxImportSource hono/jsx */
/**
 * The admin pages, to be mounted at `/admin` behind {@link browser}, which has checked every form's CSRF token before
 * a handler here runs. Nothing is changed by GET; whoever isn't a signed-in admin sees nothing and changes nothing.
 */
import { type Context, Hono } from "hono";
import type { Child } from "hono/jsx";
import { peerOf } from "../server/peer.ts";
import { browserUser, csrfField } from "../sign_in/mod.ts";
import { FAR_FUTURE, type UserPolicy } from "../policy/policy.ts";
import { Name } from "./components.tsx";
import { Layout, PlainPage } from "./layout.tsx";
import type { LiveState } from "./live_state.ts";
import { activityPage } from "./pages/activity.tsx";
import { devicePage } from "./pages/device.tsx";
import { devicesPage } from "./pages/devices.tsx";
import { gatewayPage } from "./pages/gateway.tsx";
import { gatewaysPage } from "./pages/gateways.tsx";
import { overview } from "./pages/overview.tsx";
import { peoplePage } from "./pages/people.tsx";
import { personPage } from "./pages/person.tsx";
import { resourcePage } from "./pages/resource.tsx";
import { resourcesPage } from "./pages/resources.tsx";
import { LIFETIMES, newTokenPage, sessionsPage } from "./pages/sessions.tsx";
import { contentSecurity } from "./security.ts";
import { type AdminPortal, Snapshot } from "./snapshot.ts";
import type { Page, View } from "./view.ts";

const TOKEN_BYTES = 32;
const DAY = 86_400;

export interface AdminOptions {
  /** Where the portal's paths begin: empty, or like `/vpn`. */
  readonly basePath: string;
  readonly live: LiveState;
  /** Of this software. */
  readonly version: string | undefined;
  random(length: number): Uint8Array;
  /** Takes a sentence for the operator. */
  log(text: string): void;
  /** Why no device is served at the moment, if so. */
  readonly suspended?: () => Error | undefined;
  /** Who sent the request; by the browser's session when absent. */
  readonly currentUser?: (c: Context) => UserPolicy | undefined;
  /** Hidden field of forms; that of the browser's session when absent. */
  readonly csrfField?: (c: Context) => Child;
}

/** Behind the door, there is an admin. */
interface Env {
  readonly Variables: { admin: UserPolicy };
}

export function adminRoutes(portal: AdminPortal, options: AdminOptions): Hono<Env> {
  const { basePath, live, version, random, log } = options;
  const { currentUser = browserUser, csrfField: hiddenField = csrfField } = options;
  const base = `${basePath}/admin`;
  const app = new Hono<Env>();

  const viewOf = (c: Context<Env>): View => {
    const url = new URL(c.req.url);
    const { host = url.host, secure } = peerOf(c);
    return {
      snapshot: new Snapshot(portal, live, options.suspended?.()?.message),
      user: c.get("admin"),
      base,
      signOutPath: `${basePath}/`,
      url,
      apiUrl: `${secure || url.protocol === "https:" ? "wss" : "ws"}://${host}${basePath}`,
      csrf: hiddenField(c),
    };
  };
  const show = (c: Context, view: View, page: Page | undefined) =>
    page
      ? c.html(<Layout view={view} page={page} />)
      : c.html(<Layout view={view} page={missing(view)} />, 404);

  app.use(contentSecurity);
  app.use(async (c, next) => {
    const user = currentUser(c);
    if (user?.admin) {
      c.set("admin", user);
      return await next();
    }
    if (user) return c.html(<NotAdmin user={user} home={`${basePath}/`} />, 403);
    if (c.req.method !== "GET") return c.text("Sign in first.", 401);
    return c.redirect(`${basePath}/?next=admin`, 303);
  });

  const page = (path: string, make: (view: View, parameter: string) => Page | undefined) =>
    app.get(path, (c) => {
      const view = viewOf(c);
      return show(c, view, make(view, c.req.param("key") ?? ""));
    });
  page("/", (view) => overview(view, version));
  page("/gateways", gatewaysPage);
  page("/gateways/:key", (view, id) => {
    const device = view.snapshot.devices.get(id);
    return device?.role === "gateway" ? gatewayPage(view, device) : undefined;
  });
  page("/people", peoplePage);
  page("/people/:key", (view, name) => {
    const actor = view.snapshot.actor(name);
    return actor && personPage(view, actor);
  });
  page("/devices", devicesPage);
  page("/devices/:key", (view, id) => {
    const device = view.snapshot.devices.get(id);
    return device?.role === "client" ? devicePage(view, device) : undefined;
  });
  page("/resources", resourcesPage);
  page("/resources/:key", (view, id) => {
    const resource = view.snapshot.resource(id);
    return resource && resourcePage(view, resource);
  });
  page("/activity", activityPage);
  page("/sessions", sessionsPage);

  const done = (c: Context, path: string, word: string) => c.redirect(`${base}${path}?done=${word}`, 303);
  const note = (c: Context<Env>, what: string) =>
    log(`${c.get("admin").name} ${what}, from ${peerOf(c).ip || "an unknown address"}.`);

  app.post("/devices/:id/disconnect", (c) => {
    const id = c.req.param("id");
    const device = portal.devices().find((one) => one.id === id);
    if (!device || !portal.disconnect(id)) return done(c, "/devices", "gone");
    note(c, `disconnected ${device.role} "${device.name}" (${id})`);
    return done(c, `/${device.role === "gateway" ? "gateways" : "devices"}/${id}`, "disconnected");
  });
  app.post("/devices/:id/verify", async (c) => {
    const id = c.req.param("id");
    const verified = (await c.req.parseBody()).verified === "yes";
    const device = portal.devices().find((one) => one.id === id && one.role === "client");
    if (!device || !portal.verify(id, verified)) return done(c, "/devices", "gone");
    note(c, `${verified ? "verified" : "took the verified mark from"} "${device.name}" (${id})`);
    return done(c, `/devices/${id}`, verified ? "verified" : "unverified");
  });
  app.post("/sessions/:id/revoke", (c) => {
    const id = c.req.param("id");
    const record = portal.tokens().find((one) => one.id === id);
    if (!record || !portal.revokeToken(id)) return done(c, "/sessions", "gone");
    note(c, `revoked a ${record.providerId === undefined ? "token" : "session"} of ${record.owner} (${id})`);
    return done(c, "/sessions", "revoked");
  });
  app.post("/sessions", async (c) => {
    const fields = await c.req.parseBody();
    const [, role, owner = ""] = /^(gateway|client) (.+)$/s.exec(String(fields.for ?? "")) ?? [];
    const days = LIFETIMES.find((one) => one === fields.days);
    const entry = role === "gateway"
      ? portal.policy.gateways.find(({ name }) => name === owner)
      : portal.policy.actors.find(({ name, kind }) =>
        role === "client" && kind === "client" && name === owner
      );
    if (!entry || days === undefined) {
      return c.html(
        <PlainPage title="This can't be made">
          <p>Choose whom the token is for, and for how long.</p>
        </PlainPage>,
        400,
      );
    }
    const token = random(TOKEN_BYTES).toBase64({ alphabet: "base64url", omitPadding: true });
    const expiresAt = days === "" ? FAR_FUTURE : portal.unixNow() + Number(days) * DAY;
    const record = portal.addToken(token, {
      role: role === "gateway" ? "gateway" : "client",
      owner,
      providerId: undefined,
      expiresAt,
    });
    note(c, `made a token for ${role} ${owner} (${record.id})`);
    const view = viewOf(c);
    return show(c, view, newTokenPage(view, record, token));
  });
  app.all("*", (c) => {
    const { pathname, search } = new URL(c.req.url);
    if (c.req.method === "GET" && pathname.endsWith("/")) {
      return c.redirect(pathname.replace(/\/+$/, "") + search, 301);
    }
    return show(c, viewOf(c), undefined);
  });
  return app;
}

function missing(view: View): Page {
  return {
    title: "Not found",
    body: (
      <>
        <h1>Not found</h1>
        <p>
          There is nothing here, or it is gone. <a href={view.base}>Go to the overview</a>.
        </p>
      </>
    ),
  };
}

function NotAdmin({ user, home }: { user: UserPolicy; home: string }) {
  return (
    <PlainPage title="For admins only">
      <p>
        These pages are for users with <code>admin = true</code> in the policy file;{" "}
        <Name text={user.displayName} /> is none.
      </p>
      <p>
        <a href={home}>Back</a>
      </p>
    </PlainPage>
  );
}
