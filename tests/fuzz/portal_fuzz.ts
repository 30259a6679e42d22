import assert from "node:assert/strict";
import { decodeClientEvent, decodeFrame, decodeGatewayEvent, parseUserAgent } from "../../mod/portal/mod.ts";
import { parseCandidate } from "../../mod/ice/mod.ts";
import { fromText, type FuzzTarget } from "./target.ts";

const EVENTS = ["init", "authorize_flow", "create_authorization", "reject_access", "ice_candidates"];

export const target: FuzzTarget = {
  title: "any text from a portal is a frame or refused with a reason, whatever its payload",
  seeds: [
    fromText(
      `{"topic":"gateway","event":"init","payload":{"interface":{"ipv4":"100.64.0.1","ipv6":"fd00::1"},` +
        `"relays":[],"config":{}},"ref":null}`,
    ),
    fromText(`{"topic":"gateway","event":"reject_access","payload":{"client_id":"a","resource_id":"b"}}`),
    fromText("candidate:1 1 UDP 2130706431 192.0.2.1 52625 typ host"),
    fromText("Debian/12 connlib/1.5.0 (x86_64; 6.18.0)"),
  ],
  run(input) {
    const text = new TextDecoder().decode(input);
    const frame = decodeFrame(text);
    if (typeof frame === "string") assert.ok(frame.length < 1000, "the reason is short");
    else {
      for (const event of [frame.event, ...EVENTS]) {
        decodeGatewayEvent(event, frame.payload);
        decodeClientEvent(event, frame.payload);
      }
    }
    parseCandidate(text);
    parseUserAgent(text);
  },
};
