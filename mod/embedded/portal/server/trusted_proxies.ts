/**
 * Seeing through reverse proxies. What `X-Forwarded-*` and `X-Geo-Location-*` headers say counts only when the TCP
 * connection comes from a proxy that the operator trusts; from anybody else they are somebody's wish.
 *
 * `X-Forwarded-For` is read from the right: each trusted proxy appended whom it saw. The first address that is no
 * trusted proxy's is the one; a list that doesn't parse says nothing.
 */
import { formatIp, parseIp } from "../../../packet/address.ts";
import { cidrContains, toCidr } from "../../../portal/cidr.ts";
import type { Cidr } from "../../../portal/types.ts";
import type { Peer } from "./peer.ts";

/** The other end of a TCP connection. */
export interface Remote {
  /** IP address, an IPv4 one in its own form. */
  readonly ip: string;
  /** With TLS. */
  readonly encrypted: boolean;
}

export class TrustedProxies {
  readonly #networks: readonly Cidr[];

  /** @param networks CIDRs or addresses @throws Error that names the one that is neither */
  constructor(networks: readonly string[]) {
    this.#networks = networks.map((text) => {
      const network = toCidr(text);
      if (!network) throw new Error(`Cannot trust the proxy "${text}": it is no address and no network.`);
      return network;
    });
  }

  trusts(ip: string): boolean {
    const bytes = parseIp(ip);
    return bytes !== undefined && this.#networks.some((network) => cidrContains(network, bytes));
  }

  /** Who sent a request with these headers over a connection from there. */
  peer(headers: Headers, { ip, encrypted }: Remote): Peer {
    const host = hostOf(headers.get("host"));
    if (!this.trusts(ip)) return { ip, secure: encrypted, host, region: undefined };
    const region = headers.get("x-geo-location-region")?.trim().toUpperCase() ?? "";
    const protocol = last(headers.get("x-forwarded-proto"))?.toLowerCase();
    return {
      ip: this.#forwardedFor(headers.get("x-forwarded-for")) ?? ip,
      secure: protocol === undefined ? encrypted : protocol === "https" || protocol === "wss",
      host: hostOf(last(headers.get("x-forwarded-host")) ?? null) ?? host,
      region: /^[A-Z]{2}$/.test(region) ? region : undefined,
    };
  }

  #forwardedFor(header: string | null): string | undefined {
    const addresses = (header ?? "").split(",").map((text) => plainIp(text.trim())).reverse();
    const untrusted = addresses.findIndex((ip) => ip === undefined || !this.trusts(ip));
    // All of them trusted: the request began at the outermost one.
    return untrusted < 0 ? addresses.at(-1) : addresses[untrusted];
  }
}

/** An IP address in its usual form, an IPv4 one that a dual-stack socket wrapped up in its own. */
export function plainIp(text: string): string | undefined {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(text)?.[1];
  const bytes = parseIp(mapped ?? text);
  return bytes && formatIp(bytes);
}

function last(list: string | null): string | undefined {
  return list?.split(",").at(-1)?.trim();
}

function hostOf(header: string | null): string | undefined {
  return header !== null && /^[\w.:[\]-]{1,255}$/.test(header) ? header.toLowerCase() : undefined;
}
