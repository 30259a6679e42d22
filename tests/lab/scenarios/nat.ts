/**
 * ```
 *   client ── natc ── core (drops IPv6) ── natg ── gateway ── res
 *                      └ portal, relay
 * ```
 * natc and natg become every kind of NAT in turn.
 */
import { connectThroughAllPairs } from "../nat/pairs.ts";
import { dropIpv6 } from "../nat/drop_ipv6.ts";
import { withProduct } from "../product.ts";
import type { Scenario } from "../scenario.ts";

export const scenario: Scenario = {
  title: "every pairing of NATs connects, directly wherever the NATs let it",
  needs: ["conntrack", "ping"],
  run: (report) =>
    withProduct(async (product) => {
      await dropIpv6(product);
      report.step("client and gateway behind every pairing of NATs: path, and time to the first answer");
      await connectThroughAllPairs(product, report);
    }),
};
