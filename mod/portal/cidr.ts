/** Networks in text form. Only canonical ones are accepted: `10.0.0.1/24` is no network. */
import { formatIp, parseIp } from "../packet/address.ts";
import type { Cidr } from "./types.ts";

/** Undefined when `text` is not `address/prefix` with all host bits zero. */
export function parseCidr(text: string): Cidr | undefined {
  const network = parseNetwork(text);
  return network && isCanonical(network.ip, network.prefix)
    ? makeCidr(network.ip, network.prefix)
    : undefined;
}

/** A canonical network from `address/prefix` (host bits are cleared) or a single address. */
export function toCidr(text: string): Cidr | undefined {
  const network = text.includes("/") ? parseNetwork(text) : hostNetwork(text);
  if (!network) return undefined;
  for (let bit = network.prefix; bit < network.ip.length * 8; bit++) {
    network.ip[bit >> 3]! &= ~(128 >> (bit & 7));
  }
  return makeCidr(network.ip, network.prefix);
}

/** True when `ip` (4 or 16 bytes) is inside `network`. */
export function cidrContains(network: Pick<Cidr, "ip" | "prefix">, ip: Uint8Array): boolean {
  if (network.ip.length !== ip.length) return false;
  for (let bit = 0; bit < network.prefix; bit++) {
    if (((network.ip[bit >> 3]! ^ ip[bit >> 3]!) & (128 >> (bit & 7))) !== 0) return false;
  }
  return true;
}

function parseNetwork(text: string): { ip: Uint8Array<ArrayBuffer>; prefix: number } | undefined {
  const match = /^([^/]+)\/(0|[1-9]\d{0,2})$/.exec(text);
  const ip = match ? parseIp(match[1]!) : undefined;
  const prefix = Number(match?.[2]);
  return ip && prefix <= ip.length * 8 ? { ip, prefix } : undefined;
}

function hostNetwork(text: string) {
  const ip = parseIp(text);
  return ip && { ip, prefix: ip.length * 8 };
}

function isCanonical(ip: Uint8Array, prefix: number): boolean {
  for (let bit = prefix; bit < ip.length * 8; bit++) {
    if ((ip[bit >> 3]! & (128 >> (bit & 7))) !== 0) return false;
  }
  return true;
}

function makeCidr(ip: Uint8Array, prefix: number): Cidr {
  return { ip, prefix, text: `${formatIp(ip)}/${prefix}` };
}
