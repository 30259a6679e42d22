/** @jsxImportSource hono/jsx */
/** The sign-in pages: plain forms that work without scripts, on any screen, in light and dark. */
import type { Child } from "hono/jsx";
import { raw } from "hono/html";
import type { Context } from "hono";
import { csrfField } from "./browser.tsx";
import { STYLE } from "./style.ts";

interface SheetProps {
  readonly title: string;
  /** Something that went wrong. */
  readonly alert?: string | undefined;
  /** Where the browser goes next by itself. */
  readonly goTo?: string;
  readonly children?: Child;
}

/** One page. */
export function Sheet({ title, alert, goTo, children }: SheetProps) {
  return (
    <>
      {raw("<!DOCTYPE html>")}
      <html lang="en">
        <head>
          <meta charset="utf-8" />
          <meta name="viewport" content="width=device-width, initial-scale=1" />
          <meta name="robots" content="noindex" />
          {goTo !== undefined && <meta http-equiv="refresh" content={`0; url=${goTo}`} />}
          <title>{title}</title>
          <style>{raw(STYLE)}</style>
        </head>
        <body>
          <main>
            <h1>{title}</h1>
            {alert !== undefined && <p role="alert">{alert}</p>}
            {children}
          </main>
        </body>
      </html>
    </>
  );
}

interface FormProps {
  readonly c: Context;
  /** What the form is for: the field `step`. */
  readonly step: string;
  readonly children?: Child;
}

/** A form that comes back to the address it is at. */
export function Form({ c, step, children }: FormProps) {
  return (
    <form method="post">
      {csrfField(c)}
      <input type="hidden" name="step" value={step} />
      {children}
    </form>
  );
}

export function PasswordPage(
  { c, account, alert, name, forDevice, readable }: {
    readonly c: Context;
    readonly account: string;
    readonly alert?: string | undefined;
    readonly name?: string | undefined;
    readonly forDevice: boolean;
    /** By anybody on the way. */
    readonly readable: boolean;
  },
) {
  return (
    <Sheet title={`Sign in to ${account}`} alert={alert}>
      <p class="soft">
        {forDevice
          ? "A client on this device asks for access in your name."
          : "To connect a device, sign in from its client instead: it opens this page by itself."}
      </p>
      {readable && (
        <p role="alert">This connection is not encrypted: others on the way can read what you type.</p>
      )}
      <Form c={c} step="password">
        <label for="name">Name</label>
        <input
          id="name"
          name="name"
          value={name}
          autocomplete="username"
          autocapitalize="none"
          required
          autofocus={name === undefined}
        />
        <label for="password">Password</label>
        <input
          id="password"
          name="password"
          type="password"
          autocomplete="current-password"
          required
          autofocus={name !== undefined}
        />
        <button type="submit">Sign in</button>
      </Form>
    </Sheet>
  );
}

export function CodePage(
  { c, ticket, alert }: { readonly c: Context; readonly ticket: string; readonly alert?: string | undefined },
) {
  return (
    <Sheet title="One more step" alert={alert}>
      <p class="soft">Enter the six digits that your authenticator app shows.</p>
      <Form c={c} step="code">
        <input type="hidden" name="ticket" value={ticket} />
        <label for="code">One-time code</label>
        <input
          id="code"
          name="code"
          inputmode="numeric"
          autocomplete="one-time-code"
          maxlength={9}
          required
          autofocus
        />
        <button type="submit">Continue</button>
      </Form>
    </Sheet>
  );
}

/** Somebody is signed in here already, and a device asks. */
export function ConfirmPage(
  { c, actor, headless }: { readonly c: Context; readonly actor: string; readonly headless: boolean },
) {
  return (
    <Sheet title={`Sign in as ${actor} on this device?`}>
      <p class="soft">
        {headless
          ? "You get a token that lets one device act in your name."
          : "A client on this device asks for access in your name. Go on only if you have just started that yourself."}
      </p>
      <Form c={c} step="confirm">
        <button type="submit">Continue as {actor}</button>
      </Form>
      <Form c={c} step="sign_out">
        <button type="submit" class="quiet">Use another account</button>
      </Form>
    </Sheet>
  );
}

/** The client takes over. */
export function OpenClientPage({ url, actor }: { readonly url: string; readonly actor: string }) {
  return (
    <Sheet title={`Signed in as ${actor}`} goTo={url}>
      <p class="soft">Your client opens now. When it is connected, you can close this page.</p>
      <a class="button" id="open" href={url}>Open the client</a>
    </Sheet>
  );
}

export function TokenPage({ token, until }: { readonly token: string; readonly until: string }) {
  return (
    <Sheet title="Your token">
      <p>Copy it into the client that asked for it. It is shown this once.</p>
      <code class="token" id="token" tabindex={0}>{token}</code>
      <p class="soft">
        Whoever has it is you until {until}. You can end it before that at this portal's front page.
      </p>
    </Sheet>
  );
}

export interface DeviceSession {
  readonly id: string;
  /** Name of the device that is connected with it. */
  readonly device: string | undefined;
  readonly since: string;
  readonly until: string;
}

export function HomePage(
  { c, actor, admin, sessions }: {
    readonly c: Context;
    readonly actor: string;
    /** Where the admin pages are, for those who may. */
    readonly admin: string | undefined;
    readonly sessions: readonly DeviceSession[];
  },
) {
  return (
    <Sheet title={`Signed in as ${actor}`}>
      <p class="soft">To connect a device, open its client and choose to sign in there.</p>
      {admin !== undefined && <a class="button" id="admin" href={admin}>Administration</a>}
      <h2>Devices that are signed in</h2>
      {sessions.length === 0 && <p class="soft">None.</p>}
      <ul>
        {sessions.map(({ id, device, since, until }) => (
          <li>
            <span>
              {device ?? "Not connected"}
              <br />
              <span class="soft">
                signed in {since}
                <br />until {until}
              </span>
            </span>
            <Form c={c} step="revoke">
              <input type="hidden" name="session" value={id} />
              <button type="submit" class="quiet" aria-label={`End the session that began ${since}`}>
                End
              </button>
            </Form>
          </li>
        ))}
      </ul>
      <Form c={c} step="sign_out">
        <button type="submit" class="quiet">Sign out of this browser</button>
      </Form>
    </Sheet>
  );
}

export function MessagePage(
  { title, text, retry }: { readonly title: string; readonly text: string; readonly retry?: string },
) {
  return (
    <Sheet title={title}>
      <p>{text}</p>
      {retry !== undefined && <a class="button" href={retry}>Try again</a>}
    </Sheet>
  );
}
