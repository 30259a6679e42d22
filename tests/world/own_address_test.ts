/**
 * Our own address changes, and the kernel says so (`Node.networkChanged`). Without its word the same situations are in
 * core_test.ts ("without anybody telling it").
 */
import assert from "node:assert/strict";
import { CoreWorld, type CoreWorldOptions, type GatewayDevice } from "./core_world.ts";
import type { ClientDevice } from "./core_world.ts";
import { NodeWorld, type NodeWorldOptions } from "./node_world.ts";

const SIGNALLED_MS = 2_000;

function connected(options: CoreWorldOptions = {}) {
  const stage = new CoreWorld(options);
  const client = stage.clients[0]!, gateway = stage.gateways[0]!;
  assert.notEqual(stage.firstEcho(client, gateway), undefined, "no echo");
  stage.world.run(3_000);
  return { stage, world: stage.world, client, gateway };
}

function signal({ machine }: ClientDevice | GatewayDevice): void {
  machine.core.networkChanged(machine.now());
  machine.drain();
}

/** Another network, and the kernel's word of it, `late` ms after the fact. */
function roam(stage: CoreWorld, device: ClientDevice | GatewayDevice, v4: string, late = 0): void {
  stage.roam(device, v4);
  stage.world.after(late, () => signal(device));
}

const NATS = [undefined, "full cone", "port-restricted cone", "symmetric"] as const;

for (const role of ["client", "gateway"] as const) {
  Deno.test(`a ${role} whose address changes with the kernel's word has a new path within 2 s`, () => {
    for (const clientNat of NATS) {
      for (const gatewayNat of NATS) {
        const { stage, client, gateway } = connected({ clientNat, gatewayNat });
        roam(stage, role === "client" ? client : gateway, "203.0.113.77");
        const outage = stage.longestOutage(10_000, client, gateway);
        assert.ok(outage <= SIGNALLED_MS, `${clientNat} / ${gatewayNat}: ${outage} ms`);
        assert.deepEqual(stage.violations, []);
      }
    }
  });
}

Deno.test("a network that comes up some time after the first word of it, as networks do", () => {
  for (const gap of [50, 300, 1_500]) {
    const { stage, world, client, gateway } = connected({
      clientNat: "port-restricted cone",
      gatewayNat: "port-restricted cone",
    });
    client.host.disconnect();
    signal(client);
    world.after(gap, () => roam(stage, client, "203.0.113.77"));
    const outage = stage.longestOutage(30_000, client, gateway);
    assert.ok(outage <= gap + SIGNALLED_MS, `${gap} ms: ${outage} ms`);
    assert.deepEqual(stage.violations, []);
  }
});

Deno.test("an idle connection whose client moves is there for the next packet", () => {
  const { stage, world, client, gateway } = connected({
    clientNat: "port-restricted cone",
    gatewayNat: "port-restricted cone",
  });
  world.run(90_000);
  assert.equal(client.machine.end.node.connection(gateway.id)!.state, "idle");
  roam(stage, client, "203.0.113.77");
  world.run(SIGNALLED_MS);
  const took = stage.firstEcho(client, gateway);
  assert.ok(took !== undefined && took <= 200, `${took} ms`);
});

Deno.test("there and back again after a minute: the old address works at once", () => {
  const { stage, client, gateway } = connected({ gatewayNat: "port-restricted cone" });
  const home = client.host.ip(4)!;
  roam(stage, client, "203.0.113.77");
  assert.ok(stage.longestOutage(60_000, client, gateway) <= SIGNALLED_MS);
  roam(stage, client, home);
  const outage = stage.longestOutage(30_000, client, gateway);
  assert.ok(outage <= SIGNALLED_MS, `${outage} ms on the way back`);
});

Deno.test("another network with the very same private address is another network", () => {
  const { stage, world, client, gateway } = connected({
    clientNat: "port-restricted cone",
    gatewayNat: "port-restricted cone",
  });
  const cafe = world.nat("cafe", "port-restricted cone", { v4: "203.0.113.99" });
  const same = client.host.ip(4)!;
  client.host.disconnect();
  client.host.connect(cafe.inside, { v4: same }, { latency: 10 });
  world.after(0, () => signal(client));
  const outage = stage.longestOutage(30_000, client, gateway);
  assert.ok(outage <= SIGNALLED_MS, `${outage} ms`);
  assert.deepEqual(stage.violations, []);
  const moves = client.machine.outputs.filter((o) => o.type === "node" && o.event.type === "moved");
  assert.equal(moves.length, 1, "its link to the portal is as dead as its paths");
});

Deno.test("a gateway takes the path of a client that moved with its handshake, not when the old one is found dead", () => {
  const stage = new NodeWorld({ echo: false });
  assert.equal(stage.connect(1), undefined);
  stage.world.run(3_000);
  const { client } = stage.ends;
  client.host.disconnect();
  client.host.connect(stage.world.internet, { v4: "203.0.113.77" }, { latency: 10 });
  client.machine.node.networkChanged(stage.world.now);
  stage.world.run(3_000);
  const taken = [stage.client, stage.gateway].map(({ events }) =>
    events.filter(({ type }) => type === "path").at(-1)!.at
  );
  assert.equal(stage.gateway.node.connection("client")!.nominated!.remote.ip, "203.0.113.77");
  assert.ok(taken[1]! - taken[0]! <= 100, `${taken[1]! - taken[0]!} ms after the client`);
});

