/**
 * Which nameserver to ask first (spec policy §5.4): each is known by how it did last, per transport, and the best
 * comes first. Nothing is remembered longer than the next round of probes, and nobody is ever given up:
 *
 *   answers (fast before slow) < answers, but only with errors < not tried yet < silent;  ties: order of configuration
 */
import type { SocketAddress } from "../packet/address.ts";

export type Transport = "udp" | "tcp";

const ANSWERS = 0, ALIVE = 1, UNKNOWN = 2, SILENT = 3;

interface Health {
  grade: number;
  /** Milliseconds of the last answer. */
  roundTrip: number;
}

export class Nameservers {
  #servers: readonly SocketAddress[] = [];
  readonly #health = new Map<string, Health>();

  get all(): readonly SocketAddress[] {
    return this.#servers;
  }

  /** Replaces the list; what is known of those that stay is kept. */
  set(servers: readonly SocketAddress[]): void {
    this.#servers = servers;
    const kept = new Set(servers.flatMap((server) => [keyOf(server, "udp"), keyOf(server, "tcp")]));
    for (const key of this.#health.keys()) if (!kept.has(key)) this.#health.delete(key);
  }

  /** All of them, best first. */
  ranked(transport: Transport): readonly SocketAddress[] {
    return this.#servers
      .map((server, position) => ({ server, position, ...this.#healthOf(server, transport) }))
      .sort((a, b) => a.grade - b.grade || a.roundTrip - b.roundTrip || a.position - b.position)
      .map(({ server }) => server);
  }

  /** The outcome of a probe. `isUseful`: the answer was no error. */
  noteProbe(server: SocketAddress, transport: Transport, roundTrip: number, isUseful: boolean): void {
    this.#health.set(keyOf(server, transport), { grade: isUseful ? ANSWERS : ALIVE, roundTrip });
  }

  /** A query was answered: one that was thought silent is alive. */
  noteAnswer(server: SocketAddress, transport: Transport, roundTrip: number): void {
    if (this.#healthOf(server, transport).grade > ALIVE) {
      this.#health.set(keyOf(server, transport), { grade: ALIVE, roundTrip });
    }
  }

  /** No answer, or none that makes sense. */
  noteFailure(server: SocketAddress, transport: Transport): void {
    this.#health.set(keyOf(server, transport), { grade: SILENT, roundTrip: 0 });
  }

  #healthOf(server: SocketAddress, transport: Transport): Health {
    return this.#health.get(keyOf(server, transport)) ?? { grade: UNKNOWN, roundTrip: 0 };
  }
}

function keyOf(server: SocketAddress, transport: Transport): string {
  return `${transport} ${server.key}`;
}
