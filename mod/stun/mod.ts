/** STUN, TURN and ICE message codec: pure functions from bytes to values and back. */
export * from "./channel_data.ts";
export * from "./constants.ts";
export { decodeStun, looksLikeStun } from "./decoder.ts";
export { encodeStun } from "./encoder.ts";
export { longTermKey, shortTermKey, verifyIntegrity } from "./integrity.ts";
export type { ErrorCode, StunAttribute, StunMessage, StunMessageInit } from "./message.ts";
export { fragmentHashOf, hashFragment, isStunIndication, isStunRequest } from "./peek.ts";
export { transactionKey } from "./transaction.ts";
