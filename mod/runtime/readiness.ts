/** Whether a gateway or client is of use right now, and why not: what `/readyz` answers. */
import type { Readiness } from "./types.ts";

export interface Circumstances {
  readonly dataIsAlive: boolean;
  /** The tunnel interface has its addresses. */
  readonly isConfigured: boolean;
  readonly isJoined: boolean;
  /** One sentence on what keeps us from the portal; read while we are not joined. */
  readonly portalTrouble: string;
  /** Relays that have an address for us, and what became of the last one that was lost; undefined: none was ready yet. */
  readonly relays: { readonly ready: number; readonly trouble: string | undefined } | undefined;
}

export function readinessOf(
  { dataIsAlive, isConfigured, isJoined, portalTrouble, relays }: Circumstances,
): Readiness {
  if (!dataIsAlive) return { ready: false, reason: "The data thread has ended." };
  if (!isConfigured || !isJoined) return { ready: false, reason: portalTrouble };
  if (relays === undefined) {
    return { ready: false, reason: "No relay has answered yet. Without one nobody can connect." };
  }
  if (relays.ready === 0) {
    const what = relays.trouble ?? "it does not know us any more";
    return { ready: false, reason: `The last relay is lost: ${what}. Without one nobody can connect.` };
  }
  const count = relays.ready === 1 ? "a relay is" : `${relays.ready} relays are`;
  return { ready: true, reason: `Connected to the portal; the tunnel interface is up; ${count} ready.` };
}
