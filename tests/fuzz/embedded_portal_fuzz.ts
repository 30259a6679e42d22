import assert from "node:assert/strict";
import { isProblem } from "../../mod/embedded/portal/core/admission.ts";
import { PortalCore } from "../../mod/embedded/portal/core/core.ts";
import { NO_HARDWARE } from "../../mod/embedded/portal/core/devices.ts";
import { hashToken } from "../../mod/embedded/portal/core/tokens.ts";
import type { PortalEvent } from "../../mod/embedded/portal/core/state.ts";
import { FAR_FUTURE, nameBasedId } from "../../mod/embedded/portal/policy/policy.ts";
import { POLICY, policyOf, RELAY, StoredEvents } from "../embedded/portal/portal_world.ts";
import { CLIENT_KEY, GATEWAY_KEY, seededRandom } from "../portal/support.ts";
import corpus from "./corpus/embedded_portal.hex" with { type: "text" };
import type { Dice } from "./dice.ts";
import { Feed } from "./feed.ts";
import { Frames } from "./json.ts";
import { Invariants, type Listener, type Told } from "./portal_invariants.ts";
import { fromText, type FuzzTarget, join } from "./target.ts";

const UNIX_START = 1_753_347_600;
const RELAY_TOKEN = "relay-token-0123456789";
const TEXT = `${POLICY}[[relay]]\nname = "turn"\ntoken = "${RELAY_TOKEN}"\n`;
const HOURS = TEXT.replace('allow = ["everyone"]\n', "") +
  '[[policy]]\nname = "hours"\nresource = "Intranet"\nallow = ["everyone"]\n[policy.conditions]\n' +
  'time = ["thu 08:00-09:05 UTC"]\nremote_ip_in = ["198.51.100.0/24"]\n' +
  '[[policy]]\nname = "checked"\nresource = "Intranet"\nallow = ["laptop"]\n[policy.conditions]\nverified = true\n';
const POLICIES = [
  TEXT,
  TEXT.replace('allow = ["laptop"]', 'allow = ["phone"]'),
  TEXT.replace(/\[\[client\]\]\nname = "phone"\n.*\n/, ""),
  HOURS,
  TEXT.replace('name = "Intranet"\nsite = "home"', 'name = "Intranet"\nsite = "work"'),
].map(policyOf);
const BOUND = POLICIES[0]!;
const MADE = "a token made by a verb".replaceAll(" ", "-");
const TOKENS = [
  ...[...BOUND.gateways, ...BOUND.actors].flatMap((one) => "token" in one && one.token || []),
  MADE,
];
/** Which of them logs in; more often than others the gateways of one site, and one client. */
const WHO = [0, 1, 2, 3, TOKENS.length - 1, TOKENS.length, TOKENS.length + 1, 0, 0, 0, 2, 2, 2];
const CANDIDATES = ["candidate:1 1 udp 2130706431 192.0.2.9 52625 typ host"];
const RESOURCES = BOUND.resources.map(({ id }) => id);

const ids = { gateway_ids: ["9b1f6f3c-4d0a-4b55-8f3a-71d4a2f0e922"], candidates: CANDIDATES };
const [gatewayId] = ids.gateway_ids;
const frames = new Frames(["client", "gateway", "client", "gateway", "relay", "phoenix"], [
  ["phx_join", {}],
  ["phx_join", { stamp_secret: RELAY.stampSecret }],
  ["phx_leave", {}],
  ["heartbeat", {}],
  ["create_flow", { resource_id: RESOURCES[0], connected_gateway_ids: ids.gateway_ids }],
  ["request_authorization", { resource_id: RESOURCES[1], connected_gateway_ids: [] }],
  ["flow_authorized", { ref: "0.x" }],
  ["authorization_created", { ref: "0.x" }],
  ["connection_ready", { ref: "0.x", gateway_payload: {} }],
  ["prepare_connection", { resource_id: RESOURCES[0] }],
  ["request_connection", {
    gateway_id: gatewayId,
    resource_id: RESOURCES[0],
    client_payload: { ice_parameters: { username: "abcd", password: "0123456789012345678901" } },
    client_preshared_key: CLIENT_KEY,
  }],
  ["reuse_connection", { gateway_id: gatewayId, resource_id: RESOURCES[1], payload: null }],
  ["broadcast_ice_candidates", ids],
  ["broadcast_ice_candidates", { client_ids: ids.gateway_ids, candidates: CANDIDATES }],
  ["broadcast_invalidated_ice_candidates", ids],
  ["new_gateway_ice_candidates", { gateway_id: gatewayId, candidates: CANDIDATES }],
  ["invalidate_gateway_ice_candidates", { gateway_id: gatewayId, candidates: CANDIDATES }],
  ["postern_report", {
    uptime_secs: 1,
    version: "1",
    clients: [{
      client_id: gatewayId,
      path: "direct",
      rtt_ms: 3,
      bytes_in: 1,
      bytes_out: 2,
      last_handshake_secs: null,
    }],
    relays: [],
    events: [],
  }],
  ["resolve_device_pool_domain", { resource_id: RESOURCES[0], domain: "x.example" }],
  ["request_device_access", {}],
  ["no_relays", {}],
  ["set_snownet_capabilities", {}],
  ["unknown", {}],
]);

