/**
 * ```
 *   client ── natc (cone) ── core (loses 10 % of UDP, each way) ── natg (cone) ── gateway ── res
 *                              └ portal, relay
 * ```
 */
import { SERVER, withProduct } from "../product.ts";
import { eventually, type Scenario } from "../scenario.ts";

export const scenario: Scenario = {
  title: "with 10 % loss each way a connection is made and stays",
  needs: ["curl", "ping"],
  run: (report) =>
    withProduct(async (product) => {
      await product.internet.loss(10);
      await product.startClient();
      await eventually("an answer", 20_000, () => product.answers());
      report.step("200 pings");
      const client = product.internet.host("client");
      const out =
        (await client.run(["ping", "-n", "-q", "-c", "200", "-i", "0.02", "-W", "1", SERVER[4]])).stdout;
      const received = Number(/(\d+) received/.exec(out)?.[1]);
      report.note(`${received} of 200 answered`);
      if (!(received > 120)) throw new Error(`Far more is lost than 10 % each way explains:\n${out}`);
      await product.fetchPage();
    }),
};
