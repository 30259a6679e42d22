/** @jsxImportSource hono/jsx */
/** Local users: name and password, then a one-time code from those who have one. */
import type { Context } from "hono";
import { isLoopback, peerOf } from "../server/peer.ts";
import type { UserPolicy } from "../policy/policy.ts";
import { browserId } from "./browser.tsx";
import type { Credentials, Outcome } from "./credentials.ts";
import { deviceRequest } from "./device_request.ts";
import type { SignInPortal } from "./device_tokens.ts";
import type { IdentityProvider } from "./identity_provider.ts";
import { CodePage, PasswordPage } from "./pages.tsx";

/** @param log takes a sentence for the operator */
export function passwordProvider(
  portal: SignInPortal,
  credentials: Credentials,
  log: (text: string) => void,
): IdentityProvider {
  /** Names that are nobody's may be passwords in the wrong field. */
  const logWrong = (what: string, name: string, ip: string) => {
    const isUser = portal.policy.actors.some((actor) => actor.kind === "user" && actor.name === name);
    if (isUser) log(`Somebody at ${ip} gave a wrong ${what} for ${name}.`);
  };
  const form = (c: Context, alert?: string, name?: string) => (
    <PasswordPage
      c={c}
      account={portal.policy.account.slug}
      alert={alert}
      name={name}
      forDevice={deviceRequest(new URL(c.req.url).searchParams) !== undefined}
      readable={!peerOf(c).secure && !isLoopback(peerOf(c).ip)}
    />
  );
  const wait = (c: Context, { seconds, busy }: Extract<Outcome, { type: "wait" }>, name?: string) => {
    c.header("retry-after", String(seconds));
    const why = busy ? "Too many people are signing in at the moment." : "Too many attempts.";
    return c.html(form(c, `${why} Try again in ${seconds} seconds.`, name), busy ? 503 : 429);
  };
  return {
    id: "password",
    begin: (c) => c.html(form(c)),
    async proceed(c): Promise<UserPolicy | Response> {
      const fields = await c.req.parseBody();
      const field = (name: string) => String(fields[name] ?? "");
      const { ip } = peerOf(c);
      if (field("step") === "code") {
        const ticket = field("ticket");
        const outcome = credentials.checkCode(ticket, field("code"), ip, browserId(c));
        if (outcome.type === "user") return outcome.user;
        if (outcome.type === "wait") return wait(c, outcome);
        if (outcome.type === "wrong") {
          logWrong("code", outcome.name, ip);
          const alert = "This code is wrong, or was used before. Wait for the next one.";
          return c.html(<CodePage c={c} ticket={ticket} alert={alert} />, 401);
        }
        return c.html(form(c, "That took too long. Sign in again."), 401);
      }
      const name = field("name").trim();
      const outcome = await credentials.checkPassword(name, field("password"), ip, browserId(c));
      if (outcome.type === "user") return outcome.user;
      if (outcome.type === "wait") return wait(c, outcome, name);
      if (outcome.type === "code") return c.html(<CodePage c={c} ticket={outcome.ticket} />);
      logWrong("password", name, ip);
      return c.html(form(c, "The name or the password is wrong.", name), 401);
    },
  };
}
