/**
 * ```
 *   client ── natc (cone) ── core ── natg (cone) ── gateway ── res
 *                              └ portal, relay
 * ```
 */
import assert from "node:assert/strict";
import { withProduct } from "../product.ts";
import { eventually, type Scenario } from "../scenario.ts";

export const scenario: Scenario = {
  title: "behind two cone NATs client and gateway talk directly, over IPv4 and IPv6 inside",
  smoke: true,
  needs: ["curl", "iperf3", "ping"],
  run: (report) =>
    withProduct(async (product) => {
      await product.startClient();
      report.step("the first packet makes the connection");
      await eventually("an answer", 10_000, () => product.answers());
      await eventually("a direct path", 5000, () => Promise.resolve(product.path === "direct"));
      for (const family of [4, 6] as const) {
        report.step(`ping and page over IPv${family}`);
        assert.ok(await product.answers(family));
        await product.fetchPage(family);
      }
      report.step("throughput of one TCP stream");
      report.note(`up ${(await product.throughput(1)).toFixed(2)} Gbit/s`);
      report.note(`down ${(await product.throughput(1, "down")).toFixed(2)} Gbit/s`);
    }),
};
