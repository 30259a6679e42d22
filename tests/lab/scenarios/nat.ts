/**
 * ```
 *   client ─┬─ wifi0 ── natc  ──┬── core (drops IPv6) ── natg ── gateway ── res
 *           └─ cell0 ── natc2 ──┘     ├ portal, second relay
 *                                     └ relay
 * ```
 * natc and natg become every kind of NAT in turn, then outages happen under one TCP connection.
 */
import { connectThroughAllPairs } from "../nat/pairs.ts";
import { surviveOutages } from "../nat/outages.ts";
import { withProduct } from "../product.ts";
import type { Scenario } from "../scenario.ts";

export const scenario: Scenario = {
  title: "every pairing of NATs connects, and one TCP connection outlives every outage of the network",
  needs: ["conntrack", "ping"],
  run: (report) =>
    withProduct(async (product) => {
      await product.internet.host("core").nft(
        `table inet v4only { chain forward_ { type filter hook forward priority 0; policy accept;
  meta nfproto ipv6 drop
  }
}
`,
      );
      report.step("client and gateway behind every pairing of NATs: path, and time to the first answer");
      await connectThroughAllPairs(product, report);
      await surviveOutages(product, report);
    }),
};
