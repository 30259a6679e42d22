/**
 * A gateway as the side under test of a transcript: portal session, policy and node, with a relay in reach.
 *
 *     gateway 192.0.2.20:52625 ── wire ── relay 192.0.2.1:3478
 *
 * What happens to it (`!`): `open`, `refused STATUS [retry-after=VALUE] BODY`, `dial fails REASON`, `closed REASON`,
 * `resolved NAME ADDRESS…`, `no outcome for NAME`, `no name NAME`, `relay down`, `relay up`, `reconnect`, `close`.
 * What it does (`*`): `dial`, `hangup CODE`, `joined`, `down in MS: REASON`, `failed KIND: MESSAGE`, `warning TEXT`,
 * `interface V4 V6`, `allows CLIENT RESOURCE until TIME`, `refuses REASON`, `revokes CLIENT RESOURCE`,
 * `access to RESOURCE expired`, `forgets client CLIENT: REASON`, `looks up NAME`, `relay ID ready`, `relay ID lost`.
 * Values: `$RELAY`, `$RELAY_ID` (the one in reach, as the portal sends it), `$KEY`, `$LATER` (an hour from the start).
 */
import { NobleAead } from "../../mod/crypto/mod.ts";
import { relayCredentials } from "../../mod/embedded/relay/mod.ts";
import { Gateway, type GatewayOutput } from "../../mod/gateway/mod.ts";
import { formatIp, parseIp, SocketAddress } from "../../mod/packet/address.ts";
import { Policy } from "../../mod/policy/mod.ts";
import type { Dialect } from "../../mod/portal/login_url.ts";
import { gatewayCodec } from "../../mod/portal/schema/gateway.ts";
import { PortalSession, type SessionEvent } from "../../mod/portal/session.ts";
import type { GatewayCommand, GatewayEvent } from "../../mod/portal/types.ts";
import { RELAY_V4, RelayHarness, STAMP_SECRET, UNIX_NOW } from "../embedded/relay_harness.ts";
import { End } from "../gateway/end.ts";
import { RELAY_ID } from "./support.ts";
import type { Observation, Subject, WireFrame } from "./transcript.ts";

const SOCKET = SocketAddress.of("192.0.2.20", 52625)!;

export class GatewaySubject implements Subject {
  readonly speaks = "→";
  readonly bindings: Readonly<Record<string, unknown>>;
  #now = 0;
  #relayIsUp = true;
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
    });
    this.#session = new PortalSession(gatewayCodec(dialect), {
      random: () => new Uint8Array([128, 0, 0, 0]),
      unixNow: () => Math.floor(unixMs() / 1000),
      now: 0,
    });
    const expiresAt = UNIX_NOW + 7 * 86_400;
    const publicKey = this.#end.publicKey.toBase64();
    this.bindings = {
      KEY: publicKey,
      LATER: UNIX_NOW + 3600,
      RELAY_ID,
      RELAY: {
        type: "turn",
        id: RELAY_ID,
        addr: `${RELAY_V4}:3478`,
        ...relayCredentials({ publicKey, stampSecret: STAMP_SECRET, expiresAt }),
        expires_at: expiresAt,
      },
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
      case "relay down":
      case "relay up":
        this.#relayIsUp = words === "relay up";
        return;
      case "reconnect":
        return session.reconnect(now);
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
    if (words.startsWith("no name ")) return this.#gateway.handleResolution(rest[1]!, [], now);
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
        if (output.type === "portal") this.#session.send(output.command);
        else this.#note(noteOf(output));
      }
      for (let text; (text = this.#session.pollTransmit()) !== undefined; moved = true) {
        this.#seen.push({ at: this.#now, who: "", frame: JSON.parse(text) });
      }
      if (this.#carry()) moved = true;
    }
  }

  #handleSession(event: SessionEvent<GatewayEvent>): void {
    if (event.type === "event") this.#gateway.handlePortal(event.event, this.#now);
    else this.#note(noteOfSession(event));
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
      if (!this.#relayIsUp || dst.ip !== RELAY_V4 || dst.port !== 3478) continue;
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
