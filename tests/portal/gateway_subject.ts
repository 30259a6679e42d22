/**
 * A gateway as the side under test of a transcript: portal session, policy and node, with a relay in reach.
 *
 *     gateway 192.0.2.20:52625 ── wire ── relay 192.0.2.1:3478
 *
 * What happens to it (`!`): `open`, `refused STATUS [retry-after=VALUE] BODY`, `dial fails REASON`, `closed REASON`,
 * `unreachable` (every dial fails, and what is tried is not listed) until `reachable`, `retry`, `close`,
 * `resolved NAME ADDRESS…`, `no outcome for NAME`.
 * What it does (`*`): `dial`, `hangup CODE`, `joined`, `down in MS: REASON`, `failed KIND: MESSAGE`, `warning TEXT`,
 * `interface V4 V6`, `allows CLIENT RESOURCE until TIME`, `refuses REASON`, `revokes CLIENT RESOURCE`,
 * `access to RESOURCE expired`, `forgets client CLIENT: REASON`, `looks up NAME`, `relay ID ready`, `relay ID lost`.
 * Values: `$RELAY` (the one in reach, as the portal sends it), `$OTHER_RELAY` (one that does not answer), `$LATER` (an
 * hour from the start); `$CLIENT`, `$RESOURCE`, `$THEIR_ICE`, `$OUR_ICE` and their like are those of the specification;
 * `$INIT` is an init that allows nothing, and `$AUTHORIZE` gives `$CLIENT` access to `$RESOURCE` until `$LATER`.
 */
import { NobleAead } from "../../mod/crypto/mod.ts";
import { relayCredentials } from "../../mod/embedded/relay/mod.ts";
import { FlowTracker } from "../../mod/flows/mod.ts";
import { Gateway, type GatewayOutput, Reporter } from "../../mod/gateway/mod.ts";
import { formatIp, parseIp, SocketAddress } from "../../mod/packet/address.ts";
import { Policy } from "../../mod/policy/mod.ts";
import type { Dialect } from "../../mod/portal/login_url.ts";
import { gatewayCodec } from "../../mod/portal/schema/gateway.ts";
import { PortalSession, type SessionEvent } from "../../mod/portal/session.ts";
import type { GatewayCommand, GatewayEvent } from "../../mod/portal/types.ts";
import { RELAY_V4, RelayHarness, STAMP_SECRET, UNIX_NOW } from "../embedded/relay_harness.ts";
import { End } from "../gateway/end.ts";
import { authorizeFlow, cidrResource, gatewayInit } from "./payloads.ts";
import { CLIENT_ID, RELAY_ID, RESOURCE_ID } from "./support.ts";
import type { Observation, Subject, WireFrame } from "./transcript.ts";

const OTHER_RELAY_ID = "7d3f0c5e-1111-4222-8333-944455556666";
const SOCKET = SocketAddress.of("192.0.2.20", 52625)!;

export class GatewaySubject implements Subject {
  readonly speaks = "→";
  readonly bindings: Readonly<Record<string, unknown>>;
  #now = 0;
  #isReachable = true;
  readonly #session: PortalSession<GatewayEvent, GatewayCommand>;
  readonly #end = new End("gateway", 1, () => this.#now, (slab) => new NobleAead(slab));
  readonly #gateway: Gateway;
  readonly #relay = new RelayHarness({ families: [4] });
  readonly #seen: Observation[] = [];

