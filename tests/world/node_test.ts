/** Whole nodes, ICE and WireGuard and relays, over the simulated internet: the situations of snownet §6.3 and §7.5. */
import assert from "node:assert/strict";
import { NAT_KINDS, type NatKind } from "./nat.ts";
import { NodeWorld, type NodeWorldOptions } from "./node_world.ts";

const KINDS: readonly (NatKind | undefined)[] = [undefined, ...Object.keys(NAT_KINDS) as NatKind[]];

function connected(options: NodeWorldOptions = {}): NodeWorld {
  const stage = new NodeWorld(options);
  assert.notEqual(stage.connect(), undefined, `not connected: ${stage.failures()}`);
  stage.world.run(2_000);
  return stage;
}

Deno.test("nodes connect through every pairing of NATs and carry data, direct where that is possible", () => {
  for (const clientNat of KINDS) {
    for (const gatewayNat of KINDS) {
      const stage = connected({ ...(clientNat ? { clientNat } : {}), ...(gatewayNat ? { gatewayNat } : {}) });
      const strict = (kind: NatKind | undefined) => kind === "symmetric" || kind === "port-restricted cone";
      const isRelayed = strict(clientNat) && strict(gatewayNat) &&
        (clientNat === "symmetric" || gatewayNat === "symmetric");
      assert.equal(stage.path("client"), isRelayed ? "relayed" : "direct", `${clientNat} / ${gatewayNat}`);
      assert.equal(stage.path("gateway"), isRelayed ? "relayed" : "direct", `${clientNat} / ${gatewayNat}`);
      assert.ok(stage.exchange(), `${clientNat} / ${gatewayNat}`);
      assert.deepEqual(stage.failures(), []);
    }
  }
});

Deno.test("at 20 ms round trip the first echo takes 3 round trips and 50 ms direct, 6 and 100 ms relayed, at most", () => {
  const portal = 3 * 25; // the authorisation, its answer, the client's candidates
  const conditions = { latency: 5 };
  const direct = new NodeWorld({ conditions }).connect();
  assert.ok(direct !== undefined && direct <= portal + 3 * 20 + 50, `direct: ${direct} ms`);
  const relayed = new NodeWorld({ conditions, clientNat: "symmetric", gatewayNat: "symmetric" }).connect();
  assert.ok(relayed !== undefined && relayed <= portal + 6 * 20 + 100, `relayed: ${relayed} ms`);
});

Deno.test("a blocked direct path moves to the relay within 8 s and comes back", () => {
  const stage = connected({ clientNat: "port-restricted cone", gatewayNat: "port-restricted cone" });
  assert.equal(stage.path("client"), "direct");
  stage.world.partition(stage.ends.client.host, stage.ends.gateway.host);
  const outage = stage.longestOutage(60_000);
  assert.ok(outage <= 8_000, `${outage} ms without an echo`);
  assert.equal(stage.path("gateway"), "relayed");
  stage.world.heal(stage.ends.client.host, stage.ends.gateway.host);
  const gap = stage.longestOutage(40_000);
  assert.ok(gap <= 500, `${gap} ms without an echo on the way back`);
  assert.equal(stage.path("gateway"), "direct");
  assert.deepEqual(stage.failures(), []);
});

Deno.test("20 % loss: connects, and most echoes come back for minutes", () => {
  for (let seed = 1; seed <= 2; seed++) {
    const stage = new NodeWorld({
      seed,
      clientNat: "restricted cone",
      conditions: { latency: 15, loss: 0.105 },
    });
    assert.notEqual(stage.connect(15_000), undefined);
    const before = stage.client.received.length;
    stage.longestOutage(120_000);
    const echoes = stage.client.received.length - before;
    assert.ok(echoes > 650, `${echoes} of 1200`);
    assert.deepEqual(stage.failures(), []);
  }
});

Deno.test("a client that restarts with a new key replaces its connection", () => {
  const stage = connected({ clientNat: "full cone" });
  stage.restart("client");
  stage.world.run(1_000);
  assert.notEqual(stage.connect(), undefined);
  assert.ok(stage.exchange());
});

Deno.test("a gateway that restarts is reached again after the client asks anew", () => {
  const stage = connected({ gatewayNat: "port-restricted cone", clientNat: "port-restricted cone" });
  stage.restart("gateway");
  stage.world.run(30_000);
  assert.equal(stage.client.events.at(-1)?.type, "failed");
  assert.notEqual(stage.connect(), undefined);
});

Deno.test("a relay that is announced gone while another takes over keeps relayed traffic going", () => {
  const stage = connected({ clientNat: "symmetric", gatewayNat: "symmetric" });
  stage.startRelay("relay-new");
  stage.world.after(1_000, () => {
    stage.killRelay("relay-1");
    for (const role of ["client", "gateway"] as const) stage.tellRelays(role, ["relay-1"]);
  });
  const outage = stage.longestOutage(30_000);
  assert.ok(outage <= 2_000, `${outage} ms without an echo`);
  assert.deepEqual(stage.failures(), []);
});

Deno.test("when a relay dies unannounced, the next authorisation connects over the second one", () => {
  const stage = connected({ clientNat: "symmetric", gatewayNat: "symmetric", relays: 2 });
  const { relayId } = stage.client.node.connection("gateway")!;
  stage.killRelay(relayId!);
  stage.world.run(45_000);
  assert.ok(stage.exchange() || stage.connect() !== undefined, `${stage.failures()}`);
});

Deno.test("a relay that restarts while the portal is away, and so has new credentials, is allocated on again", () => {
  const stage = connected({ clientNat: "symmetric", gatewayNat: "symmetric" });
  stage.portal.state = "lose";
  stage.restartRelay("relay-1");
  stage.world.run(60_000);
  stage.portal.restore();
  for (const role of ["client", "gateway"] as const) stage.tellRelays(role);
  stage.world.run(10_000);
  assert.ok(stage.exchange() || stage.connect() !== undefined, `${stage.failures()}`);
});

Deno.test("the portal may be away for as long as it likes: the connection stays", () => {
  const stage = connected({ clientNat: "port-restricted cone", gatewayNat: "symmetric" });
  stage.portal.state = "lose";
  const outage = stage.longestOutage(200_000);
  assert.ok(outage <= 2_000, `${outage} ms without an echo`);
});

Deno.test("12 minutes of silence, then traffic resumes over the relay and direct", () => {
  for (const kind of ["symmetric", "full cone"] as const) {
    const stage = connected({ clientNat: kind, gatewayNat: kind });
    stage.world.run(360_000);
    stage.world.run(360_000);
    assert.ok(stage.exchange(2_000) || stage.connect() !== undefined, `${kind}: ${stage.failures()}`);
  }
});

Deno.test("the same two ends authorised again keep their connection", () => {
  const stage = connected();
  const before = stage.gateway.node.connection("client");
  stage.authorize();
  stage.world.run(1_000);
  assert.equal(stage.gateway.node.connection("client"), before);
  assert.ok(stage.exchange());
});

Deno.test("equal seeds give equal runs of whole nodes", () => {
  const run = (seed: number) => {
    const stage = new NodeWorld({
      seed,
      traced: true,
      clientNat: "symmetric",
      conditions: { latency: 9, loss: 0.05 },
    });
    stage.connect();
    stage.world.run(5_000);
    return stage.world.trace.lines!.join("\n");
  };
  assert.equal(run(3), run(3));
});
