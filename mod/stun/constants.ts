/** Numbers of STUN (RFC 8489), TURN (RFC 8656) and ICE (RFC 8445 §16.1) that this project speaks. */

export const MAGIC_COOKIE = 0x2112a442;
export const HEADER_SIZE = 20;
export const TRANSACTION_ID_SIZE = 12;

/** Message classes by name; on the wire two bits spread through the message type (RFC 8489 §5). */
export type StunClass = "request" | "indication" | "success" | "error";
export const StunClass = {
  REQUEST: "request",
  INDICATION: "indication",
  SUCCESS: "success",
  ERROR: "error",
} as const;

export const Method = {
  BINDING: 0x001,
  ALLOCATE: 0x003,
  REFRESH: 0x004,
  SEND: 0x006,
  DATA: 0x007,
  CREATE_PERMISSION: 0x008,
  CHANNEL_BIND: 0x009,
} as const;

export const AttributeType = {
  MAPPED_ADDRESS: 0x0001,
  USERNAME: 0x0006,
  MESSAGE_INTEGRITY: 0x0008,
  ERROR_CODE: 0x0009,
  UNKNOWN_ATTRIBUTES: 0x000a,
  CHANNEL_NUMBER: 0x000c,
  LIFETIME: 0x000d,
  XOR_PEER_ADDRESS: 0x0012,
  DATA: 0x0013,
  REALM: 0x0014,
  NONCE: 0x0015,
  XOR_RELAYED_ADDRESS: 0x0016,
  REQUESTED_ADDRESS_FAMILY: 0x0017,
  EVEN_PORT: 0x0018,
  REQUESTED_TRANSPORT: 0x0019,
  DONT_FRAGMENT: 0x001a,
  XOR_MAPPED_ADDRESS: 0x0020,
  RESERVATION_TOKEN: 0x0022,
  PRIORITY: 0x0024,
  USE_CANDIDATE: 0x0025,
  ADDITIONAL_ADDRESS_FAMILY: 0x8000,
  SOFTWARE: 0x8022,
  FINGERPRINT: 0x8028,
  ICE_CONTROLLED: 0x8029,
  ICE_CONTROLLING: 0x802a,
  /** What coturn (4.6.1, Debian 12) takes ADDITIONAL-ADDRESS-FAMILY to be: it predates the assignment of 0x8000. */
  ADDITIONAL_ADDRESS_FAMILY_COTURN: 0x8032,
} as const;

/** Protocol number of UDP, the only REQUESTED-TRANSPORT in use. */
export const TRANSPORT_UDP = 17;
