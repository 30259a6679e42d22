/**
 * What a device wants of a browser (spec portal §4.9): it opens the sign-in page with `as`, `nonce` and `state`, and
 * gets back half a token, the fragment, by a URL of its own scheme. The other half is the nonce, which never comes
 * back: somebody who sees the answer alone has nothing.
 *
 * A client without a window (`as=headless-client`) sends neither; its user copies a whole token.
 */
export type DeviceRequest =
  | { readonly kind: "app"; readonly nonce: string; readonly state: string }
  | { readonly kind: "headless" };

const APPS = ["client", "gui-client"];
const HEX_64 = /^[0-9a-f]{64}$/i;
const SCHEME = "firezone-fd0020211111";

/** @returns undefined when the browser came by itself; "malformed" when a device sent it with wrong parameters */
export function deviceRequest(query: URLSearchParams): DeviceRequest | "malformed" | undefined {
  const as = query.getAll("as");
  if (as.length === 0) return undefined;
  if (as.length > 1) return "malformed";
  if (as[0] === "headless-client") return { kind: "headless" };
  const [nonce, ...nonces] = query.getAll("nonce"), [state, ...states] = query.getAll("state");
  const valid = APPS.includes(as[0]!) && nonces.length === 0 && states.length === 0 &&
    nonce !== undefined && state !== undefined && HEX_64.test(nonce) && HEX_64.test(state);
  return valid ? { kind: "app", nonce, state } : "malformed";
}

export interface Callback {
  readonly accountSlug: string;
  readonly accountName: string;
  readonly actorName: string;
  readonly fragment: string;
  readonly providerId: string;
  readonly state: string;
}

/** Where the browser hands the fragment to the client: each parameter exactly once. */
export function callbackUrl(callback: Callback): string {
  const query = Object.entries({
    account_slug: callback.accountSlug,
    account_name: callback.accountName,
    actor_name: callback.actorName,
    fragment: callback.fragment,
    identity_provider_identifier: callback.providerId,
    state: callback.state,
  }).map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join("&");
  return `${SCHEME}://handle_client_sign_in_callback?${query}`;
}
