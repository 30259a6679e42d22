/**
 * What a packet costs in our own code, without cipher and kernel, in ns per 1280-byte packet of a TCP super-packet:
 * the budget of design §4 is 300. Names are stable: reports compare them.
 */
import { Stream } from "../gateway/stream.ts";
import { type Figure, measure } from "./figure.ts";

const SEGMENTS = 46;

export function figures(): readonly Figure[] {
  const stream = new Stream(SEGMENTS);
  const send = measure("core.tun_to_wire_packet", () => stream.send(), SEGMENTS);
  // What arrives must be sent anew each time: a replayed packet takes another way through the code.
  const both = measure("core.both_ways_packet", () => {
    stream.send();
    stream.receive();
  }, SEGMENTS);
  return [send, { name: "core.wire_to_tun_packet", value: both.value - send.value, unit: "ns" }];
}
