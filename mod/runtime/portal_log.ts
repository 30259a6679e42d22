/** What an operator reads about the link to the portal. */
import { getLogger } from "@logtape/logtape";
import { adviceFor, isTemporary, type Proxy, type Refusal } from "../portal/mod.ts";

const log = getLogger(["postern", "runtime"]);

/** The link is down, and the next attempt follows in `retryIn` ms. */
export interface PortalDown {
  readonly reason: string;
  readonly retryIn: number;
  /** When the portal answered, and with what. */
  readonly refusal?: Refusal;
}

/** A refusal that no waiting helps against is an error, since it is ours to mend; all else is the way of networks. */
export function logPortalDown({ reason, retryIn, refusal }: PortalDown): void {
  const advice = refusal && adviceFor(refusal);
  const fields = { reason, backoff: `${Math.round(retryIn)}ms`, ...(advice !== undefined && { advice }) };
  if (refusal && !isTemporary(refusal)) log.error("The portal refuses this device", fields);
  else log.warn("Hiccup in portal connection", fields);
}

export function logProxy(proxy: Proxy | undefined): void {
  if (proxy) {
    log.info("Reaching the portal through a proxy", { proxy: proxy.label, variable: proxy.variable });
  }
}
