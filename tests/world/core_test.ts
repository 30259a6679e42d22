/** Whole products, from TUN to TUN, in the situations of snownet §6.3 and §7.5 (see core_world.ts). */
import assert from "node:assert/strict";
import { CoreWorld, type CoreWorldOptions } from "./core_world.ts";
import { NAT_KINDS, type NatKind } from "./nat.ts";

const KINDS = Object.keys(NAT_KINDS) as NatKind[];

/** One client and one gateway after their first echo, settled. */
function connected(options: CoreWorldOptions = {}) {
  const stage = new CoreWorld(options);
  const client = stage.clients[0]!, gateway = stage.gateways[0]!;
  assert.notEqual(stage.firstEcho(client, gateway), undefined, "no echo");
  stage.world.run(3_000);
  return { stage, world: stage.world, client, gateway };
}

Deno.test("the first packet to a resource brings up everything, arrives once, and its echo comes back", () => {
  const stage = new CoreWorld();
  const client = stage.clients[0]!, gateway = stage.gateways[0]!;
  stage.world.after(0, () => stage.send(client, gateway));
  stage.world.run(2_000);
  assert.equal(gateway.arrivals.length, 1);
  assert.equal(client.arrivals.length, 1);
  assert.deepEqual(stage.violations, []);
});

Deno.test("every pairing of NATs carries traffic, direct wherever the two kinds allow it", () => {
  for (const clientNat of KINDS) {
    for (const gatewayNat of KINDS) {
      const { stage, client, gateway } = connected({ clientNat, gatewayNat });
      const strict = (kind: NatKind) => kind === "symmetric" || kind === "port-restricted cone";
      const isRelayed = strict(clientNat) && strict(gatewayNat) &&
        (clientNat === "symmetric" || gatewayNat === "symmetric");
      assert.equal(
        stage.path(client, gateway),
        isRelayed ? "relayed" : "direct",
        `${clientNat} / ${gatewayNat}`,
      );
      assert.ok(stage.longestOutage(3_000, client, gateway) <= 250, `${clientNat} / ${gatewayNat}`);
      assert.deepEqual(stage.violations, []);
    }
  }
});

Deno.test("two clients and two gateways at once: everybody's packets reach whom they are for", () => {
  const stage = new CoreWorld({ clients: 2, gateways: 2, relays: 2, clientNat: "symmetric" });
  const stops = stage.clients.flatMap((client) =>
    stage.gateways.map((gateway) => stage.sendEvery(100, client, gateway))
  );
  stage.world.run(20_000);
  for (const stop of stops) stop();
  stage.world.run(1_000);
  for (const { id, arrivals } of stage.clients) {
    assert.ok(arrivals.length >= 380, `${id}: ${arrivals.length}`);
  }
  assert.deepEqual(stage.violations, []);
});

Deno.test("UDP between the two blocked in the middle of traffic: on over the relay within 8 s, and back again", () => {
  const { stage, world, client, gateway } = connected({
    clientNat: "port-restricted cone",
    gatewayNat: "port-restricted cone",
  });
  assert.equal(stage.path(client, gateway), "direct");
  world.partition(client.host, gateway.host);
  const outage = stage.longestOutage(40_000, client, gateway);
  assert.ok(outage <= 8_000, `${outage} ms`);
  assert.equal(stage.path(client, gateway), "relayed");
  world.heal(client.host, gateway.host);
  const gap = stage.longestOutage(40_000, client, gateway);
  assert.ok(gap <= 500, `${gap} ms on the way back`);
  assert.equal(stage.path(client, gateway), "direct");
  assert.deepEqual(stage.violations, []);
});

Deno.test("a client that roams goes on within 9 s, without anybody telling it", () => {
  for (const clientNat of [undefined, "port-restricted cone", "symmetric"] as const) {
    for (const gatewayNat of [undefined, "symmetric"] as const) {
      const { stage, client, gateway } = connected({ clientNat, gatewayNat });
      stage.roam(client, "203.0.113.77");
      const outage = stage.longestOutage(60_000, client, gateway);
      assert.ok(outage <= 9_000, `${clientNat} / ${gatewayNat}: ${outage} ms`);
      assert.deepEqual(stage.violations, []);
    }
  }
});

Deno.test("a client that roams with seconds offline, and without the portal for longer, still comes back", () => {
  for (const offline of [500, 3_000]) {
    for (const clientNat of [undefined, "symmetric"] as const) {
      const { stage, world, client, gateway } = connected({ clientNat, gatewayNat: "port-restricted cone" });
      stage.portal.state = "hold";
      client.host.disconnect();
      world.after(offline, () => stage.roam(client, "203.0.113.77"));
      world.after(offline + 4_000, () => stage.portal.restore());
      const outage = stage.longestOutage(40_000, client, gateway);
      assert.ok(outage <= offline + 10_000, `${offline} ms offline, ${clientNat}: ${outage} ms`);
      assert.deepEqual(stage.violations, []);
    }
  }
});

