/**
 * Runs the core over real sockets, with real time: feeds it frames and its timer, stores what it wants stored, then
 * sends, then closes.
 *
 * When the store can't be written (a full disk), nothing that depends on it may be said. So the portal suspends itself:
 * every socket is closed, newcomers are told to come back later, and what waits is tried again every second. Tunnels
 * that stand are not touched by that.
 *
 * An exception while one device's frame is handled costs that device its connection, and nobody else.
 */
import type { WebSocket } from "ws";
import type { Closure, PortalCore } from "../core/core.ts";
import type { PortalEvent } from "../core/state.ts";
import type { Store } from "../store/store.ts";

/** Bytes that may wait for a slow reader. */
const MAX_BUFFERED = 4 << 20;
const RETRY_MS = 1_000;
const OPEN = 1;
const GOING_AWAY = 1012, TRY_LATER = 1013, INTERNAL_ERROR = 1011;

export type LogSink = (level: "info" | "warning", text: string) => void;

export interface CoreRunnerOptions {
  readonly core: PortalCore;
  readonly store: Store | undefined;
  readonly log: LogSink;
}

export class CoreRunner {
  readonly #core: PortalCore;
  readonly #store: Store | undefined;
  readonly #log: LogSink;
  readonly #sockets = new Map<number, WebSocket>();
  /** What the store has not taken yet. */
  #unsaved: PortalEvent[] = [];
  #suspended: Error | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #stopped = false;

  constructor({ core, store, log }: CoreRunnerOptions) {
    this.#core = core;
    this.#store = store;
    this.#log = log;
  }

  /** Why nobody is served at the moment, if so. */
  get suspended(): Error | undefined {
    return this.#suspended;
  }

  /** Does something to the core, and all that follows from it. @throws StoreError when it can't be stored */
  run<T>(work: (core: PortalCore, now: number) => T): T {
    const result = work(this.#core, performance.now());
    this.#drain();
    if (this.#suspended) throw this.#suspended;
    return result;
  }

  /** @param id what the core calls this socket */
  open(id: number, socket: WebSocket): void {
    this.#sockets.set(id, socket);
    socket.on("message", (data, isBinary) => {
      if (isBinary) return;
      const handled = this.#guard(() => this.#core.handleText(id, String(data), performance.now()));
      if (handled) return;
      close(socket, INTERNAL_ERROR, "internal error");
      this.#closed(id);
    });
    socket.on("close", (code, reason) => this.#closed(id, { code, reason: String(reason) }));
    // A "close" follows each of them.
    socket.on("error", () => {});
  }

  /** The core's socket came to nothing. */
  abandon(id: number): void {
    this.#guard(() => this.#core.handleClosed(id, performance.now()));
  }

  /** Says goodbye to everybody. Nothing is said or stored afterwards. */
  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
    for (const socket of this.#sockets.values()) close(socket, GOING_AWAY, "shutting down");
  }

  #closed(id: number, closure?: Closure): void {
    if (!this.#sockets.delete(id)) return;
    this.#guard(() => this.#core.handleClosed(id, performance.now(), closure));
  }

  /** @returns false when it threw, which is logged */
  #guard(work: () => void): boolean {
    if (this.#stopped) return true;
    try {
      work();
      this.#drain();
      return true;
    } catch (error) {
      const text = error instanceof Error ? error.stack ?? error.message : String(error);
      this.#log("warning", `The portal failed at something, and goes on with the rest. ${text}`);
      return false;
    }
  }

  /** Store, then transmit, then close. */
  #drain(): void {
    if (this.#stopped) return;
    const events: PortalEvent[] = [];
    for (let event; (event = this.#core.pollEvent()) !== undefined;) events.push(event);
    this.#unsaved = this.#unsaved.concat(events.filter(({ type }) => type !== "close" && type !== "log"));
    if (this.#save()) this.#transmit();
    else while (this.#core.pollTransmit() !== undefined);
    for (const event of events) this.#act(event);
    this.#schedule();
  }

  #save(): boolean {
    try {
      if (this.#suspended) this.#store?.probe();
      this.#store?.apply(this.#unsaved);
    } catch (error) {
      if (!this.#suspended) this.#suspend(error instanceof Error ? error : new Error(String(error)));
      return false;
    }
    this.#unsaved = [];
    if (this.#suspended) this.#log("info", "The portal's state can be written again: devices are served.");
    this.#suspended = undefined;
    return true;
  }

  #suspend(error: Error): void {
    this.#suspended = error;
    this.#log("warning", `${error.message} Until then no device is served.`);
    for (const [id, socket] of [...this.#sockets]) {
      close(socket, TRY_LATER, "try again later");
      this.#sockets.delete(id);
      this.#core.handleClosed(id, performance.now());
    }
  }

  #transmit(): void {
    for (let transmit; (transmit = this.#core.pollTransmit()) !== undefined;) {
      const socket = this.#sockets.get(transmit.socket);
      if (socket?.readyState !== OPEN) continue;
      if (socket.bufferedAmount <= MAX_BUFFERED) socket.send(transmit.text);
      // What waits for it is given up with it; its "close" tells the core.
      else socket.terminate();
    }
  }

  #act(event: PortalEvent): void {
    if (event.type === "log") this.#log(event.level, event.text);
    if (event.type !== "close") return;
    const socket = this.#sockets.get(event.socket);
    this.#sockets.delete(event.socket);
    close(socket, event.code, event.reason);
  }

  #schedule(): void {
    clearTimeout(this.#timer);
    const now = performance.now();
    const at = this.#suspended ? now + RETRY_MS : this.#core.pollTimeout();
    if (at === undefined) return;
    this.#timer = setTimeout(() => {
      if (!this.#guard(() => this.#core.handleTimeout(performance.now()))) this.#schedule();
    }, Math.max(at - now, 0));
  }
}

function close(socket: WebSocket | undefined, code: number, reason: string): void {
  if (socket?.readyState === OPEN) socket.close(code, reason);
}
