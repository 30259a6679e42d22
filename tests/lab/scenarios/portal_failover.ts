/**
 * ```
 *   client ── natc ── core ─┬─ natg ── gateway ─┬─ res
 *                           └───── gateway2 ────┘
 * ```
 */
import assert from "node:assert/strict";
import type { BackgroundProcess } from "../../../mod/embedded/testbed/mod.ts";
import { SecondGateway } from "../portal/second_gateway.ts";
import { type Product, withProduct } from "../product.ts";
import { eventually, type Report, type Scenario } from "../scenario.ts";

const KILLED_MS = 20_000, STOPPED_MS = 2000;

export const scenario: Scenario = {
  title: "two gateways in a site: when one is killed or stopped, its client is soon on the other",
  needs: ["ping"],
  run: (report) =>
    withProduct(async (product) => {
      const second = await SecondGateway.attach(product);
      await product.startClient();
      await eventually("an answer", 10_000, () => product.answers());
      await second.start();

      report.step("the gateway in use is killed");
      await handedOver(product, report, KILLED_MS, () => product.gateway.kill("SIGKILL"), second.process);
      await product.startGateway();
      report.step("a gateway that comes back takes nobody away from the one in use");
      for (let i = 0; i < 10; i++) assert.ok(await product.answers());

      report.step("the gateway in use is stopped");
      await handedOver(product, report, STOPPED_MS, () => second.process.kill("SIGTERM"), product.gateway);
    }),
};

/** Pings until the client is answered by `next`, which allows nothing before. */
async function handedOver(
  product: Product,
  report: Report,
  limit: number,
  end: () => void,
  next: BackgroundProcess,
): Promise<void> {
  const allowed = () => next.output.split("Allowing access").length;
  const before = allowed();
  const pinging = product.internet.host("client").start(
    ["ping", "-n", "-O", "-i", "0.1", "-W", "1", "10.50.0.2"],
    { label: "ping" },
  );
  await pinging.waitFor(/bytes from/, 2000);
  const answers = () => pinging.output.split("bytes from").length;
  const started = performance.now();
  end();
  await eventually(
    "an authorization at the other gateway",
    limit + 5000,
    () => Promise.resolve(allowed() > before),
  );
  const since = answers();
  await eventually(
    "answers through the other gateway",
    limit + 5000,
    () => Promise.resolve(answers() > since),
  );
  const took = performance.now() - started;
  await pinging.stop();
  report.note(`answered through the other one after ${(took / 1000).toFixed(1)} s`);
  assert.ok(took < limit, `it took ${took.toFixed(0)} ms`);
}
