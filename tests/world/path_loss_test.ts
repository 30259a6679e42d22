/** Paths that die without a word, and how soon data takes another one. */
import assert from "node:assert/strict";
import { CoreWorld } from "./core_world.ts";

const SILENT_MS = 4_500;

Deno.test("a direct path that dies in silence is left within 4.5 s, although the peer is heard over the relay", () => {
  for (let seed = 1; seed <= 4; seed++) {
    const kind = seed % 2 ? "port-restricted cone" : "full cone";
    const stage = new CoreWorld({ seed, clientNat: kind, gatewayNat: kind });
    const client = stage.clients[0]!, gateway = stage.gateways[0]!;
    assert.notEqual(stage.firstEcho(client, gateway), undefined);
    stage.world.run(3_000 + 333 * seed);
    stage.world.partition(client.host, gateway.host);
    const outage = stage.longestOutage(30_000, client, gateway);
    assert.ok(outage <= SILENT_MS, `seed ${seed}: ${outage} ms`);
    assert.equal(stage.path(client, gateway), "relayed");
    assert.deepEqual(stage.violations, []);
  }
});

Deno.test("the candidates of a client that moved get lost while the gateway has no portal: it says them again", () => {
  const stage = new CoreWorld({ clientNat: "port-restricted cone", gatewayNat: "port-restricted cone" });
  const client = stage.clients[0]!, gateway = stage.gateways[0]!;
  assert.notEqual(stage.firstEcho(client, gateway), undefined);
  stage.world.run(3_000);
  stage.roam(client, "203.0.113.77");
  stage.portal.state = "lose";
  client.machine.core.networkChanged(stage.world.now);
  client.machine.drain();
  stage.world.after(6_000, () => stage.portal.restore());
  const outage = stage.longestOutage(30_000, client, gateway);
  assert.ok(outage >= 6_000 && outage <= 6_000 + 2_500, `${outage} ms`);
  assert.deepEqual(stage.violations, []);
});

Deno.test("both ends move while neither has a portal: whoever hears of the other first says again where it is", () => {
  const stage = new CoreWorld({ clientNat: "port-restricted cone", gatewayNat: "port-restricted cone" });
  const client = stage.clients[0]!, gateway = stage.gateways[0]!, { world } = stage;
  assert.notEqual(stage.firstEcho(client, gateway), undefined);
  world.run(3_000);
  stage.portal.state = "lose";
  for (const [device, public4] of [[client, "203.0.113.201"], [gateway, "203.0.113.202"]] as const) {
    const nat = world.nat(`${device.id}'s other NAT`, "port-restricted cone", { v4: public4 });
    stage.roam(device, public4.replace("203", "204"));
    device.host.disconnect();
    device.host.connect(nat.inside, { v4: "192.168.5.5" }, { latency: 10 });
    device.machine.core.networkChanged(world.now);
    device.machine.drain();
  }
  // The client says where it is after 0.5, 1.5, 3.5 and 5.5 s, the gateway by itself after 0.5, 1.5, 3.5 and 7.5.
  world.after(3_700, () => stage.portal.restore());
  const outage = stage.longestOutage(30_000, client, gateway);
  assert.ok(outage <= 6_500, `${outage} ms`);
  assert.deepEqual(stage.violations, []);
});
