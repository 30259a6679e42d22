/**
 * ```
 *   client ── natc (cone) ── core ── natg (cone) ── gateway (is stopped) ── res
 *                              └ portal, relay
 * ```
 */
import assert from "node:assert/strict";
import { withProduct } from "../product.ts";
import { eventually, type Scenario } from "../scenario.ts";

export const scenario: Scenario = {
  title: "a gateway that is asked to stop does so within a second and leaves the host as it was",
  smoke: true,
  needs: ["nft", "ping"],
  run: (report) =>
    withProduct(async (product) => {
      await product.startClient();
      await eventually("an answer", 10_000, () => product.answers());
      const host = product.internet.host("gateway");
      report.step("SIGTERM");
      const started = performance.now();
      product.gateway.kill("SIGTERM");
      const status = await product.gateway.ended(3000);
      const took = performance.now() - started;
      report.note(`ended after ${took.toFixed(0)} ms`);
      assert.equal(status?.code, 0);
      assert.ok(took < 1000, `it took ${took.toFixed(0)} ms`);
      assert.equal((await host.run(["ip", "link", "show", "tun-firezone"])).code, 1);
      for (const family of ["-4", "-6"]) {
        assert.doesNotMatch(await host.check(["ip", family, "rule"]), /fd002021/);
      }
      assert.doesNotMatch(await host.check(["nft", "list", "ruleset"]), /postern/);
    }),
};
