import assert from "node:assert/strict";
import { SocketAddress } from "../../mod/packet/mod.ts";
import {
  AttributeType as A,
  decodeStun,
  encodeStun,
  looksLikeStun,
  Method,
  type StunAttribute,
  type StunClass,
  type StunMessage,
  transactionKey,
  verifyIntegrity,
} from "../../mod/stun/mod.ts";
import corpus from "./corpus/stun.hex" with { type: "text" };
import type { Dice } from "./dice.ts";
import { fromHex, fromText, type FuzzTarget } from "./target.ts";

const KEY = fromText("password");
const OTHER_KEY = fromText("drowssap");
const V4 = SocketAddress.of("192.0.2.1", 3478)!, V6 = SocketAddress.of("2001:db8::1", 65535)!;

function attribute(dice: Dice): StunAttribute {
  const text = dice.pick(["", "a:b", "firezone", "ü", "x".repeat(130), "\u0000"]);
  const u32 = dice.u32(), address = dice.once(2) ? V4 : V6;
  return dice.pick<StunAttribute>([
    [dice.pick([A.USERNAME, A.REALM, A.NONCE, A.SOFTWARE]), text],
    [dice.pick([A.PRIORITY, A.LIFETIME]), u32],
    [A.CHANNEL_NUMBER, u32 & 0xffff],
    [A.REQUESTED_TRANSPORT, u32 & 255],
    [dice.pick([A.REQUESTED_ADDRESS_FAMILY, A.ADDITIONAL_ADDRESS_FAMILY]), dice.once(2) ? 4 : 6],
    [dice.pick([A.ICE_CONTROLLED, A.ICE_CONTROLLING]), BigInt(u32) << BigInt(dice.below(33))],
    [dice.pick([A.USE_CANDIDATE, A.DONT_FRAGMENT])],
    [dice.pick([A.XOR_MAPPED_ADDRESS, A.XOR_PEER_ADDRESS, A.XOR_RELAYED_ADDRESS]), address],
    [A.ERROR_CODE, { code: 300 + dice.below(400), reason: text }],
    [A.UNKNOWN_ATTRIBUTES, [u32 & 0xffff]],
    [A.EVEN_PORT, dice.once(2)],
    [A.DATA, dice.bytes(dice.below(20))],
  ]);
}

function generate(dice: Dice): Uint8Array {
  return encodeStun({
    class: dice.pick<StunClass>(["request", "indication", "success", "error"]),
    method: dice.once(4) ? dice.below(0x1000) : dice.pick(Object.values(Method)),
    transactionId: dice.bytes(12),
    attributes: Array.from({ length: dice.below(8) }, () => attribute(dice)),
    ...(dice.once(2) ? { integrityKey: KEY } : {}),
    fingerprint: dice.once(2),
  });
}

/** What a decoded message says, encoded anew. */
function encodeAgain(message: StunMessage): Uint8Array {
  const { errorCode, username, realm, nonce, software, priority, lifetime, channelNumber } = message;
  const { requestedTransport, iceControlling, iceControlled, xorMappedAddress, xorPeerAddress } = message;
  const attributes: StunAttribute[] = message.xorRelayedAddresses.map((one) => [A.XOR_RELAYED_ADDRESS, one]);
  if (errorCode) attributes.push([A.ERROR_CODE, errorCode]);
  if (username !== undefined) attributes.push([A.USERNAME, username]);
  if (realm !== undefined) attributes.push([A.REALM, realm]);
  if (nonce !== undefined) attributes.push([A.NONCE, nonce]);
  if (software !== undefined) attributes.push([A.SOFTWARE, software]);
  if (priority !== undefined) attributes.push([A.PRIORITY, priority]);
  if (lifetime !== undefined) attributes.push([A.LIFETIME, lifetime]);
  if (channelNumber !== undefined) attributes.push([A.CHANNEL_NUMBER, channelNumber]);
  if (requestedTransport !== undefined) attributes.push([A.REQUESTED_TRANSPORT, requestedTransport]);
  if (iceControlling !== undefined) attributes.push([A.ICE_CONTROLLING, iceControlling]);
  if (iceControlled !== undefined) attributes.push([A.ICE_CONTROLLED, iceControlled]);
  if (xorMappedAddress) attributes.push([A.XOR_MAPPED_ADDRESS, xorMappedAddress]);
  if (xorPeerAddress) attributes.push([A.XOR_PEER_ADDRESS, xorPeerAddress]);
  if (message.useCandidate) attributes.push([A.USE_CANDIDATE]);
  return encodeStun({
    class: message.class,
    method: message.method,
    transactionId: message.transactionId,
    attributes,
    ...(message.hasIntegrity ? { integrityKey: OTHER_KEY } : {}),
  });
}

/** What {@link encodeAgain} writes. */
function comparable(message: StunMessage) {
  return { ...message, ...NOT_WRITTEN, transactionId: message.transactionId.toHex() };
}
const NOT_WRITTEN = {
  raw: undefined,
  integrityOffset: 0,
  unknownRequired: [],
  requestedFamily: undefined,
  additionalFamily: undefined,
  evenPort: undefined,
  data: undefined,
  reservationToken: undefined,
};

export const target: FuzzTarget = {
  title: "any datagram is a STUN message or none, never an exception, and what was read can be written",
  seeds: [
    encodeStun({
      class: "request",
      method: Method.BINDING,
      transactionId: fromHex("0102030405060708090a0b0c"),
      attributes: [[A.USERNAME, "a:b"], [A.PRIORITY, 1], [A.ICE_CONTROLLING, 7n], [A.USE_CANDIDATE]],
      integrityKey: KEY,
      fingerprint: true,
    }),
  ],
  corpus,
  dictionary: [...Object.values(A).map((type) => Uint8Array.of(type >> 8, type & 255)), fromHex("2112a442")],
  generate,
  smoke: 1500,
  start: () => (input) => {
    const message = decodeStun(input);
    if (!message) return looksLikeStun(input) ? "malformed" : "other";
    assert.ok(input.length >= 20 && input.length % 4 === 0 && message.transactionId.length === 12);
    assert.equal(transactionKey(message.transactionId).length, 12);
    const isOurs = verifyIntegrity(message, KEY);
    assert.ok(message.hasIntegrity || !isOurs);
    const again = decodeStun(encodeAgain(message));
    assert.ok(again, "what was read can't be written");
    assert.deepEqual(comparable(again), comparable(message));
    assert.equal(verifyIntegrity(again, OTHER_KEY), message.hasIntegrity);
    const { raw: _raw, ...fields } = message;
    return `${isOurs} ${message.class} ${Object.keys(fields).length} ${message.unknownRequired.length > 0}`;
  },
};
