import assert from "node:assert/strict";
import { decodeChannelData, encodeChannelData, FIRST_CHANNEL, LAST_CHANNEL } from "../../mod/stun/mod.ts";
import corpus from "./corpus/channel_data.hex" with { type: "text" };
import { fromHex, type FuzzTarget } from "./target.ts";

export const target: FuzzTarget = {
  title: "any datagram is exactly one ChannelData message or none",
  seeds: [fromHex("4000 0004 01020304"), fromHex("7fff 0000"), fromHex("4fff 0001 00")],
  corpus,
  generate: (dice) => encodeChannelData(FIRST_CHANNEL + dice.below(0x4000), dice.bytes(dice.below(64))),
  start: () => (input) => {
    const data = decodeChannelData(input);
    if (!data) return "none";
    assert.ok(data.channel >= FIRST_CHANNEL && data.channel <= LAST_CHANNEL);
    assert.equal(data.payload.length, input.length - 4);
    assert.deepEqual(encodeChannelData(data.channel, data.payload), input);
    return data.payload.length === 0 ? "empty" : "data";
  },
};
