/**
 * The embedded portal's core and devices on our own portal sessions, over links on a virtual clock.
 *
 * Tunnels are not here: a client reaches a resource when its gateway lives and lets it in.
 *
 * Links may be cut (both ends notice), unplugged (nobody notices), and the portal may be down, killed with words on its
 * lips, or answer with anything but a WebSocket.
 */
import assert from "node:assert/strict";
import { isProblem } from "../../mod/embedded/portal/core/admission.ts";
import { PortalCore } from "../../mod/embedded/portal/core/core.ts";
import type { PortalEvent } from "../../mod/embedded/portal/core/state.ts";
import type { PortalPolicy } from "../../mod/embedded/portal/policy/policy.ts";
import type { Dialect, Role } from "../../mod/portal/login_url.ts";
import { StoredEvents, UNIX_START } from "../embedded/portal/portal_world.ts";
import { seededRandom } from "../portal/support.ts";
import { Clock } from "./clock.ts";
import type { Device } from "./session_device.ts";
import type { Link } from "./session_link.ts";

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
  /** Until then the portal's network carries nothing; TCP delivers it a while later. */
  stalledUntil = 0;
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

  /** The portal's network carries nothing for so long: nobody's connection ends by that alone. */
  stall(milliseconds: number): void {
    this.stalledUntil = this.now + milliseconds;
    const { answer } = this;
    this.answer = "black hole";
    this.clock.at(this.stalledUntil, () => this.answer = answer);
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

export function keyText(key: number): string {
  const bytes = new Uint8Array(32);
  new DataView(bytes.buffer).setUint32(0, key);
  return bytes.toBase64();
}
