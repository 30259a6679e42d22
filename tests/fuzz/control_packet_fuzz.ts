import assert from "node:assert/strict";
import { decodeControl, encodeControl, isControl } from "../../mod/policy/mod.ts";
import corpus from "./corpus/control_packet.hex" with { type: "text" };
import { controlPacket } from "./ip_packets.ts";
import type { FuzzTarget } from "./target.ts";

const resource = "c2d5b1a4-0f5e-4a7b-93c8-1e2f3a4b5c33";

export const target: FuzzTarget = {
  title: "any packet is a control message or none, and what was read can be written",
  seeds: [
    encodeControl({ type: "goodbye" }),
    encodeControl({ type: "assigned-ips", resource, domain: "a.b", proxyIps: ["100.96.0.1", "fd00::1"] }),
    encodeControl({ type: "domain-status", resource, domain: "a.b", active: true }),
  ],
  corpus,
  maxLength: 1400,
  generate: controlPacket,
  start: () => (input) => {
    if (input.length > 41 && input.at(-1)! & 1) {
      input[4] = (input.length - 40) >> 8;
      input[5] = input.length - 40;
    }
    const message = decodeControl(input);
    if (!message) return isControl(input) ? `unknown ${Math.min(input[40]!, 3)}` : "other";
    assert.ok(isControl(input));
    let again;
    try {
      again = encodeControl(message);
    } catch (error) {
      assert.ok(error instanceof RangeError);
      return "too long";
    }
    assert.deepEqual(decodeControl(again), message);
    return `${message.type} ${message.type === "assigned-ips" ? message.proxyIps.length : ""}`;
  },
};
