import { deepEqual, equal } from "node:assert/strict";
import fc from "fast-check";
import { decodeChannelData, encodeChannelData } from "../../mod/stun/mod.ts";
import { fromHex, hex } from "./hex.ts";

Deno.test("ChannelData is number, length and payload without padding", () => {
  equal(hex(encodeChannelData(0x4001, fromHex("aabbcc"))), "40010003aabbcc");
  deepEqual(decodeChannelData(fromHex("40010003aabbcc")), { channel: 0x4001, payload: fromHex("aabbcc") });
});

Deno.test("a length field that is not exactly the rest of the datagram is refused", () => {
  equal(decodeChannelData(fromHex("40010003aabb")), undefined);
  equal(decodeChannelData(fromHex("40010003aabbcc00")), undefined, "padded");
  equal(decodeChannelData(fromHex("400100")), undefined);
  equal(decodeChannelData(fromHex("40010000"))?.payload.length, 0);
});

Deno.test("only the channel numbers 0x4000 to 0x7FFF are ChannelData", () => {
  for (const [number, valid] of [["3fff", false], ["4000", true], ["7fff", true], ["8000", false]] as const) {
    equal(decodeChannelData(fromHex(number + "0000")) !== undefined, valid);
  }
});

Deno.test("ChannelData round trip, and any bytes without a throw", () => {
  fc.assert(fc.property(
    fc.integer({ min: 0x4000, max: 0x7fff }),
    fc.uint8Array({ maxLength: 1500 }),
    (channel, payload) => {
      deepEqual(decodeChannelData(encodeChannelData(channel, payload)), { channel, payload });
      decodeChannelData(payload);
    },
  ));
});
