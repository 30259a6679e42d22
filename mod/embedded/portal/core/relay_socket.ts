/** A relay's connection: it says its secret when it joins, and is handed out to devices as long as it is joined. */
import type { Id } from "../../../portal/types.ts";
import type { RelayAdmission } from "./admission.ts";
import type { RelayPolicy } from "../policy/policy.ts";
import { relayId } from "../policy/policy.ts";
import { PortalSocket } from "./socket.ts";

/** Relays send a heartbeat every 30 s. */
const IDLE_TIMEOUT = 45_000;

export class RelaySocket extends PortalSocket {
  override readonly topic = "relay";
  protected override readonly idleTimeout = IDLE_TIMEOUT;
  /** Set by the join. */
  relay: RelayPolicy | undefined;

  constructor(
    id: number,
    readonly admission: RelayAdmission,
    openedAt: number,
    transmit: (text: string) => void,
  ) {
    super(id, openedAt, transmit);
  }

  override get name(): string {
    return this.admission.name;
  }

  /** Of its secret; empty until it has joined. */
  override get deviceId(): Id {
    return this.relay === undefined ? "" : relayId(this.relay.stampSecret);
  }

  override get tokenHash(): string {
    return this.admission.tokenHash;
  }
}
