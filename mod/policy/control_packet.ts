/**
 * Peer-to-peer control packets (spec policy §4.1, §4.2): what client and gateway say to each other inside the tunnel.
 *
 * An IPv6 packet from :: to :: with next header 255: fixed header (40 bytes) · event type (1) · reserved (7) · body
 * (compact UTF-8 JSON, may be empty). Never longer than one tunnel packet.
 */
import type { Id } from "./types.ts";

export interface AssignedIps {
  readonly type: "assigned-ips";
  readonly resource: Id;
  /** Without a trailing dot. */
  readonly domain: string;
  /** IP addresses as text. */
  readonly proxyIps: readonly string[];
}

export interface DomainStatus {
  readonly type: "domain-status";
  readonly resource: Id;
  readonly domain: string;
  readonly active: boolean;
}

export interface Goodbye {
  readonly type: "goodbye";
}

export type ControlMessage = AssignedIps | DomainStatus | Goodbye;

export const CONTROL_HEADER_SIZE = 48;
export const CONTROL_PROTOCOL = 255;
const MAX_PACKET = 1280;
const ASSIGNED_IPS = 0, DOMAIN_STATUS = 1, GOODBYE = 2;

/** The whole IPv6 packet. Throws a RangeError when it would not fit into one tunnel packet. */
export function encodeControl(message: ControlMessage): Uint8Array<ArrayBuffer> {
  switch (message.type) {
    case "assigned-ips":
      return packet(ASSIGNED_IPS, {
        resource: message.resource,
        domain: message.domain,
        proxy_ips: message.proxyIps,
      });
    case "domain-status":
      return packet(DOMAIN_STATUS, {
        resource: message.resource,
        domain: message.domain,
        status: message.active ? "Active" : "Inactive",
      });
    case "goodbye":
      return packet(GOODBYE, undefined);
  }
}

/** True when `bytes` is an IPv6 packet of this protocol (its body may still be nonsense). */
export function isControl(bytes: Uint8Array): boolean {
  if (bytes.length < CONTROL_HEADER_SIZE || bytes[0]! >> 4 !== 6 || bytes[6] !== CONTROL_PROTOCOL) {
    return false;
  }
  for (let i = 8; i < 40; i++) if (bytes[i] !== 0) return false;
  const payload = bytes[4]! << 8 | bytes[5]!;
  return payload >= 8 && payload <= bytes.length - 40;
}

/** Undefined when it is no control packet, of an unknown type, or its body can't be understood. Never throws. */
export function decodeControl(bytes: Uint8Array): ControlMessage | undefined {
  if (!isControl(bytes)) return undefined;
  const body = bytes.subarray(CONTROL_HEADER_SIZE, 40 + (bytes[4]! << 8 | bytes[5]!));
  if (bytes[40] === GOODBYE) return { type: "goodbye" };
  if (bytes[40] !== ASSIGNED_IPS && bytes[40] !== DOMAIN_STATUS) return undefined;
  const json = parseObject(body);
  const resource = json?.["resource"], domain = json?.["domain"];
  if (!json || typeof resource !== "string" || typeof domain !== "string") return undefined;
  if (bytes[40] === DOMAIN_STATUS) {
    const status = json["status"];
    if (typeof status !== "string") return undefined;
    return { type: "domain-status", resource, domain, active: status === "Active" };
  }
  const proxyIps = json["proxy_ips"];
  if (!Array.isArray(proxyIps) || !proxyIps.every((ip) => typeof ip === "string")) return undefined;
  return { type: "assigned-ips", resource, domain, proxyIps };
}

function packet(type: number, body: unknown): Uint8Array<ArrayBuffer> {
  const json = body === undefined ? new Uint8Array(0) : new TextEncoder().encode(JSON.stringify(body));
  const length = CONTROL_HEADER_SIZE + json.length;
  if (length > MAX_PACKET) {
    throw new RangeError(`Cannot encode the control packet: ${length} bytes, at most ${MAX_PACKET} fit.`);
  }
  const bytes = new Uint8Array(length);
  bytes[0] = 0x60;
  bytes[4] = (length - 40) >> 8;
  bytes[5] = (length - 40) & 255;
  bytes[6] = CONTROL_PROTOCOL;
  bytes[40] = type;
  bytes.set(json, CONTROL_HEADER_SIZE);
  return bytes;
}

function parseObject(body: Uint8Array): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body));
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? value as Record<string, unknown>
      : undefined;
  } catch {
    return undefined;
  }
}
