/**
 * ```
 *   client ── natc (symmetric) ── core (drops IPv6) ── natg (symmetric) ── gateway ── res
 *                                   └ portal, relay
 * ```
 */
import { withProduct } from "../product.ts";
import { eventually, type Scenario } from "../scenario.ts";

export const scenario: Scenario = {
  title: "behind two symmetric NATs without IPv6 the relay carries the connection",
  needs: ["curl", "ping"],
  run: (report) =>
    withProduct(async (product) => {
      const { internet } = product;
      await internet.host("core").nft(
        `table inet v4only { chain forward_ { type filter hook forward priority 0; policy accept;
  meta nfproto ipv6 drop
  }
}
`,
      );
      await internet.nat("natc", "symmetric");
      await internet.nat("natg", "symmetric");
      await product.gateway.stop();
      await product.startGateway();
      await product.startClient();
      report.step("the first packet makes the connection");
      await eventually("an answer", 15_000, () => product.answers());
      await eventually("a relayed path", 5000, () => Promise.resolve(product.path === "relayed"));
      await product.fetchPage();
    }),
};
