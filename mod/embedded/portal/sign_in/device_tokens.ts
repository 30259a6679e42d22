/**
 * Tokens that users get for their devices by signing in. The portal keeps hashes; the text is said once. A user has a
 * bounded number of them: clients that sign out don't tell, so the oldest make room.
 */
import type { Portal } from "../server/portal.ts";
import type { TokenRecord } from "../core/tokens.ts";
import type { UserPolicy } from "../policy/policy.ts";

const MAX_TOKENS = 100;
const TOKEN_BYTES = 32;

/** What signing in needs of the portal. */
export type SignInPortal = Pick<
  Portal,
  "policy" | "unixNow" | "tokens" | "addToken" | "revokeToken" | "devices"
>;

export interface Minted {
  /** What a client puts behind its nonce; begins with a dot. */
  readonly fragment: string;
  /** Unix seconds. */
  readonly expiresAt: number;
}

/**
 * Makes a token for one device of the user.
 * @param nonce the client's half; empty: the fragment is all of it
 * @throws Error when it can't be stored; then nothing was made that anybody could use
 */
export function mintToken(
  portal: SignInPortal,
  user: UserPolicy,
  nonce: string,
  providerId: string,
  random: (length: number) => Uint8Array,
): Minted {
  const now = portal.unixNow();
  const all = portal.tokens().filter((one) => isOf(one, user)).sort((a, b) => a.createdAt - b.createdAt);
  const tooMany = all.length - MAX_TOKENS + 1;
  all.forEach((one, index) => (one.expiresAt <= now || index < tooMany) && portal.revokeToken(one.id));

  const fragment = `.${random(TOKEN_BYTES).toBase64({ alphabet: "base64url", omitPadding: true })}`;
  const expiresAt = Math.min(now + user.sessionSeconds, user.expiresAt);
  portal.addToken(nonce + fragment, { role: "client", owner: user.name, providerId, expiresAt });
  return { fragment, expiresAt };
}

/** The user's sessions on devices that still stand, the newest first. */
export function deviceSessions(portal: SignInPortal, user: UserPolicy): readonly TokenRecord[] {
  const now = portal.unixNow();
  return portal.tokens().filter((one) => isOf(one, user) && one.expiresAt > now)
    .sort((a, b) => b.createdAt - a.createdAt);
}

function isOf({ role, owner }: TokenRecord, user: UserPolicy): boolean {
  return role === "client" && owner === user.name;
}
