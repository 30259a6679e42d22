/** One WebSocket as the core sees it: who is behind it, what it has been sent, what leaves next. */
import type { Id } from "../../../portal/types.ts";
import type { Admission } from "./admission.ts";
import type { Device } from "./devices.ts";
import type { RelayEntry } from "./relay_list.ts";
import type { ClientResourceView } from "./views.ts";

/** Older phones sleep for minutes; everybody else says something every 30 s at least. */
const IDLE_TIMEOUT = { gateway: 45_000, client: { v1: 310_000, v2: 45_000 } };
const JOIN_TIMEOUT = 30_000;

/** JSON value that a request carries as its ref, echoed unchanged. */
export type Ref = string | number | null;

export class Connection {
  readonly #transmit: (text: string) => void;
  joined = false;
  lastHeard: number;
  /** What this device was told last, so that only differences are pushed. */
  sentRelays: readonly RelayEntry[] = [];
  readonly sentResources = new Map<Id, ClientResourceView>();
  sentInterface = "";
  /** Nothing is sent any more, nothing heard. */
  closing = false;

  constructor(
    readonly id: number,
    readonly admission: Admission,
    readonly device: Device,
    readonly openedAt: number,
    transmit: (text: string) => void,
  ) {
    this.lastHeard = openedAt;
    this.#transmit = transmit;
  }

  /** Topic of the one channel that this device may join. */
  get topic(): "gateway" | "client" {
    return this.admission.role;
  }

  get isV2(): boolean {
    return this.admission.dialect === "v2";
  }

  /** The device as a member of a pair. */
  get member(): { readonly id: Id; readonly publicKey: string } {
    return { id: this.device.id, publicKey: this.admission.publicKey };
  }

  push(event: string, payload: unknown): void {
    this.#transmit(JSON.stringify({ topic: this.topic, event, payload, ref: null }));
  }

  replyOk(topic: string, ref: Ref): void {
    this.#reply(topic, ref, { status: "ok", response: {} });
  }

  replyError(topic: string, ref: Ref, reason: string): void {
    this.#reply(topic, ref, { status: "error", response: { reason } });
  }

  /** The channel ends; devices connect anew. */
  pushClose(): void {
    this.push("phx_close", {});
  }

  #reply(topic: string, ref: Ref, payload: unknown): void {
    this.#transmit(JSON.stringify({ topic, event: "phx_reply", payload, ref }));
  }

  /** Why this connection has been useless for too long, if so. */
  overdue(now: number): string | undefined {
    if (!this.joined && now - this.openedAt >= JOIN_TIMEOUT) return "no join";
    const { role, dialect } = this.admission;
    const limit = role === "gateway" ? IDLE_TIMEOUT.gateway : IDLE_TIMEOUT.client[dialect];
    return now - this.lastHeard >= limit ? "idle" : undefined;
  }
}
