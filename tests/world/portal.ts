/**
 * The portal as a message bus: what one party says reaches another a little later, in order. It may be down, which
 * holds messages back or loses them, and a script may look into every message.
 */
import type { World } from "./world.ts";

export interface Envelope<M> {
  readonly from: string;
  readonly to: string;
  readonly message: M;
}

export class Portal<M> {
  /** One way, ms. */
  latency = 25;
  /** `hold`: messages wait until the portal is back. `lose`: they are gone. */
  state: "up" | "hold" | "lose" = "up";
  /** Decides about each message: true delivers, false drops, a number delays by so many ms. */
  script: (envelope: Envelope<M>) => boolean | number = () => true;
  /** Everything that was delivered. */
  readonly log: Envelope<M>[] = [];
  readonly #world: World;
  readonly #parties = new Map<string, (message: M, from: string) => void>();
  #held: Envelope<M>[] = [];
  #lastArrival = 0;

  constructor(world: World) {
    this.#world = world;
  }

  join(name: string, receive: (message: M, from: string) => void): void {
    this.#parties.set(name, receive);
  }

  leave(name: string): void {
    this.#parties.delete(name);
  }

  send(from: string, to: string, message: M): void {
    const envelope = { from, to, message };
    if (this.state === "lose") return;
    if (this.state === "hold") this.#held.push(envelope);
    else this.#deliver(envelope);
  }

  /** Brings the portal back and delivers what was held. */
  restore(): void {
    this.state = "up";
    const held = this.#held;
    this.#held = [];
    for (const envelope of held) this.#deliver(envelope);
  }

  #deliver(envelope: Envelope<M>): void {
    const verdict = this.script(envelope);
    if (verdict === false) return;
    const delay = this.latency + (verdict === true ? 0 : verdict);
    const at = this.#lastArrival = Math.max(this.#world.now + delay, this.#lastArrival);
    this.#world.at(at, () => {
      this.log.push(envelope);
      this.#parties.get(envelope.to)?.(envelope.message, envelope.from);
    });
  }
}
