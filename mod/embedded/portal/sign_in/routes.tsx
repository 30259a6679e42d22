/** @jsxImportSource hono/jsx */
/**
 * The pages at `/` and `/{account}`: signing in, for this browser and for a device that asks (spec portal §4.9).
 *
 * Whoever is signed in already is asked before a device gets a token: the device's request is a link, and anybody can
 * make people follow a link. Tokens are answers to forms only, and `browser` has checked whose forms they are.
 */
import { type Context, Hono } from "hono";
import { peerOf } from "../server/peer.ts";
import type { UserPolicy } from "../policy/policy.ts";
import { browserUser, signIn, signOut } from "./browser.tsx";
import { Credentials } from "./credentials.ts";
import { callbackUrl, deviceRequest } from "./device_request.ts";
import { deviceSessions, mintToken, type SignInPortal } from "./device_tokens.ts";
import { ConfirmPage, HomePage, MessagePage, OpenClientPage, TokenPage } from "./pages.tsx";
import { passwordProvider } from "./password_provider.tsx";
import { CONTENT_SECURITY_POLICY } from "./style.ts";

export interface SignInOptions {
  /** Where the portal's paths begin: empty, or like `/vpn`. */
  readonly basePath: string;
  random(length: number): Uint8Array;
  /** Takes a sentence for the operator. */
  log(text: string): void;
}

/** To be mounted behind {@link browser}. */
export function signInRoutes(portal: SignInPortal, options: SignInOptions): Hono {
  const { basePath, random, log } = options;
  const credentials = new Credentials({
    policy: () => portal.policy,
    unixNow: () => portal.unixNow(),
    random,
  });
  const provider = passwordProvider(portal, credentials, log);

  const home = (c: Context, user: UserPolicy) => {
    const names = new Map(portal.devices().map(({ session, name }) => [session?.tokenId, name]));
    const sessions = deviceSessions(portal, user).map(({ id, createdAt, expiresAt }) => ({
      id,
      device: names.get(id),
      since: dateText(createdAt),
      until: dateText(expiresAt),
    }));
    const admin = user.admin ? `${basePath}/admin` : undefined;
    return c.html(<HomePage c={c} actor={user.displayName} admin={admin} sessions={sessions} />);
  };

  const giveToken = (c: Context, user: UserPolicy) => {
    const request = deviceRequest(new URL(c.req.url).searchParams);
    if (request === undefined || request === "malformed") return malformed(c);
    const nonce = request.kind === "app" ? request.nonce : "";
    const { fragment, expiresAt } = mintToken(portal, user, nonce, provider.id, random);
    log(`${user.name} signed a device in from ${peerOf(c).ip}, until ${dateText(expiresAt)}.`);
    if (request.kind === "headless") {
      return c.html(<TokenPage token={fragment} until={dateText(expiresAt)} />);
    }
    const { slug } = portal.policy.account;
    const url = callbackUrl({
      accountSlug: slug,
      accountName: slug,
      actorName: user.displayName,
      fragment,
      providerId: provider.id,
      state: request.state,
    });
    return c.html(<OpenClientPage url={url} actor={user.displayName} />);
  };

  const get = (c: Context) => {
    const request = deviceRequest(new URL(c.req.url).searchParams);
    if (request === "malformed") return malformed(c);
    const user = browserUser(c);
    if (!user) return provider.begin(c);
    if (request === undefined) return home(c, user);
    return c.html(<ConfirmPage c={c} actor={user.displayName} headless={request.kind === "headless"} />);
  };

  const post = async (c: Context) => {
    const query = new URL(c.req.url).searchParams;
    const request = deviceRequest(query);
    if (request === "malformed") return malformed(c);
    const { step, session } = await c.req.parseBody();
    const user = browserUser(c);
    if (step === "sign_out") {
      signOut(c);
      return c.redirect(here(c), 303);
    }
    if (user && step === "confirm") return giveToken(c, user);
    if (user && step === "revoke") {
      const own = deviceSessions(portal, user).find(({ id }) => id === session);
      if (own) portal.revokeToken(own.id);
      return c.redirect(here(c), 303);
    }
    if (step !== "password" && step !== "code") return c.redirect(here(c), 303);
    const answer = await provider.proceed(c);
    if (answer instanceof Response) return answer;
    signIn(c, answer);
    log(`${answer.name} signed in at a browser from ${peerOf(c).ip}.`);
    if (request) return giveToken(c, answer);
    return c.redirect(query.get("next") === "admin" && answer.admin ? `${basePath}/admin` : here(c), 303);
  };

  const app = new Hono();
  app.use(async (c, next) => {
    await next();
    if (!c.res.headers.has("content-security-policy")) {
      c.res.headers.set("content-security-policy", CONTENT_SECURITY_POLICY);
    }
  });
  app.get("/", get).post("/", post);
  app.on(["GET", "POST"], "/:account", async (c, next) => {
    if (c.req.param("account") !== portal.policy.account.slug) return await next();
    return c.req.method === "POST" ? await post(c) : await get(c);
  });
  return app;
}

function malformed(c: Context) {
  return c.html(
    <MessagePage
      title="This link is incomplete"
      text="The client that opened this page did not say who it is. Go back to it, and sign in from there again."
    />,
    400,
  );
}

/** The page that the form is on. */
function here(c: Context): string {
  const { pathname, search } = new URL(c.req.url);
  return pathname + search;
}

function dateText(unixSeconds: number): string {
  return `${new Date(unixSeconds * 1000).toISOString().slice(0, 16).replace("T", " ")} UTC`;
}
