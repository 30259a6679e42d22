/**
 * What the control thread and the data thread say to each other: small typed messages, nothing per packet.
 *
 * A blocked data thread sees no message: the sender posts it, counts it in the mailbox and signals the eventfd; the
 * data thread then yields to its event loop until it has received as many as were counted.
 */
import type { SocketAddress } from "../packet/address.ts";
import type {
  ClientCommand,
  ClientEvent,
  GatewayCommand,
  GatewayEvent,
  Id,
  TunnelInterface,
} from "../portal/types.ts";
import type { RuntimeStatus, TunnelOptions } from "./types.ts";

/** The first message: everything the data thread needs to make its devices. */
export interface StartMessage {
  readonly type: "start";
  readonly tunnel: TunnelOptions;
  readonly wakeFd: number;
  readonly counters: SharedArrayBuffer;
  readonly mailbox: SharedArrayBuffer;
  /** Follow flows and post their records; how many were dealt with is told here. */
  readonly flowReceipt: SharedArrayBuffer | undefined;
}

/** What the data thread wants of the name service on the control thread, or tells it. */
export type NameRequest =
  /** Gateway: look this name up. */
  | { readonly type: "resolve"; readonly domain: string }
  /** Client: whose names it answers itself, and where to ask for the others (none: this host's nameservers). */
  | {
    readonly type: "resources";
    readonly resources: readonly DnsResourceName[];
    readonly nameservers: readonly SocketAddress[];
  }
  /** Client: the gateway that serves a resource now; undefined: it is lost. */
  | { readonly type: "site"; readonly resourceId: Id; readonly gateway: TunnelInterface | undefined };

/** What a client knows of a DNS resource. */
export interface DnsResourceName {
  readonly id: Id;
  readonly pattern: string;
  readonly ipStack: "dual" | "ipv4_only" | "ipv6_only";
}

/** What the name service answers. */
export type NameReply =
  | {
    readonly type: "resolved";
    readonly domain: string;
    /** 4 or 16 bytes each; undefined: no outcome in time. */
    readonly addresses: readonly Uint8Array[] | undefined;
  }
  /** Client: these proxy addresses (as text) stand for a name of a DNS resource. */
  | {
    readonly type: "assign";
    readonly resourceId: Id;
    readonly domain: string;
    readonly proxyIps: readonly string[];
  }
  /** Client: a gateway of this resource is needed. */
  | { readonly type: "connect"; readonly resourceId: Id };

export type ToData =
  | StartMessage
  /** What the portal pushed. Socket addresses lose their methods in the crossing: see `revive.ts`. */
  | { readonly type: "portal"; readonly event: GatewayEvent | ClientEvent }
  | { readonly type: "names"; readonly reply: NameReply }
  | { readonly type: "status"; readonly id: number }
  | { readonly type: "stop" };

export type LogLevel = "debug" | "info" | "warning" | "error";

export type FromData =
  | {
    readonly type: "started";
    /** X25519, 32 bytes. */
    readonly publicKey: Uint8Array;
    readonly aead: string;
    readonly ports: readonly number[];
    readonly offloads: number;
    readonly counterNames: readonly string[];
  }
  | { readonly type: "failed"; readonly reason: string }
  | { readonly type: "portal"; readonly command: GatewayCommand | ClientCommand }
  /** Our own address has changed. */
  | { readonly type: "moved" }
  /** So many relays are ready; `trouble`: what became of the last one that was lost. */
  | { readonly type: "relays"; readonly ready: number; readonly trouble: string | undefined }
  /** This host's network has changed; `doubtful`: and since then no relay answers. */
  | { readonly type: "network"; readonly doubtful: boolean }
  | { readonly type: "interface"; readonly interface: TunnelInterface; readonly networks: readonly string[] }
  | { readonly type: "names"; readonly request: NameRequest }
  | {
    readonly type: "log";
    readonly level: LogLevel;
    readonly message: string;
    readonly fields: Readonly<Record<string, unknown>>;
  }
  /** Flow records, one line of text each. */
  | { readonly type: "flows"; readonly lines: string; readonly records: number }
  | { readonly type: "status"; readonly id: number; readonly status: RuntimeStatus }
  | { readonly type: "stopped" };

/** Counts the messages that were posted; shared by both threads. */
export class Mailbox {
  readonly #posted: Int32Array;
  #received = 0;

  constructor(readonly buffer: SharedArrayBuffer = new SharedArrayBuffer(4)) {
    this.#posted = new Int32Array(buffer);
  }

  /** Sender: call after posting, before signalling. */
  notePosted(): void {
    Atomics.add(this.#posted, 0, 1);
  }

  /** Receiver: call for each message. */
  noteReceived(): void {
    this.#received++;
  }

  /** Receiver: true while something that was posted has not arrived. */
  get isWaiting(): boolean {
    return this.#received < Atomics.load(this.#posted, 0);
  }
}
