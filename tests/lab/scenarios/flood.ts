/**
 * ```
 *   client, neighbour ── natc (cone) ──┬── core ── natg (no NAT) ──┬── gateway ── res
 *                     portal, relay ───┘                 stranger ─┘
 * ```
 */
import assert from "node:assert/strict";
import { Internet } from "../internet.ts";
import { counter } from "../policy/resources.ts";
import { Product, SERVER } from "../product.ts";
import { eventually, type Scenario } from "../scenario.ts";
import { FLOOD_KINDS, restartVisibly, Stranger } from "../stranger.ts";

const RATE = 20_000, PINGS = 40;

export const scenario: Scenario = {
  title:
    "beside floods of every kind packets keep flowing and clients connect, even from a flood's own address",
  needs: ["ping", "tcpdump"],
  run: async (report) => {
    const internet = await Internet.build();
    const strangers = [await Stranger.nextToGateway(internet), await Stranger.besideClient(internet)];
    await using product = await Product.start(internet);
    const key = await restartVisibly(product);
    await product.startClient();
    await eventually("an answer", 10_000, () => product.answers());
    for (const stranger of strangers) {
      for (const kind of FLOOD_KINDS) {
        report.step(`${kind} from the ${stranger.host.name}`);
        const before = await counter(product, "floods_screened");
        const { flood } = await stranger.flood(kind, key, { rate: RATE }, async () => {
          assert.ok(await pingsLost(product) <= 1, "nothing of a client that is connected is lost");
          await product.client.stop();
          await product.startClient();
          const started = performance.now();
          await eventually("an answer to a client that connects anew", 12_000, () => product.answers());
          report.note(`connected anew after ${((performance.now() - started) / 1_000).toFixed(1)} s`);
        });
        const screened = await counter(product, "floods_screened") - before;
        report.note(`${flood.sent} packets, ${flood.answers} answers, screened ${screened} times`);
        assert.equal(screened > 0, kind !== "garbage", "garbage never comes so far");
        assert.ok(kind === "initiations" || flood.answers === 0);
        assert.ok(flood.answerBytes < flood.sentBytes / 10);
      }
    }
    assert.equal(product.gateway.status, undefined, "the gateway never ended");
  },
};

/** Of {@link PINGS}, ten a second. */
async function pingsLost(product: Product): Promise<number> {
  const ping = ["ping", "-n", "-i", "0.1", "-c", String(PINGS), "-W", "1", SERVER[4]];
  const { stdout } = await product.internet.host("client").run(ping);
  const [, received] = /(\d+) received/.exec(stdout)!;
  return PINGS - Number(received);
}
