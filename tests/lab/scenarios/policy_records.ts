/**
 * ```
 *   client ── natc ── core ── natg ── gateway (records flows to a full disk, to a pipe that nobody reads) ── res
 *                       └ portal, relay
 * ```
 */
import assert from "node:assert/strict";
import { counter } from "../policy/resources.ts";
import { type Product, SERVER, withProduct } from "../product.ts";
import { eventually, type Scenario } from "../scenario.ts";

const FLOWS = 3000;
const PYTHON = "/usr/bin/python3";
/** More records than that fit into a pipe. */
const PIPE = "/run/flows.pipe";

/** One datagram to each of so many ports. */
async function openFlows(product: Product): Promise<void> {
  const code = `
import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for i in range(${FLOWS}):
    s.sendto(b"x", ("${SERVER[4]}", 20000 + i))
    if i % 50 == 0: time.sleep(0.002)`;
  await product.internet.host("client").check([PYTHON, "-c", code]);
}

export const scenario: Scenario = {
  title: "a full disk or a pipe that nobody reads costs flow records, and no packet",
  needs: ["iperf3", "mkfifo", "ping", "python3"],
  async run(report) {
    report.step("a full disk");
    await withProduct(async (product) => {
      await product.startClient();
      await eventually("an answer", 10_000, () => product.answers());
      await openFlows(product);
      report.note(`${(await product.throughput(2)).toFixed(2)} Gbit/s`);
      await eventually(
        "every record is given up",
        4000,
        async () => await counter(product, "flow_records_unwritten") >= FLOWS,
      );
      report.note(`${await counter(product, "flow_records_unwritten")} records refused and counted`);
      assert.match(product.gateway.output, /Cannot write flow records.*No space left/);
      assert.ok(await product.answers());
    }, { flowLogs: "/dev/full" });

    report.step("a pipe that nobody reads");
    await new Deno.Command("mkfifo", { args: [PIPE] }).output();
    await withProduct(async (product) => {
      await product.startClient();
      await eventually("an answer", 10_000, () => product.answers());
      await openFlows(product);
      report.note(`${(await product.throughput(2)).toFixed(2)} Gbit/s`);
      assert.ok(await product.answers());
      assert.ok(await counter(product, "flow_opened") >= FLOWS);

      report.step("then somebody reads: the records are there");
      const reader = product.internet.host("gateway").start(["cat", PIPE], { label: "reader" });
      await eventually("the records", 5000, () => {
        const lines = reader.output.split("\n").slice(0, -1);
        return Promise.resolve(lines.filter((line) => JSON.parse(line).record === "open").length >= FLOWS);
      });
      assert.equal(await counter(product, "flow_records_lost"), 0);
      reader.kill("SIGKILL");

      report.step("and a stop does not wait for the pipe");
      await reader.ended(2000);
      await openFlows(product);
      const started = performance.now();
      product.gateway.kill("SIGTERM");
      const status = await product.gateway.ended(5000);
      report.note(`ended after ${(performance.now() - started).toFixed(0)} ms`);
      assert.equal(status?.code, 0);
      assert.ok(performance.now() - started < 2000);
    }, { flowLogs: PIPE });
  },
};
