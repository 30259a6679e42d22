/**
 * ```
 *   client ─┬─ wifi0 ── natc (cone) ──┬── core ── natg (cone) ── gateway ── res
 *           └─ cell0 ── natc2 (cone) ─┘     └ portal, relay
 * ```
 */
import { withProduct } from "../product.ts";
import { eventually, type Scenario } from "../scenario.ts";

export const scenario: Scenario = {
  title: "a client that changes its network keeps its connection, there and back",
  needs: ["ping"],
  run: (report) =>
    withProduct(async (product) => {
      await product.startClient();
      await eventually("an answer", 10_000, () => product.answers());
      for (const to of ["cell", "wifi"] as const) {
        report.step(`roaming to ${to}`);
        const started = performance.now();
        await product.internet.roam(to);
        await eventually("an answer", 40_000, () => product.answers());
        report.note(`answered again after ${((performance.now() - started) / 1000).toFixed(1)} s`);
      }
    }),
};
