/**
 * ```
 *   client (killed) ── natc ── core ── natg ── gateway ── res
 *                               └ portal (killed), relay (killed)
 * ```
 */
import assert from "node:assert/strict";
import { type Product, withProduct } from "../product.ts";
import { eventually, type Scenario } from "../scenario.ts";

export const scenario: Scenario = {
  title: "SIGKILL of client, portal and relay during a transfer: the gateway stays and the path comes back",
  needs: ["iperf3", "ping"],
  run: (report) =>
    withProduct(async (product) => {
      await product.startClient();
      await eventually("an answer", 10_000, () => product.answers());

      report.step("the client is killed and started again");
      await during(product, () => product.client.kill("SIGKILL"));
      await product.startClient();
      await timed(report.note, () => eventually("an answer", 30_000, () => product.answers()));

      report.step("the portal is killed: packets keep flowing; then it is started again");
      const gbps = await during(product, () => product.portal.kill("SIGKILL"));
      assert.ok(gbps !== undefined && gbps > 0);
      report.note(`the transfer went on: ${gbps.toFixed(2)} Gbit/s`);
      await product.startPortal();
      await product.gateway.waitFor(/Connected to portal[^]*Connected to portal/, 60_000);
      assert.ok(await product.answers());

      report.step("the relay is killed under a direct connection, and started again");
      assert.ok(
        await during(product, () => product.relay.kill("SIGKILL")) !== undefined,
        "the transfer went on",
      );
      await product.startRelay();
      assert.ok(await product.answers());

      report.step("the relay is killed under a relayed connection, and started again");
      await product.client.stop();
      await product.internet.blockUdp(true);
      await product.startClient();
      await eventually("an answer through the new relay", 60_000, () => product.answers());
      product.relay.kill("SIGKILL");
      await product.startRelay();
      await timed(report.note, () => eventually("an answer", 90_000, () => product.answers()));
      assert.equal(product.gateway.status, undefined, "the gateway never ended");
    }),
};

async function timed(note: (text: string) => void, work: () => Promise<void>): Promise<void> {
  const started = performance.now();
  await work();
  note(`answered again after ${((performance.now() - started) / 1000).toFixed(1)} s`);
}

/** Does something one second into a transfer; its Gbit/s, or undefined when it broke. */
async function during(product: Product, act: () => void): Promise<number | undefined> {
  const transfer = product.throughput(4).catch(() => undefined);
  await new Promise((resolve) => setTimeout(resolve, 1000));
  act();
  return await transfer;
}
