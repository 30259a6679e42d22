/**
 * ```
 *   client ── natc (cone; blocks UDP for a while) ── core ── natg (cone) ── gateway ── res
 *                                                      └ portal, relay
 * ```
 */
import { withProduct } from "../product.ts";
import { eventually, type Scenario } from "../scenario.ts";

export const scenario: Scenario = {
  title: "a running connection moves to the relay when its direct path is blocked",
  needs: ["ping"],
  run: (report) =>
    withProduct(async (product) => {
      await product.startClient();
      await eventually("an answer", 10_000, () => product.answers());
      await eventually("a direct path", 5000, () => Promise.resolve(product.path === "direct"));
      report.step("blocking UDP between the peers");
      const started = performance.now();
      await product.internet.blockUdp(true);
      await eventually("an answer through the relay", 30_000, () => product.answers());
      report.note(`answered again after ${((performance.now() - started) / 1000).toFixed(1)} s`);
      await eventually("a relayed path", 5000, () => Promise.resolve(product.path === "relayed"));
    }),
};
