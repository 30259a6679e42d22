/**
 * The embedded portal's core and devices on our own portal sessions, over links on a virtual clock.
 *
 * Devices behave like stock ones where it matters to the portal: a client that uses a resource asks for it every 2 s
 * until it has it, doesn't notice that a grant is gone, and crashes when a resource that it reaches through one gateway
 * is granted through another (as those of 2025 do). A gateway keeps what it was told and drops what `init` leaves out,
 * what is rejected, and what has expired by its own clock. Tunnels are not here: a client reaches a resource when its
 * gateway lives and lets it in.
 *
 * Links may be cut (both ends notice), unplugged (nobody notices), and the portal may be down, killed with words on its
 * lips, or answer with anything but a WebSocket.
 */
import assert from "node:assert/strict";
import { isProblem } from "../../mod/embedded/portal/core/admission.ts";
import { type Closure, PortalCore } from "../../mod/embedded/portal/core/core.ts";
import type { PortalEvent } from "../../mod/embedded/portal/core/state.ts";
import type { PortalPolicy } from "../../mod/embedded/portal/policy/policy.ts";
import type { Codec } from "../../mod/portal/codec.ts";
import type { Dialect, Role } from "../../mod/portal/login_url.ts";
import { clientCodec } from "../../mod/portal/schema/client.ts";
import { gatewayCodec } from "../../mod/portal/schema/gateway.ts";
import { PortalSession, type SessionEvent } from "../../mod/portal/session.ts";
import type { ClientCommand, ClientEvent, GatewayCommand, GatewayEvent, Id } from "../../mod/portal/types.ts";
import { StoredEvents, UNIX_START } from "../embedded/portal/portal_world.ts";
import { seededRandom } from "../portal/support.ts";
import { Clock } from "./clock.ts";

const LATENCY = 20;
const REQUEST_INTERVAL = 2_000;

/** What a dial meets: a portal, nobody, nothing at all, or an HTTP answer. */
export type Answer =
  | "up"
  | "refused connection"
  | "black hole"
  | { readonly status: number; readonly body: string };

export interface Identity {
  readonly name: string;
  readonly token: string;
  readonly dialect?: Dialect;
  /** Distinguishes processes. */
  readonly key: number;
  readonly remoteIp?: string;
}

export class SessionWorld {
  readonly clock = new Clock(0);
  core: PortalCore;
  answer: Answer = "up";
  /** Seconds by which the portal's clock is wrong. */
  skew = 0;
  /** Real milliseconds that the core has taken. */
  cpu = 0;
  /** Frames that the portal has sent. */
  frames = 0;
  readonly devices: Device<unknown, unknown>[] = [];
  readonly #stored = new StoredEvents();
  readonly #random = seededRandom(7);
  #policy: PortalPolicy;
  #isMute = false;
  readonly #sockets = new Map<number, Link>();

  constructor(policy: PortalPolicy) {
    this.#policy = policy;
    this.core = this.#start();
  }

  get now(): number {
    return this.clock.now;
  }

  /** Unix seconds, in truth. */
  get unixNow(): number {
    return UNIX_START + Math.floor(this.now / 1000);
  }

  get policy(): PortalPolicy {
    return this.#policy;
  }

  reload(policy: PortalPolicy): void {
    this.#policy = policy;
    this.ask((core) => core.setPolicy(policy));
  }

  /** Something is asked of the portal, and what follows from it happens. */
  ask<T>(question: (core: PortalCore) => T): T {
    const start = performance.now();
    const answer = question(this.core);
    this.cpu += performance.now() - start;
    this.#drain();
    return answer;
  }

  /** From here on everything that the portal says is stored and nothing is sent; then it dies. */
  kill(): void {
    this.#isMute = true;
  }

