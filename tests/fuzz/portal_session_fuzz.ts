import assert from "node:assert/strict";
import {
  clientCodec,
  type ClientCommand,
  type ClientEvent,
  type Dialect,
  gatewayCodec,
  type GatewayCommand,
  type GatewayEvent,
  PortalSession,
} from "../../mod/portal/mod.ts";
import { Duo } from "../gateway/duo.ts";
import { CLIENT_ID, GATEWAY_ID, RESOURCE_ID, seededRandom } from "../portal/support.ts";
import corpus from "./corpus/portal_session.hex" with { type: "text" };
import type { Dice } from "./dice.ts";
import { Feed } from "./feed.ts";
import { Frames } from "./json.ts";
import { CLIENT_EVENTS, GATEWAY_EVENTS, SECRETS } from "./portal_payloads.ts";
import { fromText, type FuzzTarget, join } from "./target.ts";

const gatewayFrames = new Frames(["gateway", "gateway", "gateway", "phoenix", ""], GATEWAY_EVENTS);
const clientFrames = new Frames(["client", "client", "client", "phoenix", ""], CLIENT_EVENTS);
const REPLY = { topic: "", event: "phx_reply", payload: { status: "ok", response: {} } };

// What the first byte of an input says; the lowest bit: whose session.
const TEXT = 180, REPLIED = 205, SOCKET = 225, COMMAND = 240;

function generate(dice: Dice): Uint8Array {
  const kind = dice.below(256);
  if (kind >= TEXT) return join([kind], dice.bytes(8));
  return join([kind], (kind & 1 ? clientFrames : gatewayFrames).generate(dice));
}

interface Link {
  handleOpen(now: number): void;
  handleRefused(refusal: { status: number; body: string; retryAfter?: string }, now: number): void;
  handleDialError(reason: string, now: number): void;
  handleClosed(reason: string, now: number): void;
  handleText(text: string, now: number): void;
  handleTimeout(now: number): void;
  pollTimeout(): number | undefined;
  pollTransmit(): string | undefined;
}

/** Both roles with the cores behind them, at the mercy of a portal that says anything. */
class Machine {
  readonly #duo = new Duo();
  readonly #gateway;
  readonly #client;
  #now = 0;

