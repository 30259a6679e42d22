/** From the URL and headers of a WebSocket upgrade to a login attempt, and from a refusal to its HTTP response. */
import type { Dialect, Role } from "../../../portal/login_url.ts";
import type { LoginAttempt, Problem } from "../core/admission.ts";
import type { Peer } from "./peer.ts";

/** What devices connect to (spec portal §1.10): the path tells who they are and how they talk. */
const PATHS: ReadonlyMap<string, { readonly role: Role | "relay"; readonly dialect: Dialect }> = new Map([
  ["/gateway/websocket", { role: "gateway", dialect: "v1" }],
  ["/gateway/v2/websocket", { role: "gateway", dialect: "v2" }],
  ["/client/websocket", { role: "client", dialect: "v1" }],
  ["/client/v2/websocket", { role: "client", dialect: "v2" }],
  ["/relay/websocket", { role: "relay", dialect: "v1" }],
]);

export const DEVICE_PATHS: readonly string[] = [...PATHS.keys()];

/** @returns undefined when no device has business at this path */
export function loginAttempt(request: Request, basePath: string, peer: Peer): LoginAttempt | undefined {
  const { pathname, searchParams } = new URL(request.url);
  if (!pathname.startsWith(basePath)) return undefined;
  const path = PATHS.get(pathname.slice(basePath.length).replace(/\/$/, ""));
  if (!path) return undefined;
  const query = (name: string) => searchParams.get(name) ?? undefined;
  const bearer = /^Bearer (.*)$/.exec(request.headers.get("x-authorization") ?? "")?.[1];
  return {
    ...path,
    token: bearer ?? query("token"),
    externalId: query("external_id") ?? query("firezone_id"),
    name: query("name"),
    publicKey: query("public_key"),
    userAgent: request.headers.get("user-agent") ?? "",
    vsn: query("vsn"),
    remoteIp: peer.ip,
    region: peer.region,
    hardware: {
      deviceSerial: query("device_serial"),
      deviceUuid: query("device_uuid"),
      identifierForVendor: query("identifier_for_vendor"),
      firebaseInstallationId: query("firebase_installation_id"),
    },
    relay: { ipv4: query("ipv4"), ipv6: query("ipv6"), port: query("port") },
  };
}

/** @param retryAfter seconds, of a 503 */
export function refusal(problem: Problem, retryAfter = 1): Response {
  const headers = new Headers({ "content-type": "application/problem+json", "cache-control": "no-store" });
  if (problem.status === 503) headers.set("retry-after", String(retryAfter));
  return new Response(JSON.stringify(problem), { status: problem.status, headers });
}
