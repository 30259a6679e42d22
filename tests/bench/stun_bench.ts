/** What the messages of a connectivity check cost to make, to read and to believe. */
import { SocketAddress } from "../../mod/packet/address.ts";
import {
  AttributeType,
  decodeStun,
  encodeStun,
  Method,
  shortTermKey,
  type StunMessageInit,
  verifyIntegrity,
} from "../../mod/stun/mod.ts";
import { type Figure, measure } from "./figure.ts";

export function figures(): Figure[] {
  const transactionId = crypto.getRandomValues(new Uint8Array(12));
  const common = {
    method: Method.BINDING,
    transactionId,
    integrityKey: shortTermKey("a password of 22 bytes"),
  };
  const check: StunMessageInit = {
    ...common,
    class: "request",
    attributes: [
      [AttributeType.USERNAME, "abcd:efgh"],
      [AttributeType.ICE_CONTROLLED, 0x0102030405060708n],
      [AttributeType.PRIORITY, 1862270719],
    ],
    fingerprint: true,
  };
  const success: StunMessageInit = {
    ...common,
    class: "success",
    attributes: [[AttributeType.XOR_MAPPED_ADDRESS, SocketAddress.parse("203.0.113.5:40000")!]],
    fingerprint: true,
  };
  const bytes = encodeStun(check), message = decodeStun(bytes)!, reply = encodeStun(success);
  return [
    measure("stun.encode.check", () => encodeStun(check)),
    measure("stun.encode.success", () => encodeStun(success)),
    measure("stun.decode.check", () => decodeStun(bytes)),
    measure("stun.decode.success", () => decodeStun(reply)),
    measure("stun.verify", () => verifyIntegrity(message, common.integrityKey)),
  ];
}
