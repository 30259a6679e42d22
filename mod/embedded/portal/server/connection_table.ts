/**
 * How many TCP connections there may be. A connection is *pending* until it is a device's WebSocket; strangers can
 * make as many of those as they like, so when there are too many, of one source or in all, the oldest pending ones
 * are closed. Honest ones are done in milliseconds and never the oldest; those that wait for something are.
 *
 * WebSockets have proved a token. They are bounded too, by refusing more.
 */
import type { Counters } from "../../../packet/counters.ts";

export interface Closable {
  destroy(): void;
}

export interface TableLimits {
  readonly pending: number;
  readonly pendingOfSource: number;
  readonly sockets: number;
  readonly socketsOfSource: number;
}

export class ConnectionTable {
  readonly #limits: TableLimits;
  /** In the order of their arrival. */
  readonly #pending = new Map<Closable, string>();
  readonly #pendingBySource = new Map<string, Set<Closable>>();
  readonly #socketsBySource = new Map<string, number>();
  #sockets = 0;
  readonly #counters: Counters;
  readonly #evicted: number;

  constructor(limits: TableLimits, counters: Counters) {
    this.#limits = limits;
    this.#counters = counters;
    this.#evicted = counters.register("portal_evicted_connections");
  }

  get pending(): number {
    return this.#pending.size;
  }

  get sockets(): number {
    return this.#sockets;
  }

  /** @param source undefined: a trusted proxy, which stands for many */
  add(connection: Closable, source: string | undefined): void {
    if (source !== undefined) {
      const ofSource = this.#pendingBySource.get(source) ?? new Set();
      if (ofSource.size >= this.#limits.pendingOfSource) this.#evict(ofSource.values().next().value!);
      this.#pendingBySource.set(source, ofSource.add(connection));
    }
    if (this.#pending.size >= this.#limits.pending) this.#evict(this.#pending.keys().next().value!);
    this.#pending.set(connection, source ?? "");
  }

  /** It is closed, or no stranger's any more. */
  remove(connection: Closable): void {
    const source = this.#pending.get(connection);
    if (source === undefined) return;
    this.#pending.delete(connection);
    const ofSource = this.#pendingBySource.get(source);
    ofSource?.delete(connection);
    if (ofSource?.size === 0) this.#pendingBySource.delete(source);
  }

  /** Counts a WebSocket. @returns what to call once when it ends; undefined when there is no room */
  open(source: string): (() => void) | undefined {
    const ofSource = this.#socketsBySource.get(source) ?? 0;
    if (ofSource >= this.#limits.socketsOfSource || this.#sockets >= this.#limits.sockets) return undefined;
    this.#sockets++;
    this.#socketsBySource.set(source, ofSource + 1);
    return () => {
      this.#sockets--;
      const left = this.#socketsBySource.get(source)! - 1;
      if (left === 0) this.#socketsBySource.delete(source);
      else this.#socketsBySource.set(source, left);
    };
  }

  #evict(connection: Closable): void {
    this.#counters.add(this.#evicted);
    this.remove(connection);
    connection.destroy();
  }
}
