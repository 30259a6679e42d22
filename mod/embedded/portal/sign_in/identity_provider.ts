/**
 * The seam between "somebody wants to sign in" and "it is Anna". The password form is the one provider so far; one
 * that sends the browser elsewhere (OpenID Connect) begins with a redirect and proceeds with what comes back.
 */
import type { Context } from "hono";
import type { UserPolicy } from "../policy/policy.ts";

export interface IdentityProvider {
  /** What policies' `provider_id` conditions and clients call it. */
  readonly id: string;
  /** Answers a browser that nobody is signed in at. */
  begin(c: Context): Response | Promise<Response>;
  /** Takes what the browser came back with. @returns the user who it is, or the next page */
  proceed(c: Context): Promise<UserPolicy | Response>;
}
