/**
 * The portal as the side under test of a transcript (tests/portal/transcript.ts), with devices that say what the
 * transcript says, and besides that a heartbeat every 10 s, which is not listed.
 *
 *     site home: gateways cellar, attic        site work: gateway office
 *     clients laptop, tablet (both "laptop" in the policy), phone       relays turn, spare
 *     resources Intranet (10.20.0.0/16, everyone), Wiki (*.corp.example, everyone), Printer (10.30.0.9, laptop)
 *
 * What happens to it (`!`): of a device `dial [key=value …]` (dialect, token, key, id, from, region, serial, agent,
 * ipv4, port), `breaks`, `closes CODE REASON`, `falls silent`; of nobody `policy TEXT => TEXT`, `add TEXT`,
 * `verify NAME`, `unverify NAME`, `disconnect NAME`, `make token NAME for OWNER [until SECONDS]`, `revoke token NAME`,
 * `restart`, `killed` (nothing of what it says from here on to the next `restart` is sent, all of it is stored),
 * `clock SECONDS`. What it does (`*`): `refused STATUS CODE`, `closed CODE REASON`.
 * Values: `$LAPTOP`, `$LAPTOP_KEY` (…), `$INTRANET`, `$WIKI`, `$PRINTER`, `$HOME`, `$WORK`, `$NEVER`, `$NOW` (the start).
 */
import assert from "node:assert/strict";
import { isProblem } from "../../../mod/embedded/portal/core/admission.ts";
import { PortalCore } from "../../../mod/embedded/portal/core/core.ts";
import { NO_HARDWARE } from "../../../mod/embedded/portal/core/devices.ts";
import { hashToken } from "../../../mod/embedded/portal/core/tokens.ts";
import { FAR_FUTURE, nameBasedId } from "../../../mod/embedded/portal/policy/policy.ts";
import type { PortalEvent } from "../../../mod/embedded/portal/core/state.ts";
import type { Dialect } from "../../../mod/portal/login_url.ts";
import { seededRandom } from "../../portal/support.ts";
import type { Observation, Subject, WireFrame } from "../../portal/transcript.ts";
import { policyOf, publicKey, StoredEvents, UNIX_START } from "./portal_world.ts";

const POLICY = `
[account]
slug = "acme"
[[site]]
name = "home"
id = "e7a9c3d1-2b4f-4c6d-8a1e-5f6071829344"
[[site]]
name = "work"
[[gateway]]
name = "cellar"
site = "home"
token = "gateway-token-0123456789"
[[gateway]]
name = "office"
site = "work"
token = "office-token-0123456789"
[[client]]
name = "laptop"
token = "laptop-token-0123456789"
[[client]]
name = "phone"
token = "phone-token-0123456789"
[[relay]]
name = "turn"
token = "relay-token-0123456789"
[[resource]]
name = "Intranet"
site = "home"
address = "10.20.0.0/16"
allow = ["everyone"]
filters = ["tcp/443"]
[[resource]]
name = "Wiki"
site = "home"
address = "*.corp.example"
allow = ["everyone"]
[[resource]]
name = "Printer"
site = "home"
address = "10.30.0.9"
allow = ["laptop"]
`;

type Role = "gateway" | "client" | "relay";

/** The policy's entry that each name belongs to. */
const CAST: Readonly<Record<string, readonly [Role, string]>> = {
  cellar: ["gateway", "cellar"],
  attic: ["gateway", "cellar"],
  office: ["gateway", "office"],
  laptop: ["client", "laptop"],
  tablet: ["client", "laptop"],
  phone: ["client", "phone"],
  turn: ["relay", "turn"],
  spare: ["relay", "turn"],
};
const TOKENS: Readonly<Record<string, string>> = {
  cellar: "gateway-token-0123456789",
  office: "office-token-0123456789",
  laptop: "laptop-token-0123456789",
  phone: "phone-token-0123456789",
  turn: "relay-token-0123456789",
};
const HEARTBEAT = 10_000;
/** Nobody else's heartbeats have it. */
const HEARTBEAT_REF = -1;

