/**
 * Who is at the other end of an HTTP request, once proxies that the operator trusts are seen through. The server puts
 * it into each request's context; everything behind it (admission, sign-in, limits) reads it there and nowhere else.
 */
import type { Context } from "hono";
import { toCidr } from "../../../portal/cidr.ts";

export interface Peer {
  /** IP address. */
  readonly ip: string;
  /** The connection is encrypted, as far as the outermost trusted proxy. */
  readonly secure: boolean;
  /** What the browser calls this server: host and port; undefined when it says nothing that makes sense. */
  readonly host: string | undefined;
  /** Two-letter country code that a trusted proxy named. */
  readonly region: string | undefined;
}

const KEY = "peer";
const NOBODY: Peer = { ip: "", secure: false, host: undefined, region: undefined };

export function setPeer(c: Context, peer: Peer): void {
  c.set(KEY, peer);
}

/** Where no server set one (in a test of pages), nobody in particular. */
export function peerOf(c: Context): Peer {
  return c.get(KEY) ?? NOBODY;
}

/** Whether what is sent there leaves this host. */
export function isLoopback(ip: string): boolean {
  return ip === "::1" || /^127\.\d+\.\d+\.\d+$/.test(ip);
}

/** What limits count as one source: an IPv4 address, or the /64 that is anybody's own in IPv6. */
export function sourceOf(ip: string): string {
  return ip.includes(":") ? toCidr(`${ip}/64`)?.text ?? ip : ip;
}
