import assert from "node:assert/strict";
import type { Dialect } from "../../mod/portal/login_url.ts";
import { clientCodec } from "../../mod/portal/schema/client.ts";
import { gatewayCodec } from "../../mod/portal/schema/gateway.ts";
import { PortalSession } from "../../mod/portal/session.ts";
import type { GatewayCommand, GatewayEvent } from "../../mod/portal/types.ts";
import {
  authorizeFlow,
  clientInit,
  createAuthorization,
  flowCreated,
  gatewayInit,
  relayEntry,
} from "./payloads.ts";
import { CLIENT_ID, GATEWAY_ID, RELAY_ID, RESOURCE_ID, seededRandom } from "./support.ts";

const HOST = "candidate:1130928381964183420 1 udp 2130706175 192.0.2.44 52625 typ host";
const RELAY = "candidate:7031633958891736544 1 udp 50331391 203.0.113.10 53909 typ relay";
const THEIRS = "candidate:7854631899965427361 1 udp 1694498559 172.28.0.100 47717 typ srflx";

/** A session with a transcript: → what we send, ← what the portal sends, * what comes out for the owner. */
class Conversation<Event extends { type: string }, Command> {
  now = 0;
  readonly session: PortalSession<Event, Command>;
  readonly #topic: string;
  readonly #lines: string[] = [];

  constructor(codec: ConstructorParameters<typeof PortalSession<Event, Command>>[0]) {
    this.#topic = codec.topic;
    this.session = new PortalSession(codec, { random: seededRandom(), unixNow: () => 1_753_347_600, now: 0 });
    this.#drain();
  }

  open(): void {
    this.session.handleOpen(this.now);
    this.#drain();
  }

  say(command: Command): void {
    this.session.send(command);
    this.#drain();
  }

  hear(event: string, payload: unknown, ref: number | null = null, topic = this.#topic): void {
    const size = JSON.stringify(payload).length;
    this.#lines.push(`← ${event} ${ref ?? "·"} ${size < 120 ? JSON.stringify(payload) : "…"}`);
    this.session.handleText(JSON.stringify({ topic, event, payload, ref }), this.now);
    this.#drain();
  }

  ok(ref: number, topic = this.#topic): void {
    this.hear("phx_reply", { status: "ok", response: {} }, ref, topic);
  }

  error(ref: number, reason: string): void {
    this.hear("phx_reply", { status: "error", response: { reason } }, ref);
  }

  drop(): void {
    this.session.handleClosed("1006", this.now);
    this.#drain();
  }

  wait(milliseconds: number): void {
    this.now += milliseconds;
    this.session.handleTimeout(this.now);
    this.#drain();
  }

  /** The transcript since the last call. */
  transcript(): string {
    return this.#lines.splice(0).join("\n");
  }

  #drain(): void {
    for (let event; (event = this.session.pollEvent()) !== undefined;) {
      const detail = event.type === "event" ? event.event.type : event.type === "warning" ? event.text : "";
      this.#lines.push(`* ${event.type} ${detail}`.trimEnd());
    }
    for (let text; (text = this.session.pollTransmit()) !== undefined;) {
      const { event, payload, ref } = JSON.parse(text);
      this.#lines.push(`→ ${event} ${ref} ${JSON.stringify(payload)}`);
    }
  }
}

function gateway(dialect: Dialect): Conversation<GatewayEvent, GatewayCommand> {
  return new Conversation(gatewayCodec(dialect));
}

const candidates = (...list: string[]): GatewayCommand => ({
  type: "candidates",
  clientId: CLIENT_ID,
  candidates: list,
});

const NAMES = {
  v1: { authorize: "authorize_flow", payload: authorizeFlow, confirm: "flow_authorized" },
  v2: { authorize: "create_authorization", payload: createAuthorization, confirm: "authorization_created" },
} as const;