export class PortalSubject implements Subject {
  readonly speaks = "←";
  readonly bindings: Readonly<Record<string, unknown>>;
  readonly #dialect: Dialect;
  #core: PortalCore;
  #text = POLICY;
  #now = 0;
  #skew = 0;
  #nextHeartbeat = HEARTBEAT;
  #isKilled = false;
  readonly #random = seededRandom();
  readonly #stored = new StoredEvents();
  /** The open socket of each name. */
  readonly #sockets = new Map<string, number>();
  readonly #silent = new Set<string>();
  readonly #seen: Observation[] = [];

  constructor(dialect: Dialect) {
    this.#dialect = dialect;
    this.#core = this.#start();
    const policy = policyOf(POLICY);
    const siteIds = new Map(policy.sites.map(({ name, id }) => [name, id]));
    const bindings: Record<string, unknown> = { NEVER: FAR_FUTURE, NOW: UNIX_START };
    for (const { name, id } of policy.resources) bindings[name.toUpperCase()] = id;
    for (const [name, id] of siteIds) bindings[name.toUpperCase()] = id;
    Object.entries(CAST).forEach(([name, [role, entry]], index) => {
      if (role === "relay") return;
      const owner = role === "gateway" ? policy.gateways.find((one) => one.name === entry)!.siteId : entry;
      bindings[name.toUpperCase()] = nameBasedId("device", role, owner, name);
      bindings[`${name.toUpperCase()}_KEY`] = publicKey(index + 1);
    });
    this.bindings = bindings;
  }

  hear(who: string, frame: WireFrame): void {
    const socket = this.#sockets.get(who);
    assert.ok(socket !== undefined, `${who} isn't connected`);
    this.#core.handleText(socket, JSON.stringify(frame), this.#now);
    this.#drain();
  }

  act(who: string, words: string): void {
    if (who === "") this.#actOnPortal(words);
    else this.#actOnDevice(who, words);
    this.#drain();
  }

  advanceTo(time: number): void {
    while (true) {
      const due = Math.min(this.#core.pollTimeout() ?? Infinity, this.#nextHeartbeat);
      if (due > time) break;
      this.#now = Math.max(this.#now, due);
      if (this.#now >= this.#nextHeartbeat) this.#beat();
      this.#core.handleTimeout(this.#now);
      this.#drain();
    }
    this.#now = time;
  }

  observe(): Observation[] {
    return this.#seen.splice(0);
  }

  #start(): PortalCore {
    return new PortalCore({
      policy: policyOf(this.#text),
      relays: [],
      stored: this.#stored.state(),
      random: this.#random,
      unixNow: () => UNIX_START + this.#skew + Math.floor(this.#now / 1000),
      now: this.#now,
    });
  }

  #beat(): void {
    this.#nextHeartbeat += HEARTBEAT;
    const text = JSON.stringify({ topic: "phoenix", event: "heartbeat", payload: {}, ref: HEARTBEAT_REF });
    for (const [who, socket] of this.#sockets) {
      if (!this.#silent.has(who)) this.#core.handleText(socket, text, this.#now);
    }
  }

  #actOnDevice(who: string, words: string): void {
    const [verb, ...rest] = words.split(" ");
    if (verb === "dial") return this.#dial(who, rest);
    if (words === "falls silent") return void this.#silent.add(who);
    const socket = this.#sockets.get(who)!;
    this.#sockets.delete(who);
    if (verb === "breaks") this.#core.handleClosed(socket, this.#now);
    else if (verb === "closes") {
      this.#core.handleClosed(socket, this.#now, { code: Number(rest[0]), reason: rest.slice(1).join(" ") });
    } else assert.fail(`no such happening: ${words}`);
  }

  #dial(who: string, words: readonly string[]): void {
    const options = Object.fromEntries(words.map((word) => word.split("=")));
    const [role, entry] = CAST[who]!;
    const attempt = {
      dialect: options.dialect ?? this.#dialect,
      token: options.token ?? TOKENS[entry],
      externalId: options.id ?? who,
      name: who,
      publicKey: options.key === undefined
        ? String(this.bindings[`${who.toUpperCase()}_KEY`])
        : publicKey(Number(options.key)),
      userAgent: `Debian/13 ${options.agent ?? "connlib/1.5.0"} (x86_64)`,
      vsn: undefined,
      remoteIp: options.from ?? "198.51.100.20",
      region: options.region,
      hardware: { ...NO_HARDWARE, deviceSerial: options.serial },
      relay: { ipv4: options.ipv4, ipv6: options.ipv6, port: options.port },
    };
    const answer = this.#core.admit({ ...attempt, role });
    if (isProblem(answer)) return this.#note(who, `refused ${answer.status} ${answer.code}`);
    const socket = this.#core.handleOpen(answer, this.#now);
    assert.ok(typeof socket === "number");
    this.#sockets.set(who, socket);
    this.#silent.delete(who);
  }

