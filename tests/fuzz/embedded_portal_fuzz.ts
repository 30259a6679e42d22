import assert from "node:assert/strict";
import { type Admission, isProblem } from "../../mod/embedded/portal/core/admission.ts";
import { PortalCore } from "../../mod/embedded/portal/core/core.ts";
import { nameBasedId } from "../../mod/embedded/portal/policy/policy.ts";
import { POLICY, policyOf, RELAY } from "../embedded/portal/portal_world.ts";
import { CLIENT_KEY, GATEWAY_KEY, seededRandom } from "../portal/support.ts";
import corpus from "./corpus/embedded_portal.hex" with { type: "text" };
import type { Dice } from "./dice.ts";
import { Feed } from "./feed.ts";
import { Frames } from "./json.ts";
import { fromText, type FuzzTarget, join } from "./target.ts";

const UNIX_START = 1_753_347_600;
const BOUND = policyOf(POLICY);
const CHANGED = policyOf(POLICY.replace('allow = ["laptop"]', 'allow = ["phone"]'));
const WITHOUT_PHONE = policyOf(POLICY.replace(/\[\[client\]\]\nname = "phone"\n.*\n/, ""));
const TOKENS = [...BOUND.gateways, ...BOUND.actors].flatMap((one) => "token" in one && one.token || []);
const CANDIDATES = ["candidate:1 1 udp 2130706431 192.0.2.9 52625 typ host"];
const RESOURCES = BOUND.resources.map(({ id }) => id);

const ids = { gateway_ids: ["9b1f6f3c-4d0a-4b55-8f3a-71d4a2f0e922"], candidates: CANDIDATES };
const frames = new Frames(["client", "gateway", "client", "gateway", "phoenix"], [
  ["phx_join", {}],
  ["phx_leave", {}],
  ["heartbeat", {}],
  ["create_flow", { resource_id: RESOURCES[0], connected_gateway_ids: ids.gateway_ids }],
  ["request_authorization", { resource_id: RESOURCES[1], connected_gateway_ids: [] }],
  ["flow_authorized", { ref: "0.x" }],
  ["authorization_created", { ref: "0.x" }],
  ["broadcast_ice_candidates", ids],
  ["broadcast_ice_candidates", { client_ids: ids.gateway_ids, candidates: CANDIDATES }],
  ["broadcast_invalidated_ice_candidates", ids],
  ["new_gateway_ice_candidates", { gateway_id: ids.gateway_ids[0], candidates: CANDIDATES }],
  ["no_relays", {}],
  ["set_snownet_capabilities", {}],
  ["unknown", {}],
]);

// What the first byte of an input says.
const TEXT = 130, SKILLED = 190, LOGIN = 215, GONE = 225;

function generate(dice: Dice): Uint8Array {
  const kind = dice.below(256);
  return kind < TEXT ? join([kind, dice.below(8)], frames.generate(dice)) : join([kind], dice.bytes(6));
}

interface Socket {
  readonly id: string;
  readonly admission: Admission;
  readonly inbox: { event: string; payload: Record<string, unknown> }[];
}

/** The portal's core, and devices that hold tokens and say anything with them. */
class Machine {
  readonly #sockets = new Map<number, Socket>();
  /** All devices that ever were, and the pairs of which the gateway was told to let the client in. */
  readonly #ids = new Set<string>();
  readonly #pairs = new Set<string>();
  readonly #core: PortalCore;
  #now = 0;
  #logins = 0;

