/**
 * Which HTTP proxy stands between us and the portal, by the variables that everybody else obeys, too.
 *
 * `https_proxy`, then `all_proxy` for `wss:` and `https:`; `http_proxy`, then `all_proxy` for `ws:` and `http:`; each
 * in small letters before capitals. The portal is a WebSocket in either case, so the proxy has to allow CONNECT
 * (RFC 9110 §9.3.6) to its port. `no_proxy` lists what is dialled directly: `*`, names (which cover the names below
 * them), addresses and networks, each with or without a port. This host itself is never reached by way of a proxy.
 */
import { parseIp } from "../packet/address.ts";
import { cidrContains, toCidr } from "./cidr.ts";
import { printable } from "./frame.ts";

export type Variables = (name: string) => string | undefined;

export interface Endpoint {
  /** Name or IP literal, IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
  readonly secure: boolean;
}

/** A proxy that understands CONNECT; with TLS to the proxy itself when it is `secure`. */
export interface Proxy extends Endpoint {
  /** Value for `Proxy-Authorization`. Secret. */
  readonly authorization: string | undefined;
  /** The variable that named it. */
  readonly variable: string;
  /** `http://proxy.example:3128`: without the credentials, for logs. */
  readonly label: string;
}

export class ProxyError extends Error {
  override readonly name = "ProxyError";
}

/** The proxy towards the portal; undefined: none. @throws ProxyError when the variable can't be used; never quotes it. */
export function proxyFor(target: Endpoint, variables: Variables): Proxy | undefined {
  const own = target.secure ? "https_proxy" : "http_proxy";
  const variable = [own, own.toUpperCase(), "all_proxy", "ALL_PROXY"].find((name) => variables(name)?.trim());
  if (variable === undefined || isOnThisHost(target.host)) return undefined;
  if (isExempt(target, variables("no_proxy") || variables("NO_PROXY") || "")) return undefined;
  return parseProxy(variables(variable)!.trim(), variable);
}

function parseProxy(text: string, variable: string): Proxy {
  const fail = (why: string): ProxyError =>
    new ProxyError(
      `Cannot use the proxy of ${variable}: ${why}. Write it like http://user:password@proxy.example:3128.`,
    );
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(text)?.[1]?.toLowerCase() ?? "http";
  if (scheme !== "http" && scheme !== "https") {
    throw fail(`${printable(scheme, 20)} is not supported, only http and https are`);
  }
  const url = URL.parse(text.includes("://") ? text : `http://${text}`);
  if (!url || url.hostname === "") throw fail("it is no URL with a host");
  const secure = scheme === "https";
  const port = url.port !== "" ? Number(url.port) : secure ? 443 : 80;
  return {
    host: unbracketed(url.hostname),
    port,
    secure,
    authorization: authorizationOf(url, fail),
    variable,
    label: `${scheme}://${url.hostname}:${port}`,
  };
}

/** Basic credentials (RFC 7617) from the percent-encoded user and password of a URL. */
function authorizationOf(url: URL, fail: (why: string) => ProxyError): string | undefined {
  if (url.username === "" && url.password === "") return undefined;
  let credentials: string;
  try {
    credentials = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
  } catch {
    throw fail("its user or password is wrongly percent-encoded");
  }
  return `Basic ${new TextEncoder().encode(credentials).toBase64()}`;
}

function isOnThisHost(host: string): boolean {
  const ip = parseIp(host);
  if (ip) return ip.length === 4 ? ip[0] === 127 : ip.every((byte, i) => byte === (i === 15 ? 1 : 0));
  const name = plainName(host);
  return name === "localhost" || name.endsWith(".localhost");
}

function isExempt(target: Endpoint, list: string): boolean {
  return list.split(/[\s,]+/).some((entry) => entry !== "" && covers(entry.toLowerCase(), target));
}

function covers(entry: string, target: Endpoint): boolean {
  if (entry === "*") return true;
  const withPort = /^(\[[^\]]*\]|[^:]*):(\d+)$/.exec(entry);
  if (withPort && Number(withPort[2]) !== target.port) return false;
  const host = unbracketed(withPort?.[1] ?? entry);
  const network = toCidr(host), ip = parseIp(target.host);
  if (network) return ip !== undefined && cidrContains(network, ip);
  const name = plainName(host.replace(/^\*?\./, "")), wanted = plainName(target.host);
  return ip === undefined && name !== "" && (wanted === name || wanted.endsWith(`.${name}`));
}

function unbracketed(host: string): string {
  return host.replace(/^\[(.*)\]$/, "$1");
}

function plainName(host: string): string {
  return host.toLowerCase().replace(/\.$/, "");
}
