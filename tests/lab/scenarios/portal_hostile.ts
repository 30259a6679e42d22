/**
 * ```
 *   client ── natc ── core ── natg ── gateway ── res
 *                        └ portal (gone wrong for a while)
 * ```
 */
import assert from "node:assert/strict";
import { Stream } from "../nat/stream.ts";
import { PORTAL, type Product, withProduct } from "../product.ts";
import { eventually, type Scenario } from "../scenario.ts";

const SCRIPT = new URL("../portal/hostile.ts", import.meta.url).pathname;
const WAYS = 9;
const BACK_MS = 30_000;

export const scenario: Scenario = {
  title: "a portal that answers refusals and garbage disturbs no transfer, and nobody gives it up",
  needs: ["ping"],
  run: (report) =>
    withProduct(async (product) => {
      await Deno.writeTextFile(
        product.policyFile,
        product.policy.replaceAll("tcp/5201-5210", "tcp/5201-5300"),
      );
      await product.startClient();
      await eventually("an answer", 10_000, () => product.answers());
      const stream = await Stream.open(product);
      const since = Date.now();

      report.step("the portal is killed, and something else answers in its place");
      product.portal.kill("SIGKILL");
      await product.portal.ended(5000);
      const [, port] = PORTAL.split(":");
      const hostile = product.internet.host("portal").start(
        [Deno.execPath(), "run", "-A", "--no-check", SCRIPT, port!],
        { label: "hostile portal" },
      );
      await eventually("every kind of answer to be given", 90_000, () => {
        const served = new Set([...hostile.output.matchAll(/served (.*)/g)].map(([, way]) => way));
        return Promise.resolve(served.size === WAYS);
      });
      await stream.flows(2000);
      await hostile.stop();
      report.note(`the longest pause of TCP: ${stream.longestPause(since)} ms`);
      assert.ok(stream.longestPause(since) < 1500);

      report.step("the portal is back");
      const started = performance.now();
      await product.startPortal();
      await backAt(product);
      report.note(`both back at it after ${((performance.now() - started) / 1000).toFixed(1)} s`);
      assert.ok(await product.answers());
      await stream.flows(2000);
      assert.deepEqual([product.gateway.status, product.client.status], [undefined, undefined]);
    }),
};

async function backAt({ portal }: Product): Promise<void> {
  for (const role of ["gateway", "client"]) {
    await portal.waitFor(new RegExp(`${role} ".*" \\(.*\\) joined`), BACK_MS);
  }
}