  constructor() {
    this.#core = new PortalCore({
      policy: BOUND,
      relays: [RELAY],
      stored: { devices: [], grants: [], tokens: [] },
      random: seededRandom(),
      unixNow: () => UNIX_START + Math.floor(this.#now / 1000),
      now: 0,
    });
    this.#fill();
  }

  /** A gateway and a client are always there: what they say is heard. */
  #fill(): void {
    for (const role of ["gateway", "client"]) {
      if ([...this.#sockets.values()].some(({ admission }) => admission.role === role)) continue;
      const dialect = this.#logins++ >> 1;
      const socket = this.#login(new Feed(Uint8Array.of(role === "gateway" ? 0 : 2, 0, dialect)));
      if (socket !== undefined) this.#say(socket, "phx_join", {});
    }
    this.#drain();
  }

  run(input: Uint8Array): string {
    this.#fill();
    const feed = new Feed(input);
    const kind = feed.u8();
    if (kind < TEXT) {
      this.#core.handleText(this.#pick(feed), new TextDecoder().decode(feed.rest()), this.#now);
    } else if (kind < SKILLED) this.#act(feed);
    else if (kind < LOGIN) this.#login(feed);
    else if (kind < GONE) {
      const socket = this.#pick(feed);
      this.#core.handleClosed(socket, this.#now);
      this.#sockets.delete(socket);
    } else if (kind < 240) this.#core.setPolicy(feed.pick([BOUND, CHANGED, WITHOUT_PHONE]));
    else {
      this.#now += feed.pick([1, 1_000, 16_000, 46_000, 311_000]);
      this.#core.handleTimeout(this.#now);
      assert.ok((this.#core.pollTimeout() ?? Infinity) > this.#now, "asks to be woken in the past");
    }
    return `${kind < TEXT ? "text" : kind < SKILLED ? "act" : "other"}${this.#drain()}`;
  }

  #pick(feed: Feed): number {
    const open = [...this.#sockets.keys()];
    return open.length === 0 ? 0 : feed.pick(open);
  }

  #say(socket: number, event: string, payload: unknown): void {
    const topic = this.#sockets.get(socket)?.admission.role ?? "client";
    this.#core.handleText(socket, JSON.stringify({ topic, event, payload, ref: 1 }), this.#now);
  }

  /** What an honest device would say next, with what it knows. */
  #act(feed: Feed): void {
    const socket = this.#pick(feed), device = this.#sockets.get(socket);
    if (!device) return;
    const { role, dialect } = device.admission;
    const heard = device.inbox.at(-1)?.payload ?? {};
    const peers = [heard.gateway_id, (heard.client as { id?: unknown } | undefined)?.id, heard.client_id];
    const heardIds = peers.filter((id) => typeof id === "string");
    const ids = feed.below(2) ? heardIds : [feed.pick([...this.#ids])];
    switch (feed.below(4)) {
      case 0:
        return this.#say(socket, "phx_join", {});
      case 1:
        if (role === "gateway") {
          const event = dialect === "v1" ? "flow_authorized" : "authorization_created";
          return this.#say(socket, event, { ref: heard.ref ?? "0.x" });
        }
        return this.#say(socket, dialect === "v1" ? "create_flow" : "request_authorization", {
          resource_id: feed.pick(RESOURCES),
          connected_gateway_ids: ids,
        });
      default: {
        const key = role === "gateway" ? "client_ids" : "gateway_ids";
        return this.#say(socket, "broadcast_ice_candidates", { [key]: ids, candidates: CANDIDATES });
      }
    }
  }

  #login(feed: Feed): number | undefined {
    const token = feed.below(TOKENS.length + 1), other = feed.below(3);
    const role = token < BOUND.gateways.length ? "gateway" : "client";
    const answer = this.#core.admit({
      role,
      dialect: feed.below(2) ? "v2" : "v1",
      token: TOKENS[token] ?? "wrong",
      externalId: `device-${token}-${other}`,
      name: "x",
      publicKey: other === 0 ? (role === "gateway" ? GATEWAY_KEY : CLIENT_KEY) : btoa("k".repeat(31) + token),
      userAgent: feed.pick(["Debian/13 connlib/1.5.0 (x86_64)", "x", "iOS/18 apple-client/1.3.0"]),
      vsn: undefined,
      remoteIp: "198.51.100.20",
      region: undefined,
    });
    if (isProblem(answer)) {
      assert.ok(answer.status >= 400 && answer.status < 600);
      return undefined;
    }
    assert.ok(TOKENS[token] !== undefined, "admitted without a token");
    const socket = this.#core.handleOpen(answer, this.#now);
    if (typeof socket !== "number") return undefined;
    const id = nameBasedId("device", role, answer.owner, answer.externalId);
    this.#ids.add(id);
    this.#sockets.set(socket, { id, admission: answer, inbox: [] });
    return socket;
  }

  #drain(): string {
    let outcome = "";
    for (let sent = this.#core.pollTransmit(); sent; sent = this.#core.pollTransmit()) {
      const message = JSON.parse(sent.text);
      assert.deepEqual(Object.keys(message).sort(), ["event", "payload", "ref", "topic"]);
      const socket = this.#sockets.get(sent.socket);
      assert.ok(socket, "something for a socket that is gone");
      socket.inbox.push(message);
      if (socket.inbox.length > 8) socket.inbox.shift();
      this.#check(socket, message);
      for (const token of TOKENS) assert.ok(!sent.text.includes(token), "a token was sent");
      outcome += ` ${message.event}${message.payload?.response?.reason ?? ""}`;
    }
    for (let event = this.#core.pollEvent(); event; event = this.#core.pollEvent()) {
      if (event.type === "close") this.#sockets.delete(event.socket);
      if (event.type === "log") {
        for (const token of TOKENS) assert.ok(!event.text.includes(token), "a token in the log");
      }
      outcome += ` ${event.type}`;
    }
    return outcome.slice(0, 80);
  }

  /** Nobody learns of a grant, a resource or a peer that is not his. */
  #check(
    { id: own, admission: { role, owner } }: Socket,
    { event, payload }: { event: string; payload: Record<string, unknown> },
  ): void {
    if (event.endsWith("ice_candidates")) {
      const pair = role === "gateway" ? `${payload.client_id} ${own}` : `${own} ${payload.gateway_id}`;
      assert.ok(this.#pairs.has(pair), "candidates of a stranger");
    }
    if (role === "gateway") {
      const client = payload.client as { id: string } | undefined;
      if (client) this.#pairs.add(`${client.id} ${own}`);
      assert.ok(!["flow_created", "resource_created_or_updated"].includes(event), `${event} to a gateway`);
      return;
    }
    assert.ok(
      !["authorize_flow", "create_authorization", "reject_access"].includes(event),
      `${event} to a client`,
    );
    const id = event === "resource_created_or_updated" ? payload.id : payload.resource_id;
    if (event === "resource_deleted" || id === undefined || !RESOURCES.includes(String(id))) return;
    const allowed = [BOUND, CHANGED, WITHOUT_PHONE].some(({ accessPolicies }) => {
      const policy = accessPolicies.find((one) => one.resourceId === id);
      return policy?.allow.some((name) => name === "everyone" || name === owner);
    });
    assert.ok(allowed || event.endsWith("_failed"), `${event} about ${id} to ${owner}`);
  }
}

export const target: FuzzTarget = {
  title:
    "whatever devices say, the portal stands it, answers with messages, and tells nobody what is not his",
  seeds: [
    ...frames.seeds().map((text) => join([0, 1], text)),
    ...frames.seeds().map((text) => join([0, 0], text)),
    Uint8Array.of(150, 1, 1, 0),
    Uint8Array.of(150, 0, 1),
    Uint8Array.of(150, 1, 2),
    Uint8Array.of(200, 3, 0, 1),
    Uint8Array.of(216, 0),
    Uint8Array.of(230, 1),
    Uint8Array.of(250, 2),
    join([0, 0], fromText("[]")),
  ],
  corpus,
  generate,
  lifetime: 200,
  smoke: 500,
  start: () => {
    const machine = new Machine();
    return (input) => machine.run(input);
  },
};