Deno.test("a gateway whose address changes goes on within 9 s, without anybody telling it", () => {
  for (const clientNat of [undefined, "symmetric"] as const) {
    for (const gatewayNat of [undefined, "port-restricted cone", "symmetric"] as const) {
      const { stage, client, gateway } = connected({ clientNat, gatewayNat });
      stage.roam(gateway, "203.0.113.77");
      const outage = stage.longestOutage(60_000, client, gateway);
      assert.ok(outage <= 9_000, `${clientNat} / ${gatewayNat}: ${outage} ms`);
      assert.deepEqual(stage.violations, []);
    }
  }
});

Deno.test("a relay killed with a second one there costs traffic 8 s at most", () => {
  for (let seed = 1; seed <= 4; seed++) {
    for (const role of ["client", "gateway"] as const) {
      const { stage, client, gateway } = connected({
        seed,
        relays: 2,
        clientNat: "symmetric",
        gatewayNat: "symmetric",
      });
      const connection = role === "client"
        ? client.machine.end.node.connection(gateway.id)
        : gateway.machine.end.node.connection(client.id);
      stage.killRelay(connection!.relayId!);
      const outage = stage.longestOutage(30_000, client, gateway);
      assert.ok(outage <= 8_000, `seed ${seed}, the ${role}'s relay: ${outage} ms`);
      assert.deepEqual(stage.violations, []);
    }
  }
});

Deno.test("a relay restarted costs relayed traffic seconds, with the same credentials and with new ones", () => {
  for (const keepsSecret of [true, false]) {
    const { stage, client, gateway } = connected({ clientNat: "symmetric", gatewayNat: "symmetric" });
    const { stampSecret } = stage.relays.get("relay-1")!;
    stage.killRelay("relay-1");
    stage.startRelay("relay-1", keepsSecret ? stampSecret : undefined);
    const outage = stage.longestOutage(40_000, client, gateway);
    assert.ok(outage <= 8_000, `${keepsSecret ? "same" : "new"} credentials: ${outage} ms`);
    assert.deepEqual(stage.violations, []);
  }
});

Deno.test("relays replaced while the portal says so: connections migrate and traffic goes on", () => {
  const { stage, world, client, gateway } = connected({ clientNat: "symmetric", gatewayNat: "symmetric" });
  stage.startRelay("relay-2");
  world.after(5_000, () => {
    stage.killRelay("relay-1");
    stage.announceRelays(["relay-1"]);
  });
  const outage = stage.longestOutage(20_000, client, gateway);
  assert.ok(outage <= 2_000, `${outage} ms`);
  assert.deepEqual(stage.violations, []);
});

Deno.test("the portal away for three minutes, and back with the same list of everything: nothing is felt", () => {
  for (const gatewayNat of ["port-restricted cone", "symmetric"] as const) {
    const { stage, client, gateway } = connected({ clientNat: "symmetric", gatewayNat });
    stage.portal.state = "lose";
    assert.ok(stage.longestOutage(180_000, client, gateway) <= 300);
    stage.portal.restore();
    stage.initialise(client);
    stage.initialise(gateway);
    assert.ok(stage.longestOutage(20_000, client, gateway) <= 300);
    assert.deepEqual(stage.violations, []);
  }
});

Deno.test("the direct path dies while the portal is away: the relayed one is there already", () => {
  const { stage, world, client, gateway } = connected({ clientNat: "port-restricted cone" });
  stage.portal.state = "lose";
  world.partition(client.host, gateway.host);
  const outage = stage.longestOutage(40_000, client, gateway);
  assert.ok(outage <= 8_000, `${outage} ms`);
});

Deno.test("20 % loss: traffic goes through for minutes, direct and relayed, nothing twice", () => {
  for (const kind of ["restricted cone", "symmetric"] as const) {
    const stage = new CoreWorld({
      clientNat: kind,
      gatewayNat: kind,
      conditions: { latency: 15, jitter: 10, loss: 0.105, duplicate: 0.05, reorder: 0.05 },
    });
    const client = stage.clients[0]!, gateway = stage.gateways[0]!;
    assert.notEqual(stage.firstEcho(client, gateway, 20_000), undefined, kind);
    const before = client.arrivals.length;
    const outage = stage.longestOutage(180_000, client, gateway);
    const echoes = client.arrivals.length - before;
    // Two crossings of a lossy link each way.
    assert.ok(echoes >= 1_800 * 0.5, `${kind}: ${echoes} echoes of 1800`);
    assert.ok(outage <= 4_000, `${kind}: ${outage} ms`);
    assert.deepEqual(stage.violations, []);
  }
});

