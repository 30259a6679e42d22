/**
 * The relays that devices get: the policy's, those of this process, and those that are joined over a WebSocket.
 *
 * A joined relay whose connection goes stays on the list for three seconds: relays outlive their portal's hiccups, and
 * taking one away moves everybody who uses it. One that comes back with another secret is another process: the old one
 * is off the list at once, since nobody's credentials are good there any more (spec portal §3.5, §5.1).
 */
import type { Id } from "../../../portal/types.ts";
import type { RelayPolicy } from "../policy/policy.ts";
import { known, type KnownRelay } from "./relay_list.ts";
import type { RelaySocket } from "./relay_socket.ts";

export const LEAVE_DELAY = 3_000;

/** A relay that is joined over a WebSocket. */
export interface JoinedRelay {
  readonly id: Id;
  readonly name: string;
  /** As they are handed out, `192.0.2.1:3478`. */
  readonly addresses: readonly string[];
}

interface Entry extends KnownRelay {
  socket: RelaySocket;
  /** Since when its connection is gone. */
  leftAt: number | undefined;
}

export class Relays {
  readonly #joined = new Map<Id, Entry>();
  #policy: readonly KnownRelay[];
  #own: readonly KnownRelay[];

  constructor(policy: readonly RelayPolicy[], own: readonly RelayPolicy[]) {
    this.#policy = policy.map(known);
    this.#own = own.map(known);
  }

  setPolicy(relays: readonly RelayPolicy[]): void {
    this.#policy = relays.map(known);
  }

  setOwn(relays: readonly RelayPolicy[]): void {
    this.#own = relays.map(known);
  }

  /** Each id once. */
  all(): KnownRelay[] {
    const relays = new Map<Id, KnownRelay>();
    for (const one of [...this.#policy, ...this.#own, ...this.#joined.values()]) {
      if (!relays.has(one.id)) relays.set(one.id, one);
    }
    return [...relays.values()];
  }

  joined(): JoinedRelay[] {
    return [...this.#joined.values()].filter(({ leftAt }) => leftAt === undefined).map((
      { id, socket, relay },
    ) => ({
      id,
      name: socket.name,
      addresses: [relay.v4, relay.v6].flatMap((address) => address ? [address.key] : []),
    }));
  }

  /** @returns the sockets of the same relay that this one replaces */
  join(socket: RelaySocket, relay: RelayPolicy): RelaySocket[] {
    const fresh: Entry = { ...known(relay), socket, leftAt: undefined };
    const replaced = [...this.#joined.values()].filter((one) =>
      one.id === fresh.id || one.socket === socket || sameAddress(one.relay, relay)
    );
    for (const one of replaced) this.#joined.delete(one.id);
    this.#joined.set(fresh.id, fresh);
    return replaced.filter((one) => one.leftAt === undefined && one.socket !== socket).map((one) =>
      one.socket
    );
  }

  leave(socket: RelaySocket, now: number): void {
    for (const one of this.#joined.values()) if (one.socket === socket) one.leftAt ??= now;
  }

  /** The relay's right to be one has ended. */
  remove(socket: RelaySocket): void {
    for (const one of this.#joined.values()) if (one.socket === socket) this.#joined.delete(one.id);
  }

  handleStandstill(milliseconds: number): void {
    for (const one of this.#joined.values()) if (one.leftAt !== undefined) one.leftAt += milliseconds;
  }

  /** @returns true when relays are off the list that were on it before */
  handleTimeout(now: number): boolean {
    const gone = [...this.#joined.values()].filter(({ leftAt }) =>
      leftAt !== undefined && now - leftAt >= LEAVE_DELAY
    );
    for (const { id } of gone) this.#joined.delete(id);
    return gone.length > 0;
  }
}

function sameAddress(a: RelayPolicy, b: RelayPolicy): boolean {
  return (a.v4 !== undefined && a.v4.key === b.v4?.key) || (a.v6 !== undefined && a.v6.key === b.v6?.key);
}