Deno.test("a dual-stack end that loses a family, or changes both addresses, goes on with what it has", () => {
  const elsewhere = { v4: "203.0.113.88", v6: "2001:db8:999::2" };
  for (const role of ["client", "gateway"] as const) {
    for (const addresses of [{ v4: elsewhere.v4 }, { v6: elsewhere.v6 }, elsewhere]) {
      const stage = new NodeWorld({ families: [4, 6], relays: 2 });
      assert.notEqual(stage.connect(), undefined);
      stage.world.run(3_000);
      const { host, machine } = stage.ends[role];
      host.disconnect();
      host.connect(stage.world.internet, addresses, { latency: 10 });
      stage.world.after(0, () => machine.node.networkChanged(stage.world.now));
      const outage = stage.longestOutage(20_000);
      assert.ok(outage <= SIGNALLED_MS, `${role} ${Object.keys(addresses)}: ${outage} ms`);
      assert.ok(
        machine.node.status().relays.every(({ ready }) => ready),
        `${role} ${Object.keys(addresses)}`,
      );
      assert.deepEqual(stage.failures(), []);
    }
  }
});

/** Datagrams that arrive anywhere within `ms`, with and without what `act` does to the gateway meanwhile. */
function cost(options: NodeWorldOptions, ms: number, act: (stage: NodeWorld) => void): number {
  const [usual, changed] = [() => {}, act].map((then) => {
    const stage = new NodeWorld(options);
    assert.notEqual(stage.connect(), undefined);
    stage.world.run(60_000);
    const before = stage.world.trace.delivered;
    then(stage);
    stage.world.run(ms);
    assert.ok(stage.exchange());
    return stage.world.trace.delivered - before;
  });
  return changed! - usual!;
}

Deno.test("a signal without a change costs one BINDING per allocation and its answer, and nothing else", () => {
  for (const relays of [1, 3]) {
    for (const kind of ["full cone", "symmetric"] as const) {
      const datagrams = cost({ relays, clientNat: kind, gatewayNat: kind }, 10_000, ({ world, gateway }) => {
        world.after(10, () => gateway.node.networkChanged(world.now));
        world.after(2_500, () => assert.equal(gateway.events.at(-1)?.type, "network-changed"));
      });
      assert.equal(datagrams, 2 * relays, `${relays} relays, ${kind}`);
    }
  }
});

Deno.test("a storm of 1,000 signals a second costs a BINDING a second, and the last one counts", () => {
  const datagrams = cost({}, 12_000, ({ world, gateway }) => {
    for (let ms = 0; ms < 10_000; ms++) world.after(ms, () => gateway.node.networkChanged(world.now));
    world.after(11_900, () => {
      const last = gateway.events.filter(({ type }) => type === "network-changed").at(-1)!;
      assert.ok(last.at >= world.now - 1_901, "probed after the last signal");
    });
  });
  assert.ok(datagrams <= 2 * 14, `${datagrams} datagrams in 10 s`);
});

Deno.test("signals while every relay is dead: paths are doubted, connections live, and nobody is flooded", () => {
  const stage = new NodeWorld();
  assert.notEqual(stage.connect(), undefined);
  stage.killRelay("relay-1");
  stage.world.run(1_000);
  const { world } = stage;
  const before = world.trace.delivered;
  for (let ms = 0; ms < 60_000; ms += 10) world.after(ms, () => stage.gateway.node.networkChanged(world.now));
  const outage = stage.longestOutage(60_000);
  assert.ok(outage <= 300, `${outage} ms`);
  const doubts = stage.gateway.events.filter(({ type }) => type === "network-doubtful").length;
  assert.ok(doubts >= 1 && doubts <= 7, `${doubts} doubts in a minute`);
  // Ten pings and as many echoes a second, and what both ends check.
  assert.ok(world.trace.delivered - before <= 60 * 25, `${world.trace.delivered - before} datagrams`);
  assert.deepEqual(stage.failures(), []);
});

Deno.test("the address changes while every relay is dead: all is well again soon after one is back", () => {
  const stage = new CoreWorld();
  const client = stage.clients[0]!, gateway = stage.gateways[0]!;
  assert.notEqual(stage.firstEcho(client, gateway), undefined);
  stage.killRelay("relay-1");
  stage.world.run(1_000);
  // Only a relay could say what our new address is.
  roam(stage, client, "203.0.113.77");
  stage.world.run(20_000);
  stage.startRelay("relay-1");
  stage.initialise(client);
  stage.initialise(gateway);
  const took = stage.firstEcho(client, gateway, 20_000);
  assert.ok(took !== undefined && took <= 10_000, `${took} ms`);
  assert.deepEqual(stage.violations, []);
});