  #actOnPortal(words: string): void {
    const [, from, to] = /^policy (.*) => (.*)$/.exec(words) ?? [];
    if (from !== undefined) return this.#changePolicy(unescape(from), unescape(to!));
    const [verb, ...rest] = words.split(" ");
    switch (verb) {
      case "add":
        return this.#changePolicy(this.#text, `${this.#text}${unescape(rest.join(" "))}\n`);
      case "verify":
      case "unverify":
        return void this.#core.verify(this.#idOf(rest[0]!), verb === "verify");
      case "disconnect":
        return void this.#core.disconnect(this.#idOf(rest[0]!), this.#now);
      case "make":
        return this.#makeToken(rest);
      case "revoke":
        return void this.#core.revokeToken(nameBasedId(rest[1]!));
      case "killed":
        this.#isKilled = true;
        return;
      case "restart":
        this.#sockets.clear();
        this.#isKilled = false;
        this.#core = this.#start();
        return;
      case "clock":
        this.#skew = Number(rest[0]);
        return;
      default:
        assert.fail(`no such happening: ${words}`);
    }
  }

  #changePolicy(from: string, to: string): void {
    assert.ok(this.#text.includes(from), `the policy doesn't say ${from}`);
    this.#text = this.#text.replaceAll(from, to);
    this.#core.setPolicy(policyOf(this.#text));
  }

  /** `token NAME for OWNER [until SECONDS]` */
  #makeToken([, name = "", , owner = "", , until]: readonly string[]): void {
    this.#core.addToken({
      id: nameBasedId(name),
      hash: hashToken(name),
      role: CAST[owner]![0] === "gateway" ? "gateway" : "client",
      owner,
      providerId: undefined,
      createdAt: UNIX_START,
      expiresAt: until === undefined ? FAR_FUTURE : UNIX_START + Number(until),
    });
  }

  #idOf(who: string): string {
    return String(this.bindings[who.toUpperCase()]);
  }

  #note(who: string, note: string): void {
    this.#seen.push({ at: this.#now, who, note });
  }

  #drain(): void {
    const events: PortalEvent[] = [];
    for (let event; (event = this.#core.pollEvent()) !== undefined;) events.push(event);
    this.#stored.apply(events);
    for (let transmit; (transmit = this.#core.pollTransmit()) !== undefined;) {
      const who = this.#whoseIs(transmit.socket);
      const frame = JSON.parse(transmit.text) as WireFrame;
      if (who === undefined || this.#isKilled || frame.ref === HEARTBEAT_REF) continue;
      this.#seen.push({ at: this.#now, who, frame });
    }
    for (const event of events) {
      if (event.type !== "close" || this.#isKilled) continue;
      const who = this.#whoseIs(event.socket);
      if (who === undefined) continue;
      this.#sockets.delete(who);
      this.#note(who, `closed ${event.code} ${event.reason}`);
    }
  }

  #whoseIs(socket: number): string | undefined {
    for (const [who, one] of this.#sockets) if (one === socket) return who;
    return undefined;
  }
}

function unescape(text: string): string {
  return text.replaceAll("\\n", "\n");
}
