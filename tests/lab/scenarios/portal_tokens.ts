/**
 * ```
 *   client ── natc ── core ── natg ── gateway ── res
 *                        └ portal (its policy file loses tokens)
 * ```
 */
import assert from "node:assert/strict";
import type { BackgroundProcess } from "../../../mod/embedded/testbed/mod.ts";
import { CLIENT_TOKEN, GATEWAY_TOKEN, type Product, withProduct } from "../product.ts";
import { eventually, type Report, type Scenario } from "../scenario.ts";

/** From the file's change to the program's end; the portal lets an editor finish for a fifth of it. */
const OUT_MS = 1000;

export const scenario: Scenario = {
  title: "a token that is revoked puts its client, and its gateway, out within a second",
  needs: ["ping"],
  run: (report) =>
    withProduct(async (product) => {
      await product.startClient();
      await eventually("an answer", 10_000, () => product.answers());
      await revoke(product, CLIENT_TOKEN, product.client, report);
      assert.equal(product.gateway.status, undefined);
      await Deno.writeTextFile(product.policyFile, product.policy);
      await product.startClient();
      await eventually("an answer", 10_000, () => product.answers());
      await revoke(product, GATEWAY_TOKEN, product.gateway, report);
      await eventually("no answer any more", 2000, async () => !await product.answers());
    }),
};

async function revoke(
  product: Product,
  token: string,
  process: BackgroundProcess,
  report: Report,
): Promise<void> {
  report.step(`revoking the token of ${process.label}`);
  const started = performance.now();
  await Deno.writeTextFile(product.policyFile, product.policy.replace(token, `${token}-rotated`));
  const status = await process.ended(5000);
  const took = performance.now() - started;
  report.note(`ended after ${took.toFixed(0)} ms with status ${status?.code}`);
  assert.equal(status?.code, 1, process.tail());
  assert.ok(took < OUT_MS, `it took ${took.toFixed(0)} ms`);
}
