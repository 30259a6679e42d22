/** One WebSocket with the Phoenix channel in it: what it says, and for how long it may say nothing (spec portal §2). */
import type { Id } from "../../../portal/types.ts";

const JOIN_TIMEOUT = 30_000;

/** JSON value that a request carries as its ref, echoed unchanged. */
export type Ref = string | number | null;

export abstract class PortalSocket {
  readonly #transmit: (text: string) => void;
  joined = false;
  lastHeard: number;
  /** Nothing is sent any more, nothing heard. */
  closing = false;
  /** Topic of the one channel that may be joined. */
  abstract readonly topic: "gateway" | "client" | "relay";
  /** How long it may be silent, in ms. */
  protected abstract readonly idleTimeout: number;
  /** Whose it is; for people. */
  abstract readonly name: string;
  abstract readonly deviceId: Id;
  abstract readonly tokenHash: string;

  constructor(readonly id: number, readonly openedAt: number, transmit: (text: string) => void) {
    this.lastHeard = openedAt;
    this.#transmit = transmit;
  }

  push(event: string, payload: unknown): void {
    this.#transmit(JSON.stringify({ topic: this.topic, event, payload, ref: null }));
  }

  replyOk(topic: string, ref: Ref, response: unknown = {}): void {
    this.#reply(topic, ref, { status: "ok", response });
  }

  replyError(topic: string, ref: Ref, reason: string, more: object = {}): void {
    this.#reply(topic, ref, { status: "error", response: { reason, ...more } });
  }

  /** The channel ends; devices connect anew. */
  pushClose(): void {
    this.push("phx_close", {});
  }

  #reply(topic: string, ref: Ref, payload: unknown): void {
    this.#transmit(JSON.stringify({ topic, event: "phx_reply", payload, ref }));
  }

  /** Why this socket has been useless for too long, if so. */
  overdue(now: number): string | undefined {
    if (!this.joined && now - this.openedAt >= JOIN_TIMEOUT) return "no join";
    return now - this.lastHeard >= this.idleTimeout ? "idle" : undefined;
  }
}
