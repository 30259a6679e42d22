/** Two tunnels over a wire that loses, delays, reorders and duplicates: exactly once at most, and it recovers. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { DEFAULT_TIMINGS } from "../../mod/wireguard/mod.ts";
import { Pair, seededNumber } from "./fixture.ts";

Deno.test("nothing is delivered twice on a bad wire, and traffic recovers when the wire does", () => {
  const profile = fc.record({
    seed: fc.integer({ min: 0, max: 2 ** 31 - 1 }),
    loss: fc.double({ min: 0, max: 0.9, noNaN: true }),
    duplication: fc.double({ min: 0, max: 0.5, noNaN: true }),
    spread: fc.integer({ min: 0, max: 3000 }),
    interval: fc.constantFrom(300, 1000, 7000),
    clientTalks: fc.boolean(),
  });
  const run = (input: {
    seed: number;
    loss: number;
    duplication: number;
    spread: number;
    interval: number;
    clientTalks: boolean;
  }) => {
    const random = seededNumber(input.seed);
    let bad = true;
    const fate = () => {
      if (!bad) return [0];
      if (random() < input.loss) return [];
      const copies = random() < input.duplication ? 2 : 1;
      return Array.from({ length: copies }, () => random() * input.spread);
    };
    const pair = new Pair({
      seed: input.seed,
      wire: { latency: 20, fate },
      client: { timings: DEFAULT_TIMINGS },
      gateway: { timings: DEFAULT_TIMINGS },
    });
    let serial = 0;
    const talk = (until: number) => {
      while (pair.now < until) {
        if (input.clientTalks && !pair.send("client", `c${serial++}`)) pair.client.tunnel.initiate(pair.now);
        pair.send("gateway", `g${serial++}`);
        if (!pair.client.tunnel.hasSession) pair.client.tunnel.initiate(pair.now);
        pair.settle();
        pair.advance(pair.now + input.interval);
      }
    };
    talk(200_000);
    bad = false;
    // A client that never talks learns only from its session's end that its confirming keepalive was lost.
    talk(pair.now + (input.clientTalks ? 30_000 : 200_000));
    const last = serial;
    talk(pair.now + 4 * input.interval);
    for (const [end, from] of [[pair.gateway, "c"], [pair.client, "g"]] as const) {
      assert.equal(new Set(end.data).size, end.data.length, "delivered twice");
      if (from === "c" && !input.clientTalks) continue;
      const numbers = end.data.map((text) => Number(text.slice(1)));
      assert.ok(
        numbers.some((number) => number >= last),
        `${from}: nothing arrives after the wire is good again`,
      );
    }
    for (const end of [pair.client, pair.gateway]) assert.ok(end.aead.live <= 16);
  };
  fc.assert(fc.property(profile, run), { numRuns: 25 });
});
