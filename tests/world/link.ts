/**
 * The link of one host or NAT to its network. Conditions apply to each crossing in either direction and may change at
 * any time. Order is kept, except for datagrams that `reorder` picks.
 */
import type { Clock } from "./clock.ts";
import { type Datagram, wireLength } from "./datagram.ts";
import type { Random } from "./random.ts";
import type { Trace } from "./trace.ts";

export interface LinkConditions {
  /** One way, ms. */
  latency: number;
  /** Uniform addition of up to this, ms. */
  jitter: number;
  /** Probabilities, 0..1. */
  loss: number;
  duplicate: number;
  reorder: number;
  /** Bytes of the largest IP packet. */
  mtu: number;
  /** False drops the datagram: firewalls, dead routes. */
  passes: (datagram: Datagram) => boolean;
}

export const PERFECT: LinkConditions = {
  latency: 0,
  jitter: 0,
  loss: 0,
  duplicate: 0,
  reorder: 0,
  mtu: 1500,
  passes: () => true,
};

/** A reordered datagram comes this much later, ms, besides its latency. */
const REORDER_DELAY = 15;

export class Link {
  conditions: LinkConditions;
  readonly #lastArrival = { in: 0, out: 0 };

  constructor(
    readonly name: string,
    conditions: Partial<LinkConditions>,
    readonly clock: Clock,
    readonly random: Random,
    readonly trace: Trace,
  ) {
    this.conditions = { ...PERFECT, ...conditions };
  }

  change(conditions: Partial<LinkConditions>): void {
    this.conditions = { ...this.conditions, ...conditions };
  }

  /** Takes `datagram` across, if the conditions let it, and hands it to `arrive` then. */
  cross(datagram: Datagram, direction: "in" | "out", arrive: (datagram: Datagram) => void): void {
    const { latency, jitter, loss, duplicate, reorder, mtu, passes } = this.conditions;
    if (wireLength(datagram) > mtu) return this.trace.drop("too big", this.name, datagram);
    if (!passes(datagram)) return this.trace.drop("blocked", this.name, datagram);
    if (this.random.chance(loss)) return this.trace.drop("lost", this.name, datagram);
    const copies = this.random.chance(duplicate) ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) {
      const delay = latency + (jitter > 0 ? this.random.fraction() * jitter : 0);
      let at = this.clock.now + delay;
      if (this.random.chance(reorder)) at += REORDER_DELAY;
      else at = this.#lastArrival[direction] = Math.max(at, this.#lastArrival[direction]);
      this.clock.at(at, () => arrive(datagram));
    }
  }
}