// What the first byte of an input says.
const SAYS = 80, SKILLED = 185, LOGIN = 210, GONE = 220, ADMIN = 236;

function generate(dice: Dice): Uint8Array {
  const kind = dice.below(256);
  return kind < SAYS ? join([kind, dice.below(8)], frames.generate(dice)) : join([kind], dice.bytes(8));
}

interface Socket extends Listener {
  readonly inbox: Told[];
}

/** The portal's core, and devices that hold tokens and say anything with them. */
class Machine {
  readonly #sockets = new Map<number, Socket>();
  readonly #relays = new Set<number>();
  /** All devices that ever were. */
  readonly #ids = new Set<string>();
  readonly #invariants = new Invariants(POLICIES);
  readonly #stored = new StoredEvents();
  #core: PortalCore;
  #policy = BOUND;
  #now = 0;
  #skew = 0;
  #logins = 0;
  /** The portal dies soon: what it says is stored, and not heard. */
  #isMute = false;

  constructor() {
    this.#core = this.#start();
    this.#fill();
  }

  #start(): PortalCore {
    return new PortalCore({
      policy: this.#policy,
      relays: [RELAY],
      stored: this.#stored.state(),
      random: seededRandom(),
      unixNow: () => UNIX_START + this.#skew + Math.floor(this.#now / 1000),
      now: this.#now,
    });
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
    if (kind < SAYS) {
      this.#core.handleText(this.#pick(feed), new TextDecoder().decode(feed.rest()), this.#now);
    } else if (kind < SKILLED) this.#act(feed);
    else if (kind < LOGIN) this.#login(feed);
    else if (kind < GONE) this.#close(feed);
    else if (kind < ADMIN) this.#administer(feed);
    else this.#wait(feed);
    return `${kind < SAYS ? "text" : kind < SKILLED ? "act" : "other"}${this.#drain()}`;
  }

  #pick(feed: Feed): number {
    const open = [...this.#sockets.keys(), ...this.#relays];
    return open.length === 0 ? 0 : feed.pick(open);
  }

  #say(socket: number, event: string, payload: unknown): void {
    const topic = this.#sockets.get(socket)?.admission.role ?? "relay";
    this.#core.handleText(socket, JSON.stringify({ topic, event, payload, ref: 1 }), this.#now);
  }

  #close(feed: Feed): void {
    const socket = this.#pick(feed);
    const closure = feed.pick([undefined, { code: 1000, reason: "" }, {
      code: 1000,
      reason: "reconnecting",
    }]);
    this.#core.handleClosed(socket, this.#now, closure);
    this.#sockets.delete(socket);
    this.#relays.delete(socket);
  }

  #wait(feed: Feed): void {
    const time = feed.pick([1, 1_000, 3_000, 9_000, 16_000, 46_000, 121_000, 311_000]);
    this.#now += time;
    for (const socket of this.#sockets.keys()) {
      if (feed.below(3) > 0) {
        this.#core.handleText(
          socket,
          '{"topic":"phoenix","event":"heartbeat","payload":{},"ref":1}',
          this.#now,
        );
      }
    }
    this.#core.handleTimeout(this.#now);
    assert.ok((this.#core.pollTimeout() ?? Infinity) > this.#now, "asks to be woken in the past");
    const unixNow = UNIX_START + this.#skew + Math.floor(this.#now / 1000);
    if (time < 1_000) return; // The next sweep isn't due yet.
    for (const grant of this.#core.grants) assert.ok(grant.expiresAt > unixNow, "a grant outlives its time");
    assert.ok(this.#core.recent.length <= 1_200 && this.#core.reports.length <= 1_000);
  }

  /** What people do to a portal. */
  #administer(feed: Feed): void {
    switch (feed.below(10)) {
      case 0:
        this.#skew = feed.pick([0, 86_400, -86_400, 400]);
        return;
      case 1:
        return void this.#core.verify(feed.pick([...this.#ids]), feed.below(2) > 0);
      case 2:
        return void this.#core.disconnect(feed.pick([...this.#ids]), this.#now);
      case 3:
        return this.#core.addToken({
          id: nameBasedId(MADE),
          hash: hashToken(MADE),
          role: "client",
          owner: "laptop",
          providerId: undefined,
          createdAt: UNIX_START,
          expiresAt: feed.pick([FAR_FUTURE, UNIX_START + 120]),
        });
      case 4:
        return void this.#core.revokeToken(nameBasedId(MADE));
      case 5:
        this.#isMute = true;
        return;
      case 6:
        return this.#restart();
      case 7:
        // What is not said about a device that is not known any more is never said.
        return this.#isMute ? undefined : void this.#core.removeDevice(feed.pick([...this.#ids]), this.#now);
      case 8:
        return void this.#core.expireToken(nameBasedId(MADE), UNIX_START + feed.below(600));
      default:
        this.#policy = feed.pick(POLICIES);
        return this.#core.setPolicy(this.#policy);
    }
  }

  #restart(): void {
    this.#drain();
    this.#sockets.clear();
    this.#relays.clear();
    this.#isMute = false;
    this.#core = this.#start();
  }

  /** What an honest device would say next, with what it knows. */
  #act(feed: Feed): void {
    const socket = this.#pick(feed), device = this.#sockets.get(socket);
    if (!device) return this.#say(socket, "phx_join", { stamp_secret: `secret-of-a-relay-${feed.below(3)}` });
    const { role, dialect } = device.admission;
    const heard = device.inbox.at(-1)?.payload ?? {};
    const peers = [heard.gateway_id, (heard.client as { id?: unknown } | undefined)?.id, heard.client_id];
    const heardIds = peers.filter((id) => typeof id === "string");
    const ids = feed.below(2) ? heardIds : [feed.pick([...this.#ids])];
    if (device.inbox.length === 0) return this.#say(socket, "phx_join", {});
    switch (feed.below(8)) {
      case 0:
        return this.#say(socket, "phx_join", {});
      case 5:
      case 6:
      case 7:
        return this.#reach(socket, device, feed);
      case 1:
        if (role === "gateway") return this.#confirm(socket, device);
        return this.#say(socket, dialect === "v1" ? "create_flow" : "request_authorization", {
          resource_id: feed.pick(RESOURCES),
          connected_gateway_ids: ids,
        });
      case 2:
        if (role === "client") {
          return this.#say(
            socket,
            feed.pick(["request_connection", "reuse_connection", "prepare_connection"]),
            {
              gateway_id: ids[0] ?? gatewayId,
              resource_id: feed.pick(RESOURCES),
              payload: null,
              client_payload: {},
              client_preshared_key: CLIENT_KEY,
            },
          );
        }
        return this.#confirm(socket, device);
      default: {
        const key = role === "gateway" ? "client_ids" : "gateway_ids";
        return this.#say(socket, "broadcast_ice_candidates", { [key]: ids, candidates: CANDIDATES });
      }
    }
  }

  /** A client asks for what it doesn't have, and whoever is asked agrees. */
  #reach(socket: number, { admission }: Socket, feed: Feed): void {
    if (admission.role !== "client") return;
    this.#say(socket, admission.dialect === "v1" ? "create_flow" : "request_authorization", {
      resource_id: RESOURCES[0],
      connected_gateway_ids: feed.below(2) ? [feed.pick([...this.#ids])] : [],
    });
    this.#drain();
    for (const [id, one] of this.#sockets) {
      const isAsked = typeof one.inbox.at(-1)?.payload?.ref === "string";
      if (one.admission.role === "gateway" && isAsked) this.#confirm(id, one);
    }
  }

  /** A gateway answers the last thing that it was asked. */
  #confirm(socket: number, { admission, inbox }: Socket): void {
    const asked = inbox.findLast(({ payload }) => typeof payload?.ref === "string");
    const ref = asked?.payload.ref ?? "0.x";
    if (asked?.event === "request_connection" || asked?.event === "allow_access") {
      return this.#say(socket, "connection_ready", { ref, gateway_payload: {} });
    }
    this.#say(socket, admission.dialect === "v1" ? "flow_authorized" : "authorization_created", { ref });
  }

  #login(feed: Feed): number | undefined {
    const token = feed.pick(WHO), other = feed.below(3), isV2 = feed.below(2) > 0;
    if (token === TOKENS.length + 1) return this.#loginRelay(other);
    const role = token < BOUND.gateways.length ? "gateway" : "client";
    const answer = this.#core.admit({
      role,
      dialect: isV2 ? "v2" : "v1",
      token: TOKENS[token] ?? "wrong",
      externalId: `device-${token}-${other}`,
      name: "x",
      publicKey: other === 0
        ? (role === "gateway" ? GATEWAY_KEY : CLIENT_KEY)
        : btoa("k".repeat(30) + token + other),
      userAgent: feed.pick(["Debian/13 connlib/1.5.0 (x86_64)", "x", "iOS/18 apple-client/1.3.0"]),
      vsn: undefined,
      remoteIp: feed.pick(["198.51.100.20", "203.0.113.7", "", "::ffff:198.51.100.20"]),
      region: undefined,
      hardware: { ...NO_HARDWARE, deviceSerial: feed.pick([undefined, "A", "B"]) },
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
    if (feed.below(4) > 0) this.#say(socket, "phx_join", {});
    return socket;
  }

  #loginRelay(port: number): number | undefined {
    const answer = this.#core.admit({
      role: "relay",
      dialect: "v1",
      token: RELAY_TOKEN,
      externalId: undefined,
      name: undefined,
      publicKey: undefined,
      userAgent: "relay/0.1.0",
      vsn: undefined,
      remoteIp: "198.51.100.30",
      region: undefined,
      relay: { ipv4: "203.0.113.10", ipv6: undefined, port: String(port) },
    });
    assert.equal(isProblem(answer), port === 0);
    const socket = isProblem(answer) ? undefined : this.#core.handleOpen(answer, this.#now);
    if (typeof socket === "number") this.#relays.add(socket);
    return undefined;
  }

  #drain(): string {
    let outcome = "";
    const events: PortalEvent[] = [];
    for (let event = this.#core.pollEvent(); event; event = this.#core.pollEvent()) events.push(event);
    this.#stored.apply(events);
    for (let sent = this.#core.pollTransmit(); sent; sent = this.#core.pollTransmit()) {
      const message = JSON.parse(sent.text);
      assert.deepEqual(Object.keys(message).sort(), ["event", "payload", "ref", "topic"]);
      for (const token of [...TOKENS, RELAY_TOKEN]) assert.ok(!sent.text.includes(token), "a token was sent");
      outcome += ` ${message.event}${message.payload?.response?.reason ?? ""}`;
      if (this.#relays.has(sent.socket)) continue;
      const socket = this.#sockets.get(sent.socket);
      assert.ok(socket, "something for a socket that is gone");
      if (this.#isMute) {
        this.#invariants.note(socket, message);
        continue;
      }
      socket.inbox.push(message);
      if (socket.inbox.length > 8) socket.inbox.shift();
      this.#invariants.check(socket, message);
    }
    for (const event of events) {
      if (event.type === "close") {
        this.#sockets.delete(event.socket);
        this.#relays.delete(event.socket);
      }
      if (event.type === "log") {
        for (const token of [...TOKENS, RELAY_TOKEN]) {
          assert.ok(!event.text.includes(token), "a token in the log");
        }
      }
      outcome += ` ${event.type}`;
    }
    if (!this.#isMute) {
      const gateways = this.#core.online.filter(({ role }) => role === "gateway");
      this.#invariants.checkAccess(gateways.map(({ id }) => id), this.#core.grants);
    }
    return outcome.slice(0, 80);
  }
}

export const target: FuzzTarget = {
  title:
    "whatever devices say, the portal stands it, answers with messages, tells nobody what is not his, and crashes no client",
  seeds: [
    ...frames.seeds().map((text) => join([0, 1], text)),
    ...frames.seeds().map((text) => join([0, 0], text)),
    Uint8Array.of(150, 1, 1, 0),
    Uint8Array.of(150, 0, 1),
    Uint8Array.of(150, 1, 2),
    Uint8Array.of(200, 3, 0, 1),
    Uint8Array.of(200, 6, 1),
    Uint8Array.of(211, 0, 1),
    Uint8Array.of(225, 9, 3),
    Uint8Array.of(225, 5),
    Uint8Array.of(225, 6),
    Uint8Array.of(250, 3),
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
