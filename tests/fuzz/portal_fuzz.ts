import assert from "node:assert/strict";
import { decodeClientEvent, decodeFrame, decodeGatewayEvent, parseUserAgent } from "../../mod/portal/mod.ts";
import corpus from "./corpus/portal.hex" with { type: "text" };
import { fromText, type FuzzTarget } from "./target.ts";

const EVENTS = ["init", "authorize_flow", "create_authorization", "reject_access", "ice_candidates"];

export const target: FuzzTarget = {
  title: "any text from a portal is a frame or refused with a short reason, whatever its payload",
  seeds: [
    fromText(
      `{"topic":"gateway","event":"init","payload":{"interface":{"ipv4":"100.64.0.1","ipv6":"fd00::1"},` +
        `"relays":[],"config":{}},"ref":null}`,
    ),
    fromText(`{"topic":"gateway","event":"reject_access","payload":{"client_id":"a","resource_id":"b"}}`),
    fromText("Debian/12 connlib/1.5.0 (x86_64; 6.18.0)"),
  ],
  corpus,
  start: () => (input) => {
    const text = new TextDecoder().decode(input);
    const component = parseUserAgent(text)?.component ?? "";
    const frame = decodeFrame(text);
    if (typeof frame === "string") {
      assert.ok(frame.length < 1000, "the reason is long");
      return component;
    }
    return [frame.event, ...EVENTS].map((event) =>
      Number(decodeGatewayEvent(event, frame.payload).value !== undefined) +
      2 * Number(decodeClientEvent(event, frame.payload).value !== undefined)
    ).join("");
  },
};
