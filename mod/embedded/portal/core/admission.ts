/** Who may open a WebSocket: token, attributes, and the answers to those who may not (spec portal §1.6, §1.8). */
import { parseKey } from "../../../portal/key.ts";
import type { Dialect, Role } from "../../../portal/login_url.ts";
import { parseUserAgent } from "../../../portal/user_agent.ts";
import { hashToken, type Tokens } from "./tokens.ts";

export interface LoginAttempt {
  readonly role: Role;
  readonly dialect: Dialect;
  readonly token: string | undefined;
  readonly externalId: string | undefined;
  readonly name: string | undefined;
  readonly publicKey: string | undefined;
  readonly userAgent: string;
  /** Phoenix serializer version, when stated. */
  readonly vsn: string | undefined;
  readonly remoteIp: string;
  /** Country that a trusted proxy named. */
  readonly region: string | undefined;
}

/** Characters of a user agent that are kept. */
const MAX_USER_AGENT = 255;

export type Version = readonly [number, number, number];

export interface Admission {
  readonly role: Role;
  readonly dialect: Dialect;
  readonly owner: string;
  /** Names the token without being it. */
  readonly tokenHash: string;
  readonly externalId: string;
  readonly name: string;
  /** Base64 text. */
  readonly publicKey: string;
  readonly version: Version | undefined;
  readonly userAgent: string;
  readonly remoteIp: string;
  readonly region: string | undefined;
}

/** The body of a refusal (RFC 9457) with its status. */
export interface Problem {
  readonly status: number;
  readonly code: string;
  readonly title: string;
  readonly detail: string;
}

/** @param unixNow Unix seconds; expired clients are refused */
export function admit(attempt: LoginAttempt, tokens: Tokens, unixNow: number): Admission | Problem {
  const token = attempt.token?.replace(/\s/g, "") ?? "";
  if (token === "") {
    return problem(401, "missing_token", "Missing token", "Send the token that the policy names.");
  }
  const tokenHash = hashToken(token);
  const owner = tokens.get(tokenHash);
  const expired = owner !== undefined && owner.expiresAt <= unixNow;
  if (owner?.role !== attempt.role || expired) {
    return problem(
      401,
      "invalid_token",
      "Invalid token",
      "The token is unknown, expired, or of another role.",
    );
  }
  if (attempt.vsn !== undefined && !/^1\./.test(attempt.vsn)) {
    return invalid("vsn", "only serializer version 1.0.0 is spoken here");
  }
  const { externalId = "", publicKey = "" } = attempt;
  if (!isPrintable(externalId)) return invalid("external_id", "it must have 1 to 255 printable characters");
  if (parseKey(publicKey) === undefined) return invalid("public_key", "it is not 32 bytes in base64");
  const name = attempt.name?.trim() || externalId.slice(0, 16);
  if (!isPrintable(name)) return invalid("name", "it must have 1 to 255 printable characters");
  return {
    role: attempt.role,
    dialect: attempt.dialect,
    owner: owner.role === "gateway" ? owner.entry.siteId : owner.entry.name,
    tokenHash,
    externalId,
    name,
    publicKey,
    version: parseUserAgent(attempt.userAgent)?.version,
    userAgent: attempt.userAgent.slice(0, MAX_USER_AGENT),
    remoteIp: attempt.remoteIp,
    region: attempt.region,
  };
}

export function isProblem(answer: Admission | Problem): answer is Problem {
  return "status" in answer;
}

/** Anything that another attempt may not meet again: devices give up on 4xx, so this is a 503. */
export function temporary(detail: string): Problem {
  return problem(503, "unavailable", "Temporarily unavailable", detail);
}

export function invalid(field: string, reason: string): Problem {
  return problem(
    400,
    "invalid_connect_params",
    "Invalid or missing connection parameters",
    `${field}: ${reason}`,
  );
}

function problem(status: number, code: string, title: string, detail: string): Problem {
  return { status, code, title, detail };
}

function isPrintable(text: string): boolean {
  // deno-lint-ignore no-control-regex
  return text.length >= 1 && text.length <= 255 && !/[\x00-\x1f\x7f]/.test(text);
}
