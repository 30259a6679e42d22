/**
 * What time does to sessions, grants and sockets. Everything that wall clocks decide is judged anew each time, so that
 * a clock that is set forward or back costs nothing but what it says.
 */
import { refreshResources, refreshRevoked, revoke, type Revoked, revokeInvalid } from "./client_updates.ts";
import type { Departure } from "./failover.ts";
import type { PortalSocket } from "./socket.ts";
import type { PortalState } from "./state.ts";

/** Seconds between two looks at conditions of time. */
const CONDITIONS_INTERVAL = 60;
/** Seconds between two sweeps that neither passed nor can be explained by slow adjustment. */
const CLOCK_JUMP = 60;

export interface EndedSocket {
  readonly socket: PortalSocket;
  readonly how: Departure;
}

export class Sweep {
  readonly #state: PortalState;
  #minute: number;
  /** The wall clock's reading at monotonic time 0, as of the last sweep; undefined before the first. */
  #epoch: number | undefined;

  constructor(state: PortalState) {
    this.#state = state;
    this.#minute = this.#currentMinute();
  }

  /** @returns the sockets that were closed */
  handleTimeout(now: number): EndedSocket[] {
    this.#watchClock(now);
    const ended = this.#endSockets(now);
    this.#endGrants();
    const minute = this.#currentMinute();
    if (minute !== this.#minute) {
      this.#minute = minute;
      this.#forgetEnded();
      this.#judgeTimes();
    }
    return ended;
  }

  /** A clock that jumps ends sessions and grants, or lets them last: somebody should know why. */
  #watchClock(now: number): void {
    const epoch = this.#state.unixNow() - now / 1000;
    const jump = Math.round(epoch - (this.#epoch ?? epoch));
    this.#epoch = epoch;
    if (Math.abs(jump) < CLOCK_JUMP) return;
    const text =
      `The clock was set ${jump < 0 ? "back" : "forward"} by ${Math.abs(jump)} s, or this machine slept: ` +
      "sessions and grants end by it. Check the machine's time.";
    this.#state.log("warning", text);
  }

  /** Those whose session is over, and those that are idle. */
  #endSockets(now: number): EndedSocket[] {
    const ended: EndedSocket[] = [];
    const { connections, relaySockets } = this.#state;
    const unixNow = this.#state.unixNow();
    for (const socket of [...connections.values(), ...relaySockets.values()]) {
      if (this.#state.expiryOf(socket) <= unixNow) {
        this.#state.expel(socket, "its session expired");
        ended.push({ socket, how: "goodbye" }); // It can't come back as it was.
        continue;
      }
      const reason = socket.overdue(now);
      if (reason === undefined) continue;
      this.#state.log("warning", `Closing ${this.#state.describe(socket)}: ${reason}.`);
      this.#state.close(socket, 1000, reason);
      ended.push({ socket, how: "silent" });
    }
    return ended;
  }

  /** No client notices that a grant has run out: it is made to ask again, or told that there is nothing to ask for. */
  #endGrants(): void {
    const revoked: Revoked = new Map();
    for (const grant of this.#state.grants.expired(this.#state.unixNow())) {
      revoke(this.#state, grant, revoked);
    }
    refreshRevoked(this.#state, revoked);
  }

  /** Resources that have come or gone by the clock. */
  #judgeTimes(): void {
    const timed = this.#state.index.timedResourceIds;
    if (timed.size === 0) return;
    // Of grants only a clock that was set back ends any before their time.
    const grants = [...this.#state.grants.all()].filter(({ resourceId }) => timed.has(resourceId));
    const revoked = revokeInvalid(this.#state, grants);
    for (const client of this.#state.online.clients()) {
      refreshResources(this.#state, client, timed, revoked.get(client.device.id));
    }
  }

  /** Nobody can come back who was to be told of them. */
  #forgetEnded(): void {
    for (const grant of [...this.#state.grants.ended()]) {
      const session = this.#state.tokens.get(grant.clientToken);
      if (session === undefined || session.expiresAt <= this.#state.unixNow()) this.#state.dropGrant(grant);
    }
  }

  #currentMinute(): number {
    return Math.floor(this.#state.unixNow() / CONDITIONS_INTERVAL);
  }
}
