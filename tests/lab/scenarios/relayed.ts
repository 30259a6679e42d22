/**
 * ```
 *   client ── natc (UDP only to the relay's port 3478) ── core ── natg (cone) ── gateway ── res
 *                                                           └ portal, relay
 * ```
 */
import assert from "node:assert/strict";
import { withProduct } from "../product.ts";
import { eventually, type Scenario } from "../scenario.ts";

export const scenario: Scenario = {
  title: "where UDP is blocked between the peers, everything works through the relay",
  smoke: true,
  needs: ["curl", "iperf3", "ping"],
  run: (report) =>
    withProduct(async (product) => {
      await product.internet.blockUdp(true);
      await product.startClient();
      report.step("the first packet makes the connection");
      await eventually("an answer", 15_000, () => product.answers());
      await eventually("a relayed path", 5000, () => Promise.resolve(product.path === "relayed"));
      for (const family of [4, 6] as const) {
        report.step(`ping and page over IPv${family}`);
        assert.ok(await product.answers(family));
        await product.fetchPage(family);
      }
      report.note(`up ${(await product.throughput(1)).toFixed(2)} Gbit/s`);
    }),
};
