import assert from "node:assert/strict";
import fc from "fast-check";
import { decodeRelayEvent, relayCodec } from "../../mod/portal/schema/relay.ts";
import { PortalSession } from "../../mod/portal/session.ts";
import { seededRandom } from "./support.ts";

const SECRET = "ad7c7480a51de6bef217f83628c5917f83e717c012e25f302bd2ed1df109a782";

/** A relay's session; `say` is the portal. */
class Conversation {
  now = 0;
  readonly session = new PortalSession(relayCodec(SECRET), {
    random: seededRandom(),
    unixNow: () => 1_753_347_600,
    now: 0,
  });
  readonly frames: string[] = [];
  readonly events: string[] = [];

  constructor() {
    this.drain();
  }

  open(): this {
    this.session.handleOpen(this.now);
    return this.drain();
  }

  say(frame: object): this {
    this.session.handleText(JSON.stringify(frame), this.now);
    return this.drain();
  }

  at(time: number): this {
    this.now = time;
    this.session.handleTimeout(time);
    return this.drain();
  }

  drain(): this {
    for (let event; (event = this.session.pollEvent());) {
      this.events.push(
        event.type === "event"
          ? event.event.type
          : event.type === "warning"
          ? event.text
          : event.type === "failed"
          ? event.error.kind
          : event.type,
      );
    }
    for (let frame; (frame = this.session.pollTransmit()) !== undefined;) this.frames.push(frame);
    return this;
  }
}

const ok = (ref: number, topic = "relay") => ({
  topic,
  event: "phx_reply",
  payload: { status: "ok", response: {} },
  ref,
});
const push = (event: string, payload: unknown) => ({ topic: "relay", event, payload, ref: null });

Deno.test("a relay joins with its stamp secret, is greeted, and then only beats its heart", () => {
  const relay = new Conversation().open();
  assert.deepEqual(relay.frames.splice(0).map((frame) => JSON.parse(frame)), [
    { topic: "relay", event: "phx_join", payload: { stamp_secret: SECRET }, ref: 0 },
  ]);
  relay.say(ok(0)).say(push("init", {}));
  assert.deepEqual(relay.events.splice(0), ["dial", "joined", "init"]);
  relay.at(10_000).say(ok(1, "phoenix")).at(20_000).say(ok(2, "phoenix"));
  assert.deepEqual(relay.frames.map((frame) => JSON.parse(frame)), [
    { topic: "phoenix", event: "heartbeat", payload: {}, ref: 1 },
    { topic: "phoenix", event: "heartbeat", payload: {}, ref: 2 },
  ]);
  assert.deepEqual(relay.events, []);
});

Deno.test("a relay that lost its portal joins anew with the same secret", () => {
  const relay = new Conversation().open().say(ok(0)).say(push("init", {}));
  relay.session.handleClosed("1012", 1000);
  relay.drain();
  assert.deepEqual(relay.events.splice(0), ["dial", "joined", "init", "down"]);
  relay.at(2000).open();
  assert.deepEqual(
    relay.frames.map((frame) => JSON.parse(frame).payload),
    [{ stamp_secret: SECRET }, { stamp_secret: SECRET }],
  );
});

Deno.test("a deleted relay is told so, and that is the end", () => {
  const relay = new Conversation().open().say(ok(0)).say(push("disconnect", { reason: "token_expired" }));
  assert.deepEqual(relay.events, ["dial", "joined", "hangup", "token_expired"]);
  assert.equal(relay.session.pollTimeout(), undefined);
});

Deno.test("what a relay does not know is a warning, and the link stays", () => {
  const relay = new Conversation().open().say(ok(0)).say(push("relays_presence", {}));
  assert.match(relay.events.at(-1)!, /relays_presence: unknown event/);
  assert.ok(relay.session.isJoined);
});

Deno.test("any event with any payload is a greeting or an error for a relay, never a throw", () => {
  fc.assert(fc.property(fc.string(), fc.jsonValue(), (event, payload) => {
    const { value, error } = decodeRelayEvent(event, payload);
    assert.equal(value !== undefined, event === "init");
    assert.equal(error === undefined, event === "init");
  }));
});
