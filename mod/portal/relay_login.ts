/**
 * How a relay opens its WebSocket (spec portal §5.1): there is one dialect, no id and no key. The portal advertises
 * the addresses that it is told here, whatever address the relay comes from.
 */
import { type Credentials, type LoginRequest, requestTo } from "./login_url.ts";

export interface RelayLogin extends Credentials {
  /** Shown in the portal. */
  readonly name?: string | undefined;
  /** Where devices reach the relay; at least one. */
  readonly v4?: string | undefined;
  readonly v6?: string | undefined;
  /** Its listening port. */
  readonly port: number;
}

/** @throws LoginUrlError when the base URL or the token can't be used; never names the token. */
export function relayLoginRequest({ name, v4, v6, port, ...credentials }: RelayLogin): LoginRequest {
  const query = [["name", name], ["ipv4", v4], ["ipv6", v6], ["port", String(port)]] as const;
  return requestTo(
    credentials,
    ["relay", "websocket"],
    query.flatMap(([key, value]) => value === undefined ? [] : [[key, value] as const]),
  );
}
