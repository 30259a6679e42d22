import assert from "node:assert/strict";
import {
  AttributeType,
  decodeChannelData,
  decodeStun,
  encodeStun,
  Method,
  verifyIntegrity,
} from "../../mod/stun/mod.ts";
import { fromHex, fromText, type FuzzTarget } from "./target.ts";

const KEY = fromText("password");
const id = fromHex("0102030405060708090a0b0c");

export const target: FuzzTarget = {
  title: "any datagram is a STUN message, ChannelData or neither, and never an exception",
  seeds: [
    encodeStun({
      class: "request",
      method: Method.BINDING,
      transactionId: id,
      attributes: [[AttributeType.USERNAME, "a:b"], [AttributeType.PRIORITY, 1]],
      integrityKey: KEY,
      fingerprint: true,
    }),
    fromHex("4000 0004 01020304"),
  ],
  run(input) {
    const message = decodeStun(input);
    if (message) {
      assert.ok(input.length >= 20 && input.length % 4 === 0);
      verifyIntegrity(message, KEY);
    }
    const data = decodeChannelData(input);
    if (data) assert.ok(data.payload.length <= input.length - 4);
  },
};
