/** WireGuard, both roles, as pure state machines. */
export { DEFAULT_TIMINGS, type WireGuardTimings } from "./constants.ts";
export { NOBLE_SEALER } from "./noble_sealer.ts";
export { CookieFactory, hasMac2, hasValidMac1 } from "./cookie.ts";
export { type OpenedInitiation, openInitiation, type StaticKeys } from "./handshake.ts";
export { type Recipient, recipient } from "./noise.ts";
export { baseOf, IndexAllocator } from "./indices.ts";
export { type Admission, HandshakeLimiter, type HandshakeLimiterOptions, type Refusal } from "./limiter.ts";
export {
  classify,
  COOKIE_REPLY_LENGTH,
  INITIATION_LENGTH,
  KEEPALIVE_LENGTH,
  MessageType,
  readU32,
  RESPONSE_LENGTH,
  TRANSPORT_HEADER_LENGTH,
} from "./messages.ts";
export {
  OPEN_CLOSED,
  OPEN_EXHAUSTED,
  OPEN_FORGED,
  OPEN_REPLAYED,
  OPEN_TOO_SHORT,
  Session,
} from "./session.ts";
export {
  type HandshakeOutcome,
  InvalidPeerKeyError,
  Tunnel,
  type TunnelEvent,
  type TunnelOptions,
} from "./tunnel.ts";
