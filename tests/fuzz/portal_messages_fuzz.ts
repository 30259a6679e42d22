import assert from "node:assert/strict";
import {
  decodeClientEvent,
  decodeFrame,
  decodeGatewayEvent,
  decodeGatewayReport,
  describeRefusal,
  parseRetryAfter,
  parseUserAgent,
  readReply,
  REPORT_EVENT,
} from "../../mod/portal/mod.ts";
import { parseOsRelease } from "../../mod/portal/user_agent.ts";
import corpus from "./corpus/portal_messages.hex" with { type: "text" };
import { Frames } from "./json.ts";
import { CLIENT_EVENTS, GATEWAY_EVENTS, REPORTS, SECRETS } from "./portal_payloads.ts";
import { fromText, type FuzzTarget } from "./target.ts";

const frames = new Frames(["gateway", "client"], [...GATEWAY_EVENTS, ...CLIENT_EVENTS, ...REPORTS]);

export const target: FuzzTarget = {
  title:
    "any text from a portal is a message of a known shape or refused with a short reason that holds no secret",
  seeds: [
    ...frames.seeds(),
    fromText("Debian/12 connlib/1.5.0 (x86_64; 6.18.0)"),
    fromText('{"code":"x","title":1}'),
  ],
  corpus,
  generate: (dice) => frames.generate(dice),
  start: () => (input) => {
    const text = new TextDecoder().decode(input);
    parseUserAgent(text);
    parseOsRelease(text);
    const pause = parseRetryAfter(text, 1_753_347_600);
    assert.ok(pause === undefined || (pause >= 0 && pause <= 3_600_000));
    assert.ok(describeRefusal({ status: 503, body: text }).text.length < 300);
    const frame = decodeFrame(text);
    if (typeof frame === "string") {
      assert.ok(frame.length < 100, "the reason is long");
      return frame;
    }
    readReply(frame.payload);
    let outcome = "";
    for (
      const decoded of [
        decodeGatewayEvent(frame.event, frame.payload),
        decodeClientEvent(frame.event, frame.payload),
        ...(frame.event === REPORT_EVENT ? [decodeGatewayReport(frame.payload)] : []),
      ]
    ) {
      const { value, error, skipped } = decoded;
      assert.equal(value === undefined, error !== undefined);
      for (const { message } of [...skipped, ...(error ? [error] : [])]) {
        assert.ok(message.length < 700, message);
        for (const secret of SECRETS) assert.ok(!message.includes(secret), "a secret in an error");
      }
      outcome += `${typeOf(value) ?? error?.path.replace(/\d+/g, "n").slice(0, 40)} ${
        Math.min(skipped.length, 2)
      } `;
    }
    return outcome;
  },
};

function typeOf(value: { readonly type?: string } | object | undefined): string | undefined {
  return value && ("type" in value ? value.type : "report");
}