for (const dialect of ["v1", "v2"] as const) {
  const names = NAMES[dialect];

  Deno.test(`a gateway's whole day in dialect ${dialect}`, () => {
    const talk = gateway(dialect);
    talk.open();
    talk.ok(0);
    talk.hear("init", gatewayInit());
    talk.wait(10_000);
    talk.ok(1, "phoenix");
    talk.hear(names.authorize, names.payload());
    talk.say({ type: "authorized", ref: "SFMyNTY.g2gDbQAAA" });
    talk.ok(2);
    talk.say(candidates(HOST, RELAY));
    talk.hear("ice_candidates", { client_id: CLIENT_ID, candidates: [THEIRS] });
    talk.say({ type: "invalidated_candidates", clientId: CLIENT_ID, candidates: [RELAY] });
    talk.hear("relays_presence", {
      disconnected_ids: [RELAY_ID],
      connected: [relayEntry("198.51.100.7:3478")],
    });
    talk.hear("resource_updated", { type: "internet", id: RESOURCE_ID });
    talk.hear("reject_access", { client_id: CLIENT_ID, resource_id: RESOURCE_ID });
    talk.hear("disconnect", { reason: "token_expired" });
    assert.equal(
      talk.transcript(),
      `* dial
→ phx_join 0 null
← phx_reply 0 {"status":"ok","response":{}}
* joined
← init · …
* event init
→ heartbeat 1 {}
← phx_reply 1 {"status":"ok","response":{}}
← ${names.authorize} · …
* event authorize
→ ${names.confirm} 2 {"ref":"SFMyNTY.g2gDbQAAA"}
← phx_reply 2 {"status":"ok","response":{}}
→ broadcast_ice_candidates 3 {"client_ids":["${CLIENT_ID}"],"candidates":["${HOST}","${RELAY}"]}
← ice_candidates · …
* event ice_candidates
→ broadcast_invalidated_ice_candidates 4 {"client_ids":["${CLIENT_ID}"],"candidates":["${RELAY}"]}
← relays_presence · …
* event relays_presence
← resource_updated · {"type":"internet","id":"${RESOURCE_ID}"}
* event resource_updated
← reject_access · {"client_id":"${CLIENT_ID}","resource_id":"${RESOURCE_ID}"}
* event reject_access
← disconnect · {"reason":"token_expired"}
* hangup
* failed`,
    );
  });

  Deno.test(`the confirmation leaves before the candidates it causes, even if they are said first (${dialect})`, () => {
    const talk = gateway(dialect);
    talk.open();
    talk.ok(0);
    talk.hear(names.authorize, names.payload());
    talk.transcript();
    talk.say(candidates(HOST));
    talk.say(candidates(RELAY));
    talk.say({ type: "authorized", ref: "SFMyNTY.g2gDbQAAA" });
    assert.equal(
      talk.transcript(),
      `→ ${names.confirm} 1 {"ref":"SFMyNTY.g2gDbQAAA"}
→ broadcast_ice_candidates 2 {"client_ids":["${CLIENT_ID}"],"candidates":["${HOST}","${RELAY}"]}`,
    );
  });
}

Deno.test("through an outage: candidates collapse and follow the next join, a confirmation is not replayed", () => {
  const talk = gateway("v1");
  talk.open();
  talk.ok(0);
  talk.hear("authorize_flow", authorizeFlow());
  talk.drop();
  talk.transcript();
  talk.say(candidates(HOST, RELAY));
  talk.say({ type: "authorized", ref: "SFMyNTY.g2gDbQAAA" });
  talk.say({ type: "invalidated_candidates", clientId: CLIENT_ID, candidates: [RELAY] });
  talk.say({ type: "no_relays" });
  assert.equal(talk.transcript(), "");
  talk.wait(1_000);
  talk.open();
  talk.ok(0);
  talk.hear("init", gatewayInit());
  assert.equal(
    talk.transcript(),
    `* dial
→ phx_join 0 null
← phx_reply 0 {"status":"ok","response":{}}
* joined
→ broadcast_ice_candidates 1 {"client_ids":["${CLIENT_ID}"],"candidates":["${HOST}"]}
→ broadcast_invalidated_ice_candidates 2 {"client_ids":["${CLIENT_ID}"],"candidates":["${RELAY}"]}
← init · …
* event init`,
  );
});

Deno.test("a reconnect that is asked for: the socket is given up at once, candidates wait for the next join", () => {
  const talk = gateway("v1");
  talk.open();
  talk.ok(0);
  talk.wait(6_000);
  talk.transcript();
  talk.session.reconnect(talk.now);
  talk.say(candidates(HOST));
  assert.equal(talk.transcript(), "* hangup\n* dial");
  talk.open();
  talk.ok(0);
  assert.match(talk.transcript(), /\* joined\n→ broadcast_ice_candidates/);
});