  constructor(dialect: Dialect) {
    const options = { random: seededRandom(), unixNow: () => 1_753_347_600 + this.#now / 1000, now: 0 };
    this.#gateway = new PortalSession(gatewayCodec(dialect), options);
    this.#client = new PortalSession(clientCodec(dialect), options);
    for (const session of [this.#gateway, this.#client]) {
      session.handleOpen(0);
      session.handleText(JSON.stringify({ ...REPLY, ref: 0 }), 0);
    }
    this.#drain();
  }

  run(input: Uint8Array): string {
    const feed = new Feed(input);
    const kind = feed.u8();
    const isClient = (kind & 1) === 1;
    const session: Link = isClient ? this.#client : this.#gateway;
    if (kind < TEXT) {
      if (kind & 2) this.#revive(isClient ? this.#client : this.#gateway);
      session.handleText(new TextDecoder().decode(feed.rest()), this.#now);
    } else if (kind < REPLIED) {
      const payload = feed.below(3) === 0
        ? { status: "error", response: { reason: feed.pick(["unmatched topic", "unknown_message", "?"]) } }
        : REPLY.payload;
      session.handleText(JSON.stringify({ ...REPLY, payload, ref: feed.below(8) }), this.#now);
    } else if (kind < SOCKET) this.#socket(session, feed);
    else if (kind < COMMAND) this.#command(isClient, feed);
    else {
      this.#now += feed.pick([1, 500, 1_000, 5_000, 10_000, 60_000]);
      for (const each of [this.#gateway, this.#client]) {
        each.handleTimeout(this.#now);
        assert.ok((each.pollTimeout() ?? Infinity) > this.#now, "asks to be woken in the past");
      }
    }
    return `${kind < TEXT ? "text" : kind} ${this.#drain()}`;
  }

  /** Joined again, unless it is the end or a pause is asked for: a link that is down hears nothing. */
  #revive(
    session: PortalSession<GatewayEvent, GatewayCommand> | PortalSession<ClientEvent, ClientCommand>,
  ): void {
    if (session.isJoined || session.pollTimeout() === undefined) return;
    this.#now = Math.max(this.#now, session.pollTimeout()!);
    session.handleTimeout(this.#now);
    session.handleOpen(this.#now);
    session.handleText(JSON.stringify({ ...REPLY, ref: 0 }), this.#now);
  }

  #socket(session: Link, feed: Feed): void {
    const action = feed.below(5);
    if (action < 2) session.handleOpen(this.#now);
    else if (action === 2) session.handleClosed("gone", this.#now);
    else if (action === 3) session.handleDialError("no route", this.#now);
    else {session.handleRefused(
        { status: feed.pick([403, 429, 500, 503]), retryAfter: "1", body: "" },
        this.#now,
      );}
  }

  #command(isClient: boolean, feed: Feed): void {
    const candidates = [`candidate:${feed.u8()} 1 udp 1 192.0.2.${feed.u8()} 1 typ host`];
    if (isClient) {
      if (feed.below(2)) this.#client.send({ type: "candidates", gatewayId: GATEWAY_ID, candidates });
      else this.#client.send({ type: "request", resourceId: RESOURCE_ID, connectedGatewayIds: [] });
    } else if (feed.below(2)) this.#gateway.send({ type: "candidates", clientId: CLIENT_ID, candidates });
    else this.#gateway.send({ type: "authorized", ref: "SFMyNTY.g2gDbQAAA" });
  }

  /** Frames are checked, events go to the cores as the owner would pass them on. */
  #drain(): string {
    let outcome = "";
    for (const session of [this.#gateway, this.#client]) {
      for (let text = session.pollTransmit(); text !== undefined; text = session.pollTransmit()) {
        const frame = JSON.parse(text);
        assert.deepEqual(Object.keys(frame), ["topic", "event", "payload", "ref"]);
        outcome += ` >${frame.event}`;
      }
    }
    const { gateway, client, now } = this.#duo;
    for (let event = this.#gateway.pollEvent(); event; event = this.#gateway.pollEvent()) {
      outcome += ` ${event.type}`;
      if (event.type === "event") gateway.handlePortal(event.event, now);
      else if (event.type === "warning") checkWarning(event.text);
    }
    for (let event = this.#client.pollEvent(); event; event = this.#client.pollEvent()) {
      outcome += ` ${event.type}`;
      if (event.type === "event") client.handlePortal(event.event, now);
      else if (event.type === "warning") checkWarning(event.text);
    }
    for (const core of [gateway, client]) {
      core.handleTimeout(now);
      core.drain(now);
      while (core.pollTransmit());
      for (let output = core.pollOutput(); output; output = core.pollOutput()) outcome += ` ${output.type}`;
    }
    this.#duo.gatewayEnd.transmits.clear();
    this.#duo.clientEnd.transmits.clear();
    return outcome.slice(0, 80);
  }
}

function checkWarning(text: string): void {
  assert.ok(text.length <= 401, "a long warning");
  // deno-lint-ignore no-control-regex
  assert.ok(!/[\x00-\x1f]/.test(text), "control characters in a warning");
  for (const secret of SECRETS) assert.ok(!text.includes(secret), "a secret in a warning");
}

export const target: FuzzTarget = {
  title: "whatever a portal says, session and core stand it, and what the session says back is well-formed",
  seeds: [
    ...gatewayFrames.seeds().map((text) => join([0], text)),
    ...clientFrames.seeds().map((text) => join([1], text)),
    Uint8Array.of(180, 1, 0),
    Uint8Array.of(206, 2),
    Uint8Array.of(230, 1, 1, 1),
    Uint8Array.of(250, 3),
    join([0], fromText("{}")),
  ],
  corpus,
  generate,
  lifetime: 200,
  start: () => {
    const machine = new Machine("v2");
    return (input) => machine.run(input);
  },
};
