/** A device's connection: who it is, what it was told, and whether it is still there. */
import type { Id } from "../../../portal/types.ts";
import type { Admission } from "./admission.ts";
import type { Device } from "./devices.ts";
import type { RelayEntry } from "./relay_list.ts";
import { PortalSocket } from "./socket.ts";
import type { ClientResourceView } from "./views.ts";

/** Older phones sleep for minutes; everybody else says something every 30 s at least. */
const IDLE_TIMEOUT = { gateway: 45_000, client: { v1: 310_000, v2: 45_000 } };
/** Two heartbeats closer together than this come from a device that sends one every 10 s; the others wait for 30 s. */
const BRISK = 15_000;
/** A brisk device that is silent for so long has missed a heartbeat by far. */
const SILENT = 14_000;
/** Silences after which something should have been heard: of brisk devices and of others. */
const LATE = { brisk: 11_000, other: 33_000 };

export class Connection extends PortalSocket {
  /** When it joined, in `now`'s milliseconds and in Unix seconds. */
  joinedAt = 0;
  joinedAtUnix = 0;
  /** What this device was told last, so that only differences are pushed. */
  sentRelays: readonly RelayEntry[] = [];
  readonly sentResources = new Map<Id, ClientResourceView>();
  sentInterface = "";
  #lastHeartbeat = -Infinity;
  #isBrisk = false;

  constructor(
    id: number,
    readonly admission: Admission,
    readonly device: Device,
    openedAt: number,
    transmit: (text: string) => void,
  ) {
    super(id, openedAt, transmit);
  }

  override get topic(): "gateway" | "client" {
    return this.admission.role;
  }

  override get name(): string {
    return this.device.name;
  }

  override get deviceId(): Id {
    return this.device.id;
  }

  override get tokenHash(): string {
    return this.admission.tokenHash;
  }

  get isV2(): boolean {
    return this.admission.dialect === "v2";
  }

  /** The device as a member of a pair. */
  get member(): { readonly id: Id; readonly publicKey: string } {
    return { id: this.device.id, publicKey: this.admission.publicKey };
  }

  handleHeartbeat(now: number): void {
    if (now - this.#lastHeartbeat < BRISK) this.#isBrisk = true;
    this.#lastHeartbeat = now;
  }

  /** True when its heartbeats can be relied on: phones sleep, gateways and brisk devices don't. */
  get isPunctual(): boolean {
    return this.#isBrisk || this.topic === "gateway";
  }

  isLate(now: number): boolean {
    return now - this.lastHeard >= (this.#isBrisk ? LATE.brisk : LATE.other);
  }

  /** True when heartbeats are overdue: its host is probably gone, and nobody could say so. */
  isSilent(now: number): boolean {
    return this.#isBrisk && now - this.lastHeard >= SILENT;
  }

  protected override get idleTimeout(): number {
    const { role, dialect } = this.admission;
    return role === "gateway" ? IDLE_TIMEOUT.gateway : IDLE_TIMEOUT.client[dialect];
  }
}
