/**
 * ```
 *   client ── natc (cone) ── core ── natg (cone) ── gateway ── res
 *                              └ portal (its policy file changes), relay
 * ```
 */
import { withProduct } from "../product.ts";
import { eventually, type Scenario } from "../scenario.ts";

export const scenario: Scenario = {
  title: "access that is taken out of the policy file ends at once and comes back with it",
  needs: ["ping"],
  run: (report) =>
    withProduct(async (product) => {
      await product.startClient();
      await eventually("an answer", 10_000, () => product.answers());
      report.step("taking the access away");
      const started = performance.now();
      await Deno.writeTextFile(
        product.policyFile,
        product.policy.replaceAll('allow = ["client"]', "allow = []"),
      );
      await eventually("no answer any more", 5000, async () => !await product.answers());
      report.note(`without access after ${((performance.now() - started) / 1000).toFixed(1)} s`);
      report.step("giving it back");
      await Deno.writeTextFile(product.policyFile, product.policy);
      await eventually("an answer", 15_000, () => product.answers());
    }),
};
