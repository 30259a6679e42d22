/**
 * What went wrong with the link, and whether trying again can help.
 *
 * Only a refusal with 401, `disconnect {token_expired}` and a join refused for good end the link: everything else
 * (other 4xx, 5xx, TLS, DNS, timeouts) may heal and is tried again.
 */
import { printable } from "./frame.ts";

/** An HTTP answer other than 101 to the upgrade request. */
export interface Refusal {
  readonly status: number;
  /** Value of the header, if there was one. */
  readonly retryAfter?: string;
  readonly body: string;
}

export type FailureKind =
  /** 401: the token is missing or wrong. */
  | "unauthorized"
  /** The portal says that the token is no longer valid. */
  | "token_expired"
  /** The portal doesn't let this device join and says that it never will. */
  | "join_refused"
  /** Tried for as long as the options allow. */
  | "gave_up";

/** The end of a link: no further attempt follows. */
export class PortalError extends Error {
  override readonly name = "PortalError";

  constructor(
    readonly kind: FailureKind,
    message: string,
    /** From the problem document. */ readonly code?: string,
  ) {
    super(message);
  }
}

/** Join refusals that no further attempt can change. */
export const FINAL_JOIN_REASONS: readonly string[] = ["disabled", "invalid_version", "token_expired"];

/**
 * `code` and a readable line of a refusal's body, which may be a problem document (RFC 9457) or plain text; without a
 * full stop, since it stands inside a sentence.
 */
export function describeRefusal(refusal: Refusal): { code: string | undefined; text: string } {
  const problem = readProblem(refusal.body);
  const detail = problem?.detail ?? problem?.title ?? refusal.body;
  const said = printable(detail, 200).trim().replace(/\.$/, "");
  const text = `HTTP ${refusal.status}${said === "" ? "" : `: ${said}`}`;
  return { code: problem?.code, text };
}

/**
 * True when waiting is what helps: the portal is in trouble or overrun, asks for patience, or has not noticed yet that
 * our last connection died (409). Any other refusal but 401 is about our settings or the portal's.
 */
export function isTemporary({ status, retryAfter }: Refusal): boolean {
  return status === 408 || status === 409 || status === 429 || status >= 500 || retryAfter !== undefined;
}

/** What an operator can do about a refusal; undefined when waiting is all. */
export function adviceFor(refusal: Refusal): string | undefined {
  switch (refusal.status) {
    case 400:
    case 422:
      return "Check the name, the id and the version that this gateway presents.";
    case 402:
    case 403:
      return "See this account in the portal.";
    case 404:
    case 405:
    case 426:
      return "Check the portal's URL (FIREZONE_API_URL), and what stands in front of the portal.";
    case 409:
      return "If this goes on for minutes, another gateway runs with the same id (FIREZONE_ID).";
    default:
      return isTemporary(refusal) ? undefined : "Check the portal's URL (FIREZONE_API_URL).";
  }
}

function readProblem(body: string): { code?: string; title?: string; detail?: string } | undefined {
  try {
    const value = JSON.parse(body) as Record<string, unknown> | null;
    if (typeof value !== "object" || value === null) return undefined;
    const text = (key: string) => typeof value[key] === "string" ? { [key]: printable(value[key]) } : {};
    return { ...text("code"), ...text("title"), ...text("detail") };
  } catch {
    return undefined;
  }
}

/** The longest pause that a portal may ask for. */
export const MAX_RETRY_AFTER = 3_600_000;

/** Milliseconds to wait by a `Retry-After` header (seconds or HTTP date, RFC 9110 §10.2.3); undefined when unusable. */
export function parseRetryAfter(value: string | undefined, unixNow: number): number | undefined {
  if (value === undefined) return undefined;
  const text = value.trim();
  const milliseconds = /^\d{1,9}$/.test(text) ? Number(text) * 1000 : dateOf(text) - unixNow * 1000;
  return Number.isNaN(milliseconds) ? undefined : Math.min(Math.max(milliseconds, 0), MAX_RETRY_AFTER);
}

function dateOf(text: string): number {
  return /^[A-Z][a-z]{2,8},? /.test(text) ? Date.parse(text) : NaN;
}
