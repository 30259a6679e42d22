/** What becomes of a packet that a client sent. */

/** Write the packet to TUN. */
export const VERDICT_FORWARD = 0;
/** Drop it silently; it is counted. */
export const VERDICT_DROP = 1;
/** Answer with "administratively prohibited", built from the packet as it is. */
export const VERDICT_REPLY_PROHIBITED = 2;
/** Answer with "network/address unreachable", built from the packet as it is. */
export const VERDICT_REPLY_UNREACHABLE = 3;
/** A control packet: hand it to `decodeControl`; it must never reach TUN. */
export const VERDICT_CONTROL = 4;

export type Verdict = 0 | 1 | 2 | 3 | 4;
