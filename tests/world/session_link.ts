/** A WebSocket between a device and the portal of a {@link SessionWorld}: latency, and the ways in which it ends. */
import type { Closure } from "../../mod/embedded/portal/core/core.ts";
import type { SessionWorld } from "./session_world.ts";

/** One way, ms. */
export const LATENCY = 20;

export class Link {
  socket: number | undefined;
  isUnplugged = false;
  #isOpen = true;
  #late = 0;

  constructor(
    readonly world: SessionWorld,
    /** After a stall, ms. */
    readonly lag: number,
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

  /** Retransmissions come at growing intervals, so that what was lost in a stall arrives some seconds after its end. */
  #arrival(): number {
    const { now, stalledUntil } = this.world;
    const isStalled = stalledUntil > now || this.#late > now;
    if (stalledUntil > now) this.#late = stalledUntil + this.lag;
    return (isStalled ? this.#late : now) + LATENCY;
  }

  #later(what: () => void): void {
    this.world.clock.at(this.#arrival(), () => {
      if (this.#isOpen && !this.isUnplugged) what();
    });
  }
}