  /** The portal's process ends, if it hasn't yet; all its sockets with it. */
  stop(): void {
    this.answer = "refused connection";
    this.#isMute = true;
    for (const link of [...this.#sockets.values()]) link.breakAtDevice();
    this.#sockets.clear();
  }

  start(): void {
    this.#isMute = false;
    this.core = this.#start();
    this.answer = "up";
    this.#drain();
  }

  run(milliseconds: number): void {
    const end = this.now + milliseconds;
    while (true) {
      const due = this.#isMute ? Infinity : this.core.pollTimeout() ?? Infinity;
      const event = this.clock.next ?? Infinity;
      if (Math.min(due, event) > end) break;
      if (event <= due) this.clock.step();
      else {
        this.clock.advanceTo(due);
        this.ask((core) => core.handleTimeout(this.now));
      }
    }
    this.clock.advanceTo(end);
  }

  /** Runs until something is true; at most so long. @returns how long it took */
  until(what: () => boolean, limit: number, step = 100): number {
    const start = this.now;
    while (!what()) {
      assert.ok(this.now - start < limit, `not within ${limit} ms`);
      this.run(step);
    }
    return this.now - start;
  }

  /** A socket for a device. @returns what it is told instead */
  open(
    identity: Identity & { readonly role: Role },
    link: Link,
  ): { status: number; body: string } | undefined {
    const { role, name, token, key, dialect = "v1", remoteIp = "198.51.100.20" } = identity;
    const admission = this.ask((core) =>
      core.admit({
        role,
        dialect,
        token,
        externalId: name,
        name,
        publicKey: keyText(key),
        userAgent: "Debian/13 connlib/1.5.0 (x86_64)",
        vsn: undefined,
        remoteIp,
        region: undefined,
      })
    );
    if (isProblem(admission)) return { status: admission.status, body: JSON.stringify(admission) };
    const socket = this.ask((core) => core.handleOpen(admission, this.now));
    assert.ok(typeof socket === "number");
    link.socket = socket;
    this.#sockets.set(socket, link);
    return undefined;
  }

  forget(socket: number): void {
    this.#sockets.delete(socket);
  }

  #start(): PortalCore {
    return new PortalCore({
      policy: this.#policy,
      relays: [],
      stored: this.#stored.state(),
      random: this.#random,
      unixNow: () => this.unixNow + this.skew,
      now: this.now,
    });
  }

  #drain(): void {
    const events: PortalEvent[] = [];
    for (let event; (event = this.core.pollEvent()) !== undefined;) events.push(event);
    this.#stored.apply(events);
    for (let transmit; (transmit = this.core.pollTransmit()) !== undefined;) {
      if (this.#isMute) continue;
      this.frames++;
      this.#sockets.get(transmit.socket)?.toDevice(transmit.text);
    }
    for (const event of events) {
      if (event.type !== "close" || this.#isMute) continue;
      const link = this.#sockets.get(event.socket);
      this.#sockets.delete(event.socket);
      link?.breakAtDevice();
    }
  }
}

/** One WebSocket. Frames of a link arrive in order. */
class Link {
  socket: number | undefined;
  isUnplugged = false;
  #isOpen = true;

  constructor(
    readonly world: SessionWorld,
    readonly receive: (text: string) => void,
    readonly lost: () => void,
  ) {}

  toDevice(text: string): void {
    this.#later(() => this.receive(text));
  }

  toPortal(text: string): void {
    const { world } = this;
    this.#later(() =>
      this.socket !== undefined && world.ask((core) => core.handleText(this.socket!, text, world.now))
    );
  }

  /** The device ends it. */
  close(closure?: Closure): void {
    const { world, socket } = this;
    if (socket !== undefined && !this.isUnplugged) {
      world.clock.at(world.now + LATENCY, () => {
        world.forget(socket);
        world.ask((core) => core.handleClosed(socket, world.now, closure));
      });
    }
    this.#isOpen = false;
  }

  breakAtDevice(): void {
    if (!this.#isOpen) return;
    this.world.clock.at(this.world.now + LATENCY, () => {
      if (!this.#isOpen || this.isUnplugged) return;
      this.#isOpen = false;
      this.lost();
    });
  }

  #later(what: () => void): void {
    this.world.clock.at(this.world.now + LATENCY, () => {
      if (this.#isOpen && !this.isUnplugged) what();
    });
  }
}

export abstract class Device<Event, Command> {
  readonly world: SessionWorld;
  readonly identity: Identity & { readonly role: Role };
  readonly session: PortalSession<Event, Command>;
  /** Times at which it joined. */
  readonly joins: number[] = [];
  failure: string | undefined;
  readonly warnings: string[] = [];
  #link: Link | undefined;
  #isAlive = true;
  #wakeAt = Infinity;

  constructor(
    world: SessionWorld,
    identity: Identity & { readonly role: Role },
    codec: Codec<Event, Command>,
  ) {
    this.world = world;
    this.identity = identity;
    this.session = new PortalSession(codec, {
      random: seededRandom(identity.key),
      unixNow: () => world.unixNow,
      now: world.now,
      maxPartitionTime: Infinity,
      firstConnectTimeout: Infinity,
    });
    world.devices.push(this as Device<unknown, unknown>);
    queueAt(world, () => this.drain());
  }

  get isAlive(): boolean {
    return this.#isAlive;
  }

  get isJoined(): boolean {
    return this.#isAlive && this.session.isJoined;
  }

  abstract handle(event: Event): void;

  /** The process is killed: its kernel ends the connection. */
  kill(): void {
    this.#isAlive = false;
    this.#link?.close();
    this.#link = undefined;
  }

  /** SIGTERM. */
  stop(): void {
    this.session.close(this.world.now);
    this.drain();
    this.#isAlive = false;
  }

  /** The host loses its power, or its network. */
  unplug(): void {
    if (this.#link) this.#link.isUnplugged = true;
    this.#isAlive = false;
  }

  /** The connection to the portal breaks; the device lives on. */
  cut(): void {
    const link = this.#link;
    link?.close();
    this.#link = undefined;
    this.session.handleClosed("cut", this.world.now);
    this.drain();
  }

  drain(): void {
    if (!this.#isAlive) return;
    for (let event; (event = this.session.pollEvent()) !== undefined;) this.#act(event);
    for (let frame; (frame = this.session.pollTransmit()) !== undefined;) this.#link?.toPortal(frame);
    const due = this.session.pollTimeout();
    if (due === undefined || due === this.#wakeAt) return;
    this.#wakeAt = due;
    this.world.clock.at(due, () => {
      if (!this.#isAlive || this.#wakeAt !== due) return;
      this.#wakeAt = Infinity;
      this.session.handleTimeout(this.world.now);
      this.drain();
    });
  }

  #act(event: SessionEvent<Event>): void {
    switch (event.type) {
      case "dial":
        return this.#dial();
      case "hangup":
        this.#link?.close({ code: event.code, reason: event.reason });
        this.#link = undefined;
        return;
      case "joined":
        this.joins.push(this.world.now);
        return;
      case "failed":
        this.failure = event.error.message;
        return;
      case "event":
        return this.handle(event.event);
      case "warning":
        this.warnings.push(event.text);
    }
  }

  #dial(): void {
    const { world, session } = this;
    const report = (what: () => void) => {
      if (!this.#isAlive || this.#link !== link) return;
      what();
      this.drain();
    };
    const link: Link = new Link(
      world,
      (text) => report(() => session.handleText(text, world.now)),
      () => report(() => session.handleClosed("the portal is gone", world.now)),
    );
    this.#link = link;
    world.clock.at(world.now + LATENCY, () => {
      const { answer } = world;
      if (this.#link !== link || answer === "black hole") return;
      if (answer === "refused connection") return report(() => session.handleDialError("refused", world.now));
      const refusal = answer === "up" ? world.open(this.identity, link) : answer;
      world.clock.at(world.now + LATENCY, () => {
        report(() =>
          refusal === undefined ? session.handleOpen(world.now) : session.handleRefused(refusal, world.now)
        );
      });
    });
  }
}

function queueAt(world: SessionWorld, run: () => void): void {
  world.clock.at(world.now, run);
}

export class StockGateway extends Device<GatewayEvent, GatewayCommand> {
  /** What each client may use, and until when (Unix seconds). */
  readonly access = new Map<Id, Map<Id, number | null>>();
  readonly candidates = new Map<Id, string[]>();
  /** Seconds by which its clock is wrong. */
  skew = 0;
  confirms = true;

  constructor(world: SessionWorld, identity: Identity) {
    super(world, { ...identity, role: "gateway" }, gatewayCodec(identity.dialect ?? "v1"));
  }

  lets(clientId: Id, resourceId: Id): boolean {
    const until = this.access.get(clientId)?.get(resourceId);
    return this.isAlive && until !== undefined && (until === null || until > this.world.unixNow + this.skew);
  }

  override handle(event: GatewayEvent): void {
    switch (event.type) {
      case "init": {
        if (event.init.authorizations === undefined) return;
        const listed = new Set(event.init.authorizations.map((one) => `${one.clientId} ${one.resourceId}`));
        for (const [clientId, resources] of this.access) {
          for (const id of [...resources.keys()]) if (!listed.has(`${clientId} ${id}`)) resources.delete(id);
        }
        return;
      }
      case "authorize": {
        const { client, resource, expiresAt, ref } = event.authorization;
        if (!this.confirms) return;
        const resources = this.access.get(client.id) ?? new Map<Id, number | null>();
        this.access.set(client.id, resources.set(resource.id, expiresAt));
        this.session.send({ type: "authorized", ref });
        return;
      }
      case "reject_access":
        this.access.get(event.clientId)?.delete(event.resourceId);
        return;
      case "ice_candidates":
        this.candidates.set(event.clientId, [
          ...this.candidates.get(event.clientId) ?? [],
          ...event.candidates,
        ]);
    }
  }
}

export class StockClient extends Device<ClientEvent, ClientCommand> {
  /** The gateway that it believes to reach each resource through. */
  readonly flows = new Map<Id, Id>();
  readonly resources = new Set<Id>();
  readonly refusals: string[] = [];
  #wanted: Id[] = [];
  #lastGateways: Id[] = [];

  constructor(world: SessionWorld, identity: Identity) {
    super(world, { ...identity, role: "client" }, clientCodec(identity.dialect ?? "v1"));
  }

  /** Sends packets to resources from here on. */
  use(...resourceIds: Id[]): void {
    const isIdle = this.#wanted.length === 0;
    this.#wanted.push(...resourceIds);
    if (isIdle) this.#send();
    else this.#ask();
    this.drain();
  }

  override handle(event: ClientEvent): void {
    switch (event.type) {
      case "init": {
        const listed = event.init.resources.map(({ id }) => id);
        for (const id of [...this.resources]) if (!listed.includes(id)) this.#forget(id);
        for (const id of listed) this.resources.add(id);
        return;
      }
      case "resource_upserted":
        this.resources.add(event.resource.id);
        return this.#ask();
      case "resource_deleted":
        return this.#forget(event.resourceId);
      case "flow_created": {
        const { resourceId, gatewayId } = event.flow;
        const known = this.flows.get(resourceId);
        if (this.identity.dialect !== "v2") {
          assert.ok(known === undefined || known === gatewayId, "the client crashed: another gateway");
        }
        this.flows.set(resourceId, gatewayId);
        this.#lastGateways = [gatewayId, ...this.#lastGateways.filter((id) => id !== gatewayId)].sort();
        return;
      }
      case "flow_failed":
        this.refusals.push(event.failure.reason);
    }
  }

  #forget(id: Id): void {
    this.resources.delete(id);
    this.flows.delete(id);
  }

  #send(): void {
    if (!this.isAlive) return;
    this.#ask();
    this.world.clock.at(this.world.now + REQUEST_INTERVAL, () => {
      this.#send();
      this.drain();
    });
  }

  #ask(): void {
    for (const resourceId of this.#wanted) {
      if (this.flows.has(resourceId) || !this.resources.has(resourceId)) continue;
      this.session.send({ type: "request", resourceId, connectedGatewayIds: this.#lastGateways });
    }
  }
}

export function keyText(key: number): string {
  const bytes = new Uint8Array(32);
  new DataView(bytes.buffer).setUint32(0, key);
  return bytes.toBase64();
}