  constructor(dialect: Dialect) {
    const unixMs = () => UNIX_NOW * 1000 + this.#now;
    const { slab, counters } = this.#end;
    this.#gateway = new Gateway({
      ...this.#end,
      policy: new Policy({ slab, counters, unixNow: unixMs, seed: 7 }),
      reporter: new Reporter({
        version: "0.0.0",
        startedAt: 0,
        unixNow: unixMs,
        makeFlows: () => new FlowTracker({ slab, counters, unixNow: unixMs, seed: 8, keepsRecords: false }),
      }),
    });
    this.#session = new PortalSession(gatewayCodec(dialect), {
      random: () => new Uint8Array([128, 0, 0, 0]),
      unixNow: () => Math.floor(unixMs() / 1000),
      now: 0,
    });
    const expiresAt = UNIX_NOW + 7 * 86_400;
    const publicKey = this.#end.publicKey.toBase64();
    const relay = {
      type: "turn",
      id: RELAY_ID,
      addr: `${RELAY_V4}:3478`,
      ...relayCredentials({ publicKey, stampSecret: STAMP_SECRET, expiresAt }),
      expires_at: expiresAt,
    };
    const { client, client_ice_credentials, gateway_ice_credentials } = authorizeFlow();
    this.bindings = {
      LATER: UNIX_NOW + 3600,
      RELAY: relay,
      RELAY_ID,
      OTHER_RELAY: { ...relay, id: OTHER_RELAY_ID, addr: "192.0.2.99:3478" },
      OTHER_RELAY_ID,
      CLIENT: client,
      CLIENT_ID,
      RESOURCE: cidrResource(),
      RESOURCE_ID,
      THEIR_ICE: client_ice_credentials,
      OUR_ICE: gateway_ice_credentials,
      INIT: { ...gatewayInit(), relays: [relay], authorizations: [] },
      AUTHORIZE: { ...authorizeFlow(), expires_at: UNIX_NOW + 3600 },
    };
    this.#settle();
  }

  hear(_who: string, frame: WireFrame): void {
    this.#session.handleText(JSON.stringify(frame), this.#now);
    this.#settle();
  }

  act(_who: string, words: string): void {
    this.#act(words);
    this.#settle();
  }

  advanceTo(time: number): void {
    while (true) {
      const due = Math.min(
        this.#session.pollTimeout() ?? Infinity,
        this.#gateway.pollTimeout() ?? Infinity,
      );
      if (due > time) break;
      this.#now = Math.max(this.#now, due);
      this.#session.handleTimeout(this.#now);
      this.#gateway.handleTimeout(this.#now);
      this.#settle();
    }
    this.#now = time;
  }

  observe(): Observation[] {
    return this.#seen.splice(0);
  }

  #act(words: string): void {
    const session = this.#session, now = this.#now;
    const [verb, ...rest] = words.split(" ");
    switch (words) {
      case "open":
        return session.handleOpen(now);
      case "unreachable":
      case "reachable":
        this.#isReachable = words === "reachable";
        return;
      case "retry":
        return session.networkChanged(now);
      case "close":
        return session.close(now);
    }
    const refused = /^refused (\d+)(?: retry-after=(".*?"|\S+))?(?: (.*))?$/.exec(words);
    if (refused) {
      const [, status, retryAfter, body = ""] = refused;
      return session.handleRefused({
        status: Number(status),
        body,
        ...(retryAfter !== undefined && { retryAfter: retryAfter.replaceAll('"', "") }),
      }, now);
    }
    if (words.startsWith("dial fails ")) return session.handleDialError(words.slice(11), now);
    if (verb === "closed") return session.handleClosed(rest.join(" "), now);
    if (verb === "resolved") {
      return this.#gateway.handleResolution(rest[0]!, rest.slice(1).map((text) => parseIp(text)!), now);
    }
    if (words.startsWith("no outcome for ")) return this.#gateway.handleResolution(rest[2]!, undefined, now);
    throw new Error(`nobody knows what to do with "! ${words}"`);
  }

  /** Until nothing moves: between session and gateway, gateway and relay. */
  #settle(): void {
    for (let moved = true; moved;) {
      moved = false;
      for (let event; (event = this.#session.pollEvent()) !== undefined; moved = true) {
        this.#handleSession(event);
      }
      this.#gateway.drain(this.#now);
      for (let output; (output = this.#gateway.pollOutput()) !== undefined; moved = true) {
        if (output.type === "portal") {
          this.#session.send(output.command);
          this.#collectFrames();
        } else this.#note(noteOf(output));
      }
      if (this.#collectFrames()) moved = true;
      if (this.#carry()) moved = true;
    }
  }

  #collectFrames(): boolean {
    const before = this.#seen.length;
    for (let text; (text = this.#session.pollTransmit()) !== undefined;) {
      this.#seen.push({ at: this.#now, who: "", frame: JSON.parse(text) });
    }
    return this.#seen.length > before;
  }

  #handleSession(event: SessionEvent<GatewayEvent>): void {
    if (event.type === "event") return this.#gateway.handlePortal(event.event, this.#now);
    if (this.#isReachable || event.type === "failed") return this.#note(noteOfSession(event));
    if (event.type === "dial") this.#session.handleDialError("ENETUNREACH", this.#now);
  }

  #note(note: string | undefined): void {
    if (note !== undefined) this.#seen.push({ at: this.#now, who: "", note });
  }

  #carry(): boolean {
    const end = this.#end;
    for (let t = this.#gateway.pollTransmit(); t; t = this.#gateway.pollTransmit()) {
      end.transmits.pushDatagram(t);
    }
    const datagrams = end.takeDatagrams();
    for (const { dst, payload, ecn } of datagrams) {
      if (dst.ip !== RELAY_V4 || dst.port !== 3478) continue;
      for (const sent of this.#relay.fromClient(SOCKET, [payload], this.#now, ecn)) {
        const src = SocketAddress.of(RELAY_V4, sent.port)!;
        const [offset, length, from, local] = end.place({ src, dst: sent.dst, payload: sent.payload });
        this.#gateway.path.handleDatagrams(offset, length, length, 0, from, local, this.#now);
      }
    }
    return datagrams.length > 0;
  }
}

function noteOfSession(event: Exclude<SessionEvent<GatewayEvent>, { type: "event" }>): string {
  switch (event.type) {
    case "dial":
    case "joined":
      return event.type;
    case "hangup":
      return `hangup ${event.code}`;
    case "down":
      return `down in ${event.retryIn}: ${event.reason}`;
    case "failed":
      return `failed ${event.error.kind}: ${event.error.message}`;
    case "warning":
      return `warning ${event.text}`;
  }
}

function noteOf(output: Exclude<GatewayOutput, { type: "portal" }>): string | undefined {
  switch (output.type) {
    case "interface":
      return `interface ${formatIp(output.interface.ipv4)} ${formatIp(output.interface.ipv6)}`;
    case "granted":
      return `allows ${output.clientId} ${output.resourceId} until ${output.expiresAt ?? "ever"}`;
    case "refused":
      return `refuses ${output.reason}`;
    case "revoked":
      return `revokes ${output.clientId} ${output.resourceId}`;
    case "resolve":
      return `looks up ${output.domain}`;
    case "policy":
      if (output.event.type === "access-expired") return `access to ${output.event.resourceId} expired`;
      if (output.event.type === "peer-removed") {
        return `forgets client ${output.event.clientId}: ${output.event.reason}`;
      }
      return undefined;
    case "node":
      if (output.event.type === "relay") return `relay ${output.event.relayId} ${output.event.state}`;
      if (output.event.type === "failed") {
        return `loses client ${output.event.peerId}: ${output.event.reason}`;
      }
      return undefined;
  }
}