Deno.test("twelve minutes without a packet, twice: the next one gets through", () => {
  for (const kind of ["full cone", "symmetric"] as const) {
    const { stage, world, client, gateway } = connected({ clientNat: kind, gatewayNat: kind });
    for (let i = 0; i < 2; i++) {
      world.run(720_000);
      const took = stage.firstEcho(client, gateway, 5_000);
      assert.ok(took !== undefined && took <= 1_500, `${kind}: ${took} ms`);
    }
    assert.deepEqual(stage.violations, []);
  }
});

Deno.test("a client that restarts with a new key is served anew and at once", () => {
  const { stage, client, gateway } = connected({
    clientNat: "port-restricted cone",
    gatewayNat: "full cone",
  });
  stage.restart(client);
  stage.world.run(500);
  const took = stage.firstEcho(client, gateway);
  assert.ok(took !== undefined && took <= 1_500, `${took} ms`);
  assert.deepEqual(stage.violations, []);
});

Deno.test("a gateway that restarts is found again by traffic alone, within 25 s", () => {
  for (const kind of ["port-restricted cone", "symmetric"] as const) {
    const { stage, client, gateway } = connected({ clientNat: kind, gatewayNat: kind });
    stage.restart(gateway);
    const outage = stage.longestOutage(60_000, client, gateway);
    assert.ok(outage <= 25_000, `${kind}: ${outage} ms`);
    assert.deepEqual(stage.violations, []);
  }
});

Deno.test("a right taken away while the gateway is cut off from the portal ends with the next init", () => {
  const { stage, client, gateway } = connected();
  stage.portal.state = "lose";
  stage.revoke(client, gateway);
  stage.world.run(5_000);
  assert.ok(stage.longestOutage(3_000, client, gateway) <= 300, "not heard yet");
  stage.portal.restore();
  stage.initialise(gateway);
  stage.world.run(1_000);
  const before = gateway.arrivals.length;
  stage.longestOutage(10_000, client, gateway);
  assert.equal(gateway.arrivals.length, before);
});

Deno.test("a client that lost its side but not its key gets on with the gateway's old connection", () => {
  const { stage, client, gateway } = connected({ clientNat: "symmetric", gatewayNat: "symmetric" });
  const kept = gateway.machine.end.node.connection(client.id);
  client.machine.end.node.close(gateway.id);
  client.machine.core.handlePortal({ type: "resource_deleted", resourceId: "network-1" }, stage.world.now);
  stage.initialise(client);
  stage.world.run(200);
  const took = stage.firstEcho(client, gateway);
  assert.ok(took !== undefined && took <= 2_000, `${took} ms`);
  assert.equal(gateway.machine.end.node.connection(client.id), kept);
});

Deno.test("traffic that starts while neither side has a relay flows soon after there is one", () => {
  const stage = new CoreWorld({ relays: 0 });
  const client = stage.clients[0]!, gateway = stage.gateways[0]!;
  assert.equal(stage.firstEcho(client, gateway, 5_000), undefined);
  stage.startRelay("relay-1");
  const took = stage.firstEcho(client, gateway, 10_000);
  // The gateway refuses and asks for relays, then the client does; after each the client asks again 2 s later.
  assert.ok(took !== undefined && took <= 6_500, `${took} ms after the relay`);
  assert.deepEqual(stage.violations, []);
});

Deno.test("relays reboot while the portal is away: same ids, other credentials, no word of removal", () => {
  const { stage, world, client, gateway } = connected({ clientNat: "symmetric", gatewayNat: "symmetric" });
  stage.portal.state = "lose";
  stage.killRelay("relay-1");
  stage.startRelay("relay-1");
  world.run(20_000);
  stage.portal.restore();
  stage.initialise(client);
  stage.initialise(gateway);
  const took = stage.firstEcho(client, gateway, 10_000);
  assert.ok(took !== undefined && took <= 3_000, `${took} ms`);
  assert.deepEqual(stage.violations, []);
});

Deno.test("a client that sends many packets before its first connection loses none that it may keep", () => {
  const stage = new CoreWorld();
  const client = stage.clients[0]!, gateway = stage.gateways[0]!;
  stage.world.after(0, () => {
    for (let i = 0; i < 20; i++) stage.send(client, gateway);
  });
  stage.world.run(2_000);
  assert.equal(client.arrivals.length, 20);
  assert.deepEqual(stage.violations, []);
});
