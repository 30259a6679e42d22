import assert from "node:assert/strict";
import { Pair } from "./fixture.ts";

Deno.test("an initiation, a response and a confirming keepalive make a session on both sides", () => {
  const pair = new Pair();
  pair.client.tunnel.initiate(0);
  pair.settle();
  assert.deepEqual(pair.log.map((entry) => [entry.from, entry.type, entry.datagram.length]), [
    ["client", 1, 148],
    ["gateway", 2, 92],
    ["client", 4, 32],
  ]);
  assert.deepEqual(pair.client.events, ["established"]);
  assert.deepEqual(pair.gateway.events, ["established"]);
  assert.ok(pair.send("client", "ping"));
  assert.ok(pair.send("gateway", "pong"));
  pair.settle();
  assert.deepEqual(pair.gateway.data, ["ping"]);
  assert.deepEqual(pair.client.data, ["pong"]);
});
