/**
 * ```
 *   client ─┬─ wifi0 ── natc  ──┬── core (drops IPv6) ── natg ── gateway ── res
 *           └─ cell0 ── natc2 ──┘     ├ portal, second relay
 *                                     └ relay
 * ```
 */
import { dropIpv6 } from "../nat/drop_ipv6.ts";
import { surviveOutages } from "../nat/outages.ts";
import { withProduct } from "../product.ts";
import type { Scenario } from "../scenario.ts";

export const scenario: Scenario = {
  title: "one TCP connection outlives every outage of the network",
  needs: ["conntrack", "ping"],
  run: (report) =>
    withProduct(async (product) => {
      await dropIpv6(product);
      await surviveOutages(product, report);
    }),
};
