/** A device of a {@link SessionWorld}: our own portal session, its process and its connection. */
import type { Codec } from "../../mod/portal/codec.ts";
import type { Role } from "../../mod/portal/login_url.ts";
import { PortalSession, type SessionEvent } from "../../mod/portal/session.ts";
import { seededRandom } from "../portal/support.ts";
import { LATENCY, Link } from "./session_link.ts";
import type { Identity, SessionWorld } from "./session_world.ts";

export abstract class Device<Event, Command> {
  readonly world: SessionWorld;
  readonly identity: Identity & { readonly role: Role };
  readonly session: PortalSession<Event, Command>;
  /** Times at which it joined. */
  readonly joins: number[] = [];
  failure: string | undefined;
  readonly warnings: string[] = [];
  /** Called with the reason when the session closes its socket. */
  onHangUp: (reason: string) => void = () => {};
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
    world.clock.at(world.now, () => this.drain());
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
        this.onHangUp(event.reason);
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
      (this.identity.key * 1_700) % 8_000,
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
