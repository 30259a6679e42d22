/**
 * What the pages, the control socket and the program around it can see of the running portal and do to it. Every change
 * is durable and in force when the call returns.
 */
import type { DeviceStatus } from "../core/core.ts";
import type { DeviceDetails } from "../core/device_details.ts";
import type { Happening, ReceivedReport } from "../core/happenings.ts";
import type { JoinedRelay } from "../core/relays.ts";
import type { TokenRecord } from "../core/tokens.ts";
import type { Grant } from "../core/grants.ts";
import type { PortalPolicy } from "../policy/policy.ts";
import type { Id } from "../../../portal/types.ts";

export { REPORT_INTERVAL_SECS } from "../core/views.ts";

export interface Portal {
  /** The policy in force. */
  readonly policy: PortalPolicy;
  /** Unix seconds. */
  unixNow(): number;
  /** The devices that are joined. */
  online(): readonly DeviceStatus[];
  /** Every device that ever logged in. */
  devices(): readonly DeviceDetails[];
  grants(): readonly Grant[];
  /** Tokens made while the portal runs. */
  tokens(): readonly TokenRecord[];
  /**
   * Makes a token of a gateway entry or an actor known.
   * @param token its text, of which only a hash is kept; at least 128 random bits
   */
  addToken(token: string, of: Pick<TokenRecord, "role" | "owner" | "providerId" | "expiresAt">): TokenRecord;
  /** Whoever came with it is out at once. @returns false when there is no such token */
  revokeToken(id: Id): boolean;
  /** The latest report of each gateway of ours; they come every `REPORT_INTERVAL_SECS`. */
  reports(): readonly ReceivedReport[];
  /** Flows that ended, packets that were denied, logins and requests that were refused; the newest last. */
  recent(): readonly Happening[];
  /** The relays that are joined over WebSockets. */
  relays(): readonly JoinedRelay[];
  /** Says that somebody has looked at a client's machine, or takes it back. @returns false when there is no such client */
  verify(clientId: Id, verified: boolean): boolean;
  /** Closes a device's connection; it may come back. @returns false when it isn't joined */
  disconnect(deviceId: Id): boolean;
}
