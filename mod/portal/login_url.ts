/**
 * How a device opens its WebSocket: URL and headers of the upgrade request.
 *
 * The path chooses the dialect (`/gateway/websocket` speaks v1, `/gateway/v2/websocket` v2), the query carries the
 * identity in a fixed order. There is no `vsn` parameter, hence Phoenix serializer V1. The token travels in the
 * query (older portals read nothing else) and in `X-Authorization` (newer ones look there first).
 */
import { externalId } from "./external_id.ts";
import { formatKey } from "./key.ts";
import type { Endpoint } from "./proxy.ts";

export type Role = "gateway" | "client";
export type Dialect = "v1" | "v2";

/** What a login has in every role. */
export interface Credentials {
  /** Base URL of the portal: `wss://api.firezone.dev`, `https://host/base/`, … */
  readonly apiUrl: string;
  readonly token: string;
  /** False keeps the token out of the URL, hence out of proxies' logs; then only newer portals work. */
  readonly tokenInQuery: boolean;
  readonly userAgent: string;
}

export interface Login extends Credentials {
  readonly role: Role;
  readonly dialect: Dialect;
  /** The device id as configured; {@link externalId} is derived from it. */
  readonly id: string;
  readonly name: string;
  /** X25519 public key, 32 bytes. */
  readonly publicKey: Uint8Array;
}

export interface LoginRequest {
  readonly secure: boolean;
  /** Host name or IP literal to resolve and dial; IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
  /** `ws:` or `wss:` URL with path and query. Holds the token: never log it, log {@link safeUrl}. */
  readonly url: string;
  /** The same without the query. */
  readonly safeUrl: string;
  readonly headers: Readonly<Record<string, string>>;
}

export class LoginUrlError extends Error {
  override readonly name = "LoginUrlError";
}

/** @throws LoginUrlError when the base URL or the token can't be used; never names the token. */
export function loginRequest(login: Login): LoginRequest {
  return requestTo(login, [login.role, ...(login.dialect === "v2" ? ["v2"] : []), "websocket"], [
    ["external_id", externalId(login.id)],
    ["name", login.name],
    ["public_key", formatKey(login.publicKey)],
  ]);
}

/** The request for `path` (segments behind those of the base URL) with the token and then `query`, in this order. */
export function requestTo(
  credentials: Credentials,
  path: readonly string[],
  query: readonly (readonly [name: string, value: string])[],
): LoginRequest {
  const base = parseBase(credentials.apiUrl);
  const token = credentials.token.replace(/\s/g, "");
  if (!/^[\x21-\x7e]+$/.test(token)) {
    throw new LoginUrlError(
      "Cannot log in to the portal: the token is empty or not ASCII. Check FIREZONE_TOKEN.",
    );
  }
  const segments = base.pathname.split("/").slice(1);
  if (segments.at(-1) === "") segments.pop();
  segments.push(...path);

  const parameters = new URLSearchParams();
  if (credentials.tokenInQuery) parameters.append("token", token);
  for (const [name, value] of query) parameters.append(name, value);

  const { secure, host, port } = splitApiUrl(credentials.apiUrl);
  const safeUrl = `${secure ? "wss" : "ws"}://${base.hostname}:${port}/${segments.join("/")}`;
  return {
    secure,
    host,
    port,
    url: `${safeUrl}?${parameters}`,
    safeUrl,
    headers: { "User-Agent": credentials.userAgent, "X-Authorization": `Bearer ${token}` },
  };
}

/** Where a base URL leads. @throws LoginUrlError when it can't be used. */
export function splitApiUrl(apiUrl: string): Endpoint {
  const base = parseBase(apiUrl);
  return {
    secure: base.protocol === "https:",
    host: base.hostname.replace(/^\[(.*)\]$/, "$1"),
    port: portOf(base, apiUrl),
  };
}

/** The base URL with its scheme mapped to http(s), so that one URL grammar serves all four spellings. */
function parseBase(text: string): URL {
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(text)?.[1]?.toLowerCase();
  const mapped = { http: "http", ws: "http", https: "https", wss: "https" }[scheme ?? ""];
  if (scheme !== undefined && mapped === undefined) {
    throw new LoginUrlError(
      `Cannot use the portal URL: invalid scheme \`${scheme}\`; only http(s) and ws(s) are allowed.`,
    );
  }
  try {
    if (mapped === undefined || !/^[^:]+:\/\/[^/?#]/.test(text)) {
      throw new TypeError("the url is missing a host");
    }
    return new URL(`${mapped}:${text.slice(scheme!.length + 1)}`);
  } catch (error) {
    const reason = error instanceof TypeError ? error.message : String(error);
    throw new LoginUrlError(
      `Cannot use the portal URL: failed to parse URL: ${reason}. Check FIREZONE_API_URL.`,
    );
  }
}

/**
 * Without a port it is 443, whatever the scheme. URL parsers drop a scheme's default port, so that `ws://host:80` has
 * to be told from `ws://host` by the text.
 */
function portOf(base: URL, text: string): number {
  if (base.port !== "") return Number(base.port);
  const authority = /^[^:]+:\/\/([^/?#\\]*)/.exec(text)?.[1] ?? "";
  return base.protocol === "http:" && /:0*80$/.test(authority) ? 80 : 443;
}
