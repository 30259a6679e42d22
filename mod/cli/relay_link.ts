/**
 * A relay's link to its portal: as long as it is joined, the portal hands the relay out. Traffic does not depend on
 * it: a relay whose portal is away serves whoever knows it already, and counts as healthy for another 15 minutes.
 */
import { getLogger } from "@logtape/logtape";
import { formatUserAgent, parseOsRelease, RELAY_VERSION, type RelayLogin } from "../portal/mod.ts";
import { connectRelay, type LinkOptions, type PortalConnection } from "../portal/io/portal_io.ts";
import type { SystemFacts } from "../host/mod.ts";
import type { HealthSource } from "./health.ts";
import type { Metric } from "./metrics.ts";

const log = getLogger(["postern", "relay"]);

/** How long a relay that lost its portal is still of use: what its portal told devices lasts about that long. */
const HEALTHY_WITHOUT_PORTAL_MS = 15 * 60_000;
/** Relay and portal often start together, in any order. */
const FIRST_CONNECT_TIMEOUT_MS = 15 * 60_000;

/** Who the relay is to its portal; where it is reached, it knows itself. */
export type RelayLinkOptions =
  & Pick<RelayLogin, "apiUrl" | "token" | "tokenInQuery" | "userAgent" | "name">
  & LinkOptions;

export type RelayPlace = Pick<RelayLogin, "v4" | "v6" | "port"> & { readonly stampSecret: string };

export class RelayLink implements Pick<HealthSource, "readiness"> {
  readonly #connection: PortalConnection<never>;
  readonly #failed = Promise.withResolvers<string>();
  readonly #now: () => number;
  /** Since when the portal is away; undefined while joined. -Infinity before the first join. */
  #awaySince: number | undefined = -Infinity;
  #trouble = "it has not answered yet";

  /** @throws LoginUrlError when URL or token can't be used. */
  constructor(options: RelayLinkOptions, place: RelayPlace, now: () => number = () => performance.now()) {
    this.#now = now;
    this.#connection = connectRelay({
      firstConnectTimeout: FIRST_CONNECT_TIMEOUT_MS,
      ...options,
      ...place,
    }, {
      onJoined: () => log.info("Connected to portal"),
      onEvent: () => {
        this.#awaySince = undefined;
        log.info("The portal hands this relay out");
      },
      onDown: ({ reason, retryIn }) => {
        this.#awaySince ??= this.#now();
        this.#trouble = reason;
        log.warn("Hiccup in portal connection", { reason, backoff: `${Math.round(retryIn)}ms` });
      },
      onFailed: (error) => this.#failed.resolve(error.message),
      onWarning: (text) => log.warn(text),
    });
  }

  /** Resolves with the reason when the portal has refused this relay for good, or was away for too long. */
  get failed(): Promise<string> {
    return this.#failed.promise;
  }

  readiness(): { readonly ready: boolean; readonly reason: string } {
    if (this.#awaySince === undefined) return { ready: true, reason: "The portal hands this relay out." };
    return {
      ready: this.#now() - this.#awaySince < HEALTHY_WITHOUT_PORTAL_MS,
      reason: `The portal is out of reach: ${this.#trouble}`,
    };
  }

  metrics(): Metric[] {
    return [{
      name: "relay_joined",
      kind: "gauge",
      help: "1 while the portal hands this relay out.",
      value: this.#awaySince === undefined ? 1 : 0,
    }];
  }

  close(): Promise<void> {
    return this.#connection.close();
  }
}

export function relayUserAgent({ osRelease, arch, kernel }: SystemFacts): string {
  return formatUserAgent({
    ...parseOsRelease(osRelease),
    component: "relay",
    version: RELAY_VERSION,
    arch,
    kernel,
  });
}
