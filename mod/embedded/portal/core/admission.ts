/** Who may open a WebSocket: token, attributes, and the answers to those who may not (spec portal §1.6, §1.8). */
import { SocketAddress } from "../../../packet/address.ts";
import { parseKey } from "../../../portal/key.ts";
import type { Dialect, Role } from "../../../portal/login_url.ts";
import { parseUserAgent } from "../../../portal/user_agent.ts";
import { type Hardware, NO_HARDWARE } from "./devices.ts";
import { hashToken, type TokenOwner, type Tokens } from "./tokens.ts";

export interface LoginAttempt {
  readonly role: Role | "relay";
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
  /** The query's hardware identifiers, of clients. */
  readonly hardware?: Hardware;
  /** The query's addresses, of relays. */
  readonly relay?: RelayAddresses;
}

/** As in the query. */
export interface RelayAddresses {
  readonly ipv4: string | undefined;
  readonly ipv6: string | undefined;
  readonly port: string | undefined;
}

const DEFAULT_RELAY_PORT = "3478";

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
  readonly hardware: Hardware;
}

/** A relay that may connect; it becomes one when it joins with its secret. */
export interface RelayAdmission {
  readonly role: "relay";
  readonly name: string;
  readonly tokenHash: string;
  /** As it wants to be advertised; at least one. */
  readonly v4?: SocketAddress;
  readonly v6?: SocketAddress;
}

/** The body of a refusal (RFC 9457) with its status. */
export interface Problem {
  readonly status: number;
  readonly code: string;
  readonly title: string;
  readonly detail: string;
}

/** @param unixNow Unix seconds; expired clients are refused */
export function admit(
  attempt: LoginAttempt,
  tokens: Tokens,
  unixNow: number,
): Admission | RelayAdmission | Problem {
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
  return owner.role === "relay"
    ? admitRelay(attempt, owner.entry.name, tokenHash)
    : admitDevice(attempt, owner, tokenHash);
}

function admitDevice(
  attempt: LoginAttempt,
  owner: Exclude<TokenOwner, { role: "relay" }>,
  tokenHash: string,
): Admission | Problem {
  const { externalId = "", publicKey = "" } = attempt;
  const hardware = readHardware(attempt.hardware);
  if (!isPrintable(externalId)) return invalid("external_id", "it must have 1 to 255 printable characters");
  if (parseKey(publicKey) === undefined) return invalid("public_key", "it is not 32 bytes in base64");
  const name = attempt.name?.trim() || externalId.slice(0, 16);
  if (!isPrintable(name)) return invalid("name", "it must have 1 to 255 printable characters");
  for (const [key, value] of Object.entries(hardware)) {
    if (value !== undefined && value.length > 255) return invalid(key, "it is longer than 255 characters");
  }
  return {
    role: owner.role,
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
    hardware,
  };
}

/** What is empty is not known. */
function readHardware(hardware: Hardware = NO_HARDWARE): Hardware {
  return {
    deviceSerial: hardware.deviceSerial || undefined,
    deviceUuid: hardware.deviceUuid || undefined,
    identifierForVendor: hardware.identifierForVendor || undefined,
    firebaseInstallationId: hardware.firebaseInstallationId || undefined,
  };
}

function admitRelay(attempt: LoginAttempt, owner: string, tokenHash: string): RelayAdmission | Problem {
  const { ipv4, ipv6, port = DEFAULT_RELAY_PORT } = attempt.relay ?? {};
  if (!ipv4 && !ipv6) return invalid("ipv4", "a relay needs ipv4 or ipv6");
  if (!/^[1-9]\d{0,4}$/.test(port) || Number(port) > 65535) return invalid("port", "it is no port");
  const v4 = ipv4 ? SocketAddress.of(ipv4, Number(port)) : undefined;
  const v6 = ipv6 ? SocketAddress.of(ipv6, Number(port)) : undefined;
  if (ipv4 && v4?.family !== 4) return invalid("ipv4", "it is no IPv4 address");
  if (ipv6 && v6?.family !== 6) return invalid("ipv6", "it is no IPv6 address");
  const name = attempt.name?.trim() || owner;
  if (!isPrintable(name)) return invalid("name", "it must have 1 to 255 printable characters");
  return { role: "relay", name, tokenHash, ...(v4 && { v4 }), ...(v6 && { v6 }) };
}

export function isProblem(answer: Admission | RelayAdmission | Problem): answer is Problem {
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
