/**
 * ```
 *   client (downloads without end) ── natc ── core ── natg ── gateway ── res
 *                                               └ portal (its policy file changes), relay
 * ```
 */
import assert from "node:assert/strict";
import type { Host } from "../../../mod/embedded/testbed/mod.ts";
import { policyWith, resource, startServers } from "../policy/resources.ts";
import { type Product, SERVER, withProduct } from "../product.ts";
import { eventually, type Scenario } from "../scenario.ts";

const POLICY = policyWith(resource("private v4", "10.50.0.0/24", ["icmp", "tcp/8080"]));
/** Less than that per look is no download. */
const NOISE_BYTES = 4000;
const LOOK_MS = 20;

/** 0 when the client is gone, as it is when its own token has expired. */
async function receivedBytes(client: Host): Promise<number> {
  const { stdout } = await client.run(["cat", "/sys/class/net/tun-firezone/statistics/rx_bytes"]);
  return Number(stdout);
}

/** Starts the download; resolves once it runs. */
async function download(product: Product): Promise<void> {
  const client = product.internet.host("client");
  client.start(["curl", "-sS", "-o", "/dev/null", "--max-time", "60", `http://${SERVER[4]}:8080/`], {
    label: "download",
  });
  const before = await receivedBytes(client);
  await eventually("megabytes", 8000, async () => await receivedBytes(client) > before + 2_000_000);
}

/** When the last bytes arrived, once nothing has for a second. */
async function lastArrival(client: Host, timeoutMs: number): Promise<number> {
  let bytes = await receivedBytes(client), last = performance.now();
  const deadline = last + timeoutMs;
  while (performance.now() < last + 1000) {
    if (performance.now() > deadline) throw new Error(`The download still runs after ${timeoutMs} ms.`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    const now = await receivedBytes(client);
    if (now > bytes + NOISE_BYTES) last = performance.now();
    bytes = now;
  }
  return last;
}

export const scenario: Scenario = {
  title: "a running download ends within a second of a revocation, and within two of the access's expiry",
  needs: ["curl", "ping"],
  run: (report) =>
    withProduct(async (product) => {
      const client = product.internet.host("client");
      startServers(product.internet.host("res"));
      await product.startClient();
      await eventually("an answer", 10_000, () => product.answers());

      report.step("revocation by the policy file");
      await download(product);
      const revokedAt = performance.now();
      await Deno.writeTextFile(product.policyFile, POLICY.replaceAll('allow = ["client"]', "allow = []"));
      const afterRevocation = await lastArrival(client, 5000) - revokedAt;
      report.note(`the last bytes came ${afterRevocation.toFixed(0)} ms after the file was written`);
      assert.ok(afterRevocation < 1000);

      report.step("access comes back, for a few seconds");
      const lasts = 12_000, expiry = Math.ceil((Date.now() + lasts) / 1000);
      const expires = `expires = ${new Date(expiry * 1000).toISOString()}`;
      await Deno.writeTextFile(
        product.policyFile,
        POLICY.replace('name = "client"\n', `name = "client"\n${expires}\n`),
      );
      await eventually("an answer", 9000, () => product.answers());
      await download(product);
      assert.ok(Date.now() < expiry * 1000, "the download began in time");
      const arrival = await lastArrival(client, 25_000);
      const afterExpiry = performance.timeOrigin + arrival - expiry * 1000;
      report.note(`the last bytes came ${afterExpiry.toFixed(0)} ms after the expiry`);
      assert.ok(afterExpiry > -1000, "not before it");
      assert.ok(afterExpiry < 2000);
      const ended = [...product.gateway.output.matchAll(
        /^(\S+) .*(?:Access to resource expired|Revoking resource authorization|Client has no access any more)/gm,
      )].map(([, time]) => Date.parse(time!) - expiry * 1000).filter((ms) => ms > -1500);
      report.note(`the gateway ended the access ${ended[0]} ms after the expiry`);
      assert.ok(ended.length > 0 && Math.abs(ended[0]!) < 1500, product.gateway.tail(20));
    }, { policy: POLICY }),
};
