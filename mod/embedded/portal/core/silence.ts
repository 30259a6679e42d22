/**
 * Whose silence it is. A device that misses its heartbeats is gone, or nothing reaches the portal: then it is not the
 * only one, and TCP delivers what was held up some seconds after the trouble is over, to one later than to another. So
 * nobody is taken for gone by his silence while more than one in three are late, and for a while after that.
 */
import type { PortalState } from "./state.ts";

/** Longer than the pause between two retransmissions after an outage of some seconds. */
const CALM = 10_000;

export class Silence {
  readonly #state: PortalState;
  #doubtUntil = -Infinity;

  constructor(state: PortalState) {
    this.#state = state;
  }

  handleTimeout(now: number): void {
    let punctual = 0, late = 0;
    for (const connection of this.#state.online.all()) {
      if (!connection.isPunctual) continue;
      punctual++;
      if (connection.isLate(now)) late++;
    }
    if (late > 1 && late * 3 > punctual) this.#doubtUntil = now + CALM;
  }

  /** True when the portal may be the one that doesn't hear. */
  isOurs(now: number): boolean {
    return now < this.#doubtUntil;
  }
}