Deno.test("a portal that doesn't know no_relays is asked for a fresh init by a new connection", () => {
  const talk = gateway("v1");
  talk.open();
  talk.ok(0);
  talk.transcript();
  talk.wait(6_000);
  talk.say({ type: "no_relays" });
  talk.error(1, "unknown_message");
  talk.open();
  talk.ok(0);
  assert.equal(
    talk.transcript(),
    `→ no_relays 1 {}
← phx_reply 1 {"status":"error","response":{"reason":"unknown_message"}}
* warning The portal rejected no_relays: unknown_message.
* hangup
* dial
→ phx_join 0 null
← phx_reply 0 {"status":"ok","response":{}}
* joined`,
  );
});

Deno.test("a portal that knows no_relays answers with relays", () => {
  const talk = gateway("v2");
  talk.open();
  talk.ok(0);
  talk.transcript();
  talk.say({ type: "no_relays" });
  talk.hear("relays_presence", { disconnected_ids: [], connected: [relayEntry("198.51.100.7:3478")] });
  assert.equal(talk.transcript(), "→ no_relays 1 {}\n← relays_presence · …\n* event relays_presence");
});

Deno.test("when the channel has to be joined anew, candidates wait for it", () => {
  const talk = gateway("v1");
  talk.open();
  talk.ok(0);
  talk.say(candidates(HOST));
  talk.error(1, "unmatched topic");
  talk.transcript();
  talk.say(candidates(RELAY));
  assert.equal(talk.transcript(), "");
  talk.ok(2);
  assert.match(talk.transcript(), /joined\n→ broadcast_ice_candidates 3 .*typ relay/);
});

Deno.test("a message that can't be read is named in a warning, and the link stays", () => {
  const talk = gateway("v1");
  talk.open();
  talk.ok(0);
  talk.transcript();
  talk.hear("reject_access", { client_id: "x" });
  talk.hear("teleport", {});
  assert.equal(
    talk.transcript(),
    `← reject_access · {"client_id":"x"}
* warning Cannot read reject_access at client_id: it is not a UUID.
← teleport · {}
* warning Cannot read teleport: unknown event.`,
  );
  assert.equal(talk.session.isJoined, true);
});

const CLIENT_NAMES = {
  v1: {
    request: "create_flow",
    granted: "flow_created",
    refused: "flow_creation_failed",
    signal: `broadcast_ice_candidates 2 {"gateway_ids":["${GATEWAY_ID}"]`,
  },
  v2: {
    request: "request_authorization",
    granted: "authorization_created",
    refused: "authorization_creation_failed",
    signal: `new_gateway_ice_candidates 2 {"gateway_id":"${GATEWAY_ID}"`,
  },
};

for (const dialect of ["v1", "v2"] as const) {
  const names = CLIENT_NAMES[dialect];

  Deno.test(`a client's whole day in dialect ${dialect}`, () => {
    const talk = new Conversation(clientCodec(dialect));
    talk.open();
    talk.ok(0);
    talk.hear("init", clientInit());
    talk.say({ type: "request", resourceId: RESOURCE_ID, connectedGatewayIds: [] });
    talk.hear(names.granted, flowCreated());
    talk.say({ type: "candidates", gatewayId: GATEWAY_ID, candidates: [HOST] });
    talk.hear("ice_candidates", { gateway_id: GATEWAY_ID, candidates: [RELAY] });
    talk.hear("resource_deleted", RESOURCE_ID);
    talk.hear(names.refused, { resource_id: RESOURCE_ID, reason: "offline" });
    talk.session.close(talk.now);
    talk.wait(0);
    assert.equal(
      talk.transcript(),
      `* dial
→ phx_join 0 null
← phx_reply 0 {"status":"ok","response":{}}
* joined
← init · …
* event init
→ ${names.request} 1 {"resource_id":"${RESOURCE_ID}","connected_gateway_ids":[]}
← ${names.granted} · …
* event flow_created
→ ${names.signal},"candidates":["${HOST}"]}
← ice_candidates · …
* event ice_candidates
← resource_deleted · "${RESOURCE_ID}"
* event resource_deleted
← ${names.refused} · {"resource_id":"${RESOURCE_ID}","reason":"offline"}
* event flow_failed
* hangup`,
    );
  });
}
