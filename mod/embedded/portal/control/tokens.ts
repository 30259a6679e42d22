/** Tokens made by verbs: their owners, and replacing them without cutting anybody off. */
import { Refusal } from "../policy/refusal.ts";
import { FAR_FUTURE, type PortalPolicy } from "../policy/policy.ts";
import type { TokenRecord } from "../core/tokens.ts";
import type { Portal } from "../server/portal.ts";
import type { Administration } from "./administration.ts";

type Role = TokenRecord["role"];

export interface MadeToken {
  /** Shown once; only its hash is kept. */
  readonly token: string;
  readonly record: TokenRecord;
  /** Those that it replaces, and when they end: Unix seconds. */
  readonly replaced: readonly { readonly id: string; readonly endsAt: number }[];
}

/** 256 random bits as text. */
export function makeToken(): string {
  return crypto.getRandomValues(new Uint8Array(32)).toBase64({ alphabet: "base64url", omitPadding: true });
}

export interface TokenOwner {
  readonly role: Role;
  readonly owner: string;
}

/** @throws Refusal when nobody is called so, or several are, or a user */
export function ownerOf(policy: PortalPolicy, name: string, role: Role | undefined): TokenOwner {
  const gateway = policy.gateways.some((one) => one.name === name);
  const actor = policy.actors.find((one) => one.name === name);
  if (actor?.kind === "user" && role !== "gateway" && !gateway) {
    throw new Refusal(409, `"${name}" is a user, who signs in at a browser. Add a client for a machine.`);
  }
  const roles = [
    ...gateway ? ["gateway" as const] : [],
    ...actor?.kind === "client" ? ["client" as const] : [],
  ]
    .filter((one) => role === undefined || one === role);
  if (roles.length > 1) {
    throw new Refusal(409, `a gateway and a client are called "${name}". Say which one with --role.`);
  }
  const [found] = roles;
  if (found === undefined) throw new Refusal(404, `no ${role ?? "gateway or client"} is called "${name}".`);
  return { role: found, owner: name };
}

/** @param expiresAt Unix seconds; undefined: never */
export function createToken(
  portal: Portal,
  { role, owner }: TokenOwner,
  expiresAt: number | undefined,
): MadeToken {
  if (expiresAt !== undefined && expiresAt <= portal.unixNow()) {
    throw new Refusal(400, "it would have expired already. Name a time to come.");
  }
  const token = makeToken();
  const record = portal.addToken(token, {
    role,
    owner,
    providerId: undefined,
    expiresAt: Math.min(expiresAt ?? FAR_FUTURE, FAR_FUTURE),
  });
  return { token, record, replaced: [] };
}

/**
 * A new token instead of the owner's present ones (those made by verbs), or of the one with this id.
 * @param grace seconds for which the old ones are good for yet; 0: they end at once
 */
export function rotateToken(
  administration: Administration,
  old: readonly TokenRecord[],
  owner: TokenOwner,
  grace: number,
): MadeToken {
  const latest = old.reduce((latest, { expiresAt }) => Math.max(latest, expiresAt), 0);
  const { portal } = administration;
  const made = createToken(portal, owner, latest === 0 ? undefined : latest);
  const endsAt = portal.unixNow() + grace;
  for (const { id, expiresAt } of old) {
    if (grace === 0) portal.revokeToken(id);
    else if (expiresAt > endsAt) administration.expireToken(id, endsAt);
  }
  return {
    ...made,
    replaced: old.map(({ id, expiresAt }) => ({ id, endsAt: Math.min(expiresAt, endsAt) })),
  };
}

/** Those of an owner that verbs made: signing in has its own. */
export function tokensOf(portal: Portal, { role, owner }: TokenOwner): TokenRecord[] {
  return portal.tokens().filter((one) =>
    one.role === role && one.owner === owner && one.providerId === undefined
  );
}
