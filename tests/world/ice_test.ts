/** ICE over the simulated internet: every NAT pairing, loss, late candidates, lost and changing paths. */
import assert from "node:assert/strict";
import { CLIENT_IDLE, GATEWAY_IDLE } from "../../mod/ice/mod.ts";
import { NAT_KINDS, type NatKind } from "./nat.ts";
import { IceWorld, type IceWorldOptions } from "./ice_world.ts";

const KINDS: readonly (NatKind | undefined)[] = [undefined, ...Object.keys(NAT_KINDS) as NatKind[]];

/** Hole punching fails where one side's port is unpredictable and the other side insists on it. */
function expectedPath(client: NatKind | undefined, gateway: NatKind | undefined): "direct" | "relayed" {
  const strict = (kind: NatKind | undefined) => kind === "symmetric" || kind === "port-restricted cone";
  const unpredictable = client === "symmetric" || gateway === "symmetric";
  return unpredictable && strict(client) && strict(gateway) ? "relayed" : "direct";
}

function assertConnected(stage: IceWorld, limit?: number): void {
  assert.notEqual(
    stage.connect(limit),
    undefined,
    `${stage.client.agent.state} / ${stage.gateway.agent.state}`,
  );
}

function disconnects(stage: IceWorld): number {
  return [stage.client, stage.gateway]
    .flatMap((peer) => peer.events)
    .filter((event) => event.type === "state" && event.state === "disconnected").length;
}

for (const clientNat of KINDS) {
  Deno.test(`a client behind ${clientNat ?? "no NAT"} connects to gateways behind every NAT, direct where possible`, () => {
    for (const gatewayNat of KINDS) {
      const stage = new IceWorld({
        ...(clientNat ? { clientNat } : {}),
        ...(gatewayNat ? { gatewayNat } : {}),
      });
      const label = `${clientNat} / ${gatewayNat}`;
      const time = stage.connect();
      assert.ok(time !== undefined && time < 1_500, `${label}: ${time} ms`);
      stage.world.run(3_000);
      assert.equal(stage.client.path, expectedPath(clientNat, gatewayNat), label);
      assert.equal(stage.gateway.path, expectedPath(clientNat, gatewayNat), label);
      assert.ok(stage.exchange(), label);
      stage.world.run(40_000);
      assert.ok(stage.exchange(), `${label} after a while`);
      assert.equal(disconnects(stage), 0, label);
    }
  });
}

Deno.test("equal seeds give equal runs to the last datagram, other seeds others", () => {
  const run = (seed: number) => {
    const stage = new IceWorld({
      seed,
      traced: true,
      clientNat: "symmetric",
      conditions: { latency: 10, jitter: 8, loss: 0.1, reorder: 0.05, duplicate: 0.05 },
    });
    stage.world.run(20_000);
    return stage.world.trace.lines!.join("\n");
  };
  assert.equal(run(7), run(7));
  assert.notEqual(run(7), run(8));
});

Deno.test("with 20 % loss each way it connects and stays connected", () => {
  for (let seed = 1; seed <= 6; seed++) {
    const stage = new IceWorld({
      seed,
      clientNat: "port-restricted cone",
      gatewayNat: "port-restricted cone",
      conditions: { latency: 15, loss: 0.105, jitter: 5 },
    });
    assertConnected(stage);
    stage.world.run(120_000);
    assert.ok(stage.isConnected, `seed ${seed}`);
    assert.equal(disconnects(stage), 0, `seed ${seed}`);
    assert.equal(stage.client.path, "direct", `seed ${seed}`);
  }
});

Deno.test("reordering and duplication do no harm", () => {
  const stage = new IceWorld({
    clientNat: "restricted cone",
    conditions: { latency: 20, jitter: 30, reorder: 0.3, duplicate: 0.3 },
  });
  assertConnected(stage);
  stage.world.run(60_000);
  assert.ok(stage.isConnected && stage.exchange());
  assert.equal(disconnects(stage), 0);
});

Deno.test("candidates that arrive late, one by one, still connect", () => {
  const stage = new IceWorld({ clientNat: "port-restricted cone", gatewayNat: "full cone" });
  let count = 0;
  stage.portal.script = () => 2_000 * ++count;
  assertConnected(stage, 30_000);
  stage.world.run(30_000);
  assert.equal(stage.gateway.path, "direct");
});

Deno.test("candidates held while the portal is away connect when it is back", () => {
  const stage = new IceWorld({ clientNat: "symmetric", gatewayNat: "symmetric" });
  stage.portal.state = "hold";
  assert.equal(stage.connect(20_000), undefined);
  assert.equal(disconnects(stage), 0);
  stage.portal.restore();
  assertConnected(stage, 2_000);
});

Deno.test("the gateway's candidates alone suffice: the client is found as peer-reflexive", () => {
  const stage = new IceWorld({ clientNat: "symmetric" });
  stage.portal.script = ({ from }) => from === "gateway";
  assertConnected(stage);
  stage.world.run(2_000);
  assert.equal(stage.gateway.agent.selected?.remote.kind, "prflx");
  assert.ok(stage.exchange());
});

Deno.test("a forwarded usual port behind a symmetric NAT is reached by the optimistic guess", () => {
  const stage = new IceWorld({ clientNat: "port-restricted cone", gatewayNat: "symmetric" });
  const { nat, host } = stage.gatewayEnd;
  assert.ok(nat);
  nat.forward(52625, `${host.ip(4)}:52625`);
  assertConnected(stage);
  stage.world.run(3_000);
  assert.equal(stage.client.path, "direct");
  assert.ok(stage.exchange());
});

Deno.test("a direct path that is blocked moves to the relay within 8 s and comes back when it may", () => {
  for (const nat of [undefined, "port-restricted cone"] as const) {
    const stage = new IceWorld(nat ? { clientNat: nat, gatewayNat: nat } : {});
    assertConnected(stage);
    stage.world.run(30_000);
    assert.equal(stage.client.path, "direct");
    stage.world.partition(stage.clientEnd.host, stage.gatewayEnd.host);
    const outage = stage.longestOutage(60_000);
    assert.ok(outage <= 8_000, `${outage} ms without data`);
    assert.deepEqual([stage.client.path, stage.gateway.path], ["relayed", "relayed"]);
    assert.equal(disconnects(stage), 0);
    stage.world.heal(stage.clientEnd.host, stage.gatewayEnd.host);
    const gap = stage.longestOutage(40_000);
    assert.deepEqual([stage.client.path, stage.gateway.path], ["direct", "direct"]);
    assert.ok(gap <= 500, `${gap} ms without data on the way back`);
  }
});

Deno.test("a path that dies in one direction only is left by both ends", () => {
  for (const deaf of ["client", "gateway"] as const) {
    const stage = new IceWorld();
    assertConnected(stage);
    stage.world.run(30_000);
    const [here, there] = deaf === "client"
      ? [stage.clientEnd.host, stage.gatewayEnd.host]
      : [stage.gatewayEnd.host, stage.clientEnd.host];
    here.deafTo.add(there.name);
    const outage = stage.longestOutage(90_000);
    assert.ok(outage <= 24_000, `${deaf}: ${outage} ms without data`);
    assert.ok(stage.exchange(), deaf);
    assert.equal(disconnects(stage), 0);
  }
});

Deno.test("a client that moves to another network keeps the connection", () => {
  const stage = new IceWorld({ clientNat: "port-restricted cone", gatewayNat: "port-restricted cone" });
  assertConnected(stage);
  stage.world.run(10_000);
  const cell = stage.world.nat("cell", "symmetric", { v4: "203.0.113.77" });
  const { host } = stage.clientEnd;
  stage.world.after(1_000, () => {
    host.disconnect().connect(cell.inside, { v4: "10.9.0.2" }, { latency: 30 });
    stage.client.roam(stage.world.now);
  });
  const outage = stage.longestOutage(30_000);
  assert.ok(outage <= 2_000, `${outage} ms without data`);
  assert.ok(stage.isConnected && stage.exchange());
  assert.equal(stage.client.path, "relayed");
});

Deno.test("a gateway whose own address changes keeps the connection", () => {
  const stage = new IceWorld({ clientNat: "port-restricted cone" });
  assertConnected(stage);
  stage.world.run(10_000);
  const { host } = stage.gatewayEnd;
  stage.world.after(1_000, () => {
    host.disconnect().connect(stage.world.internet, { v4: "203.0.113.99" }, { latency: 10 });
    stage.gateway.roam(stage.world.now);
  });
  const outage = stage.longestOutage(30_000);
  assert.ok(outage <= 2_000, `${outage} ms without data`);
  assert.equal(stage.client.path, "direct");
  assert.ok(stage.exchange());
});

Deno.test("a client's NAT that forgets everything is noticed and punched anew", () => {
  const stage = new IceWorld({ clientNat: "symmetric", gatewayNat: "full cone" });
  assertConnected(stage);
  stage.world.run(10_000);
  stage.world.after(1_000, () => stage.clientEnd.nat!.reboot());
  const outage = stage.longestOutage(30_000);
  assert.ok(outage <= 8_000, `${outage} ms without data`);
  assert.ok(stage.exchange());
});

Deno.test("idle ends keep a NAT with a 30 s timeout open", () => {
  const stage = new IceWorld({ clientNat: "port-restricted cone", gatewayNat: "port-restricted cone" });
  assertConnected(stage);
  stage.world.run(5_000);
  stage.client.agent.setTiming(CLIENT_IDLE, stage.world.now);
  stage.gateway.agent.setTiming(GATEWAY_IDLE, stage.world.now);
  stage.world.run(720_000);
  assert.ok(stage.exchange());
  assert.equal(disconnects(stage), 0);
});

Deno.test("dual-stack ends prefer IPv6, IPv6-only ends connect, and no common family goes by the dual-stack relay", () => {
  const both = new IceWorld({ clientFamilies: [4, 6], gatewayFamilies: [4, 6], clientNat: "symmetric" });
  assertConnected(both);
  both.world.run(3_000);
  assert.equal(both.client.agent.selected?.destination.family, 6);
  const only6: IceWorldOptions = { clientFamilies: [6], gatewayFamilies: [6] };
  const six = new IceWorld(only6);
  assertConnected(six);
  assert.ok(six.exchange());
  for (const clientNat of [undefined, "symmetric"] as const) {
    const mixed = new IceWorld({
      ...(clientNat ? { clientNat } : {}),
      clientFamilies: [4],
      gatewayFamilies: [6],
    });
    assertConnected(mixed);
    assert.ok(mixed.exchange());
    assert.equal(mixed.client.path, "relayed");
  }
});

Deno.test("an IPv6 route that is present but dead costs nothing: IPv4 carries the connection at once", () => {
  const notV6 = { latency: 10, passes: ({ source }: { source: { family: number } }) => source.family !== 6 };
  const everywhere = new IceWorld({
    clientFamilies: [4, 6],
    gatewayFamilies: [4, 6],
    clientNat: "port-restricted cone",
  });
  everywhere.clientEnd.host.link.change(notV6);
  const time = everywhere.connect();
  assert.ok(time !== undefined && time < 1_500, `${time} ms`);
  assert.ok(everywhere.exchange());
  const between = new IceWorld({ clientFamilies: [4, 6], gatewayFamilies: [4, 6] });
  between.gatewayEnd.host.link.change({
    passes: ({ source, destination }) =>
      source.family !== 6 || [source, destination].some((end) => end.port === 3478),
  });
  const start = between.connect();
  assert.ok(start !== undefined && start < 1_500, `${start} ms`);
  between.world.run(3_000);
  assert.equal(between.client.agent.selected?.destination.family, 4);
  assert.ok(between.exchange());
});

Deno.test("an IPv6 route that dies under a running connection is replaced by IPv4", () => {
  const stage = new IceWorld({ clientFamilies: [4, 6], gatewayFamilies: [4, 6] });
  assertConnected(stage);
  stage.world.run(30_000);
  assert.equal(stage.client.agent.selected?.destination.family, 6);
  stage.clientEnd.host.link.change({ passes: ({ source }) => source.family !== 6 });
  const outage = stage.longestOutage(30_000);
  assert.ok(outage <= 8_000, `${outage} ms without data`);
  assert.equal(stage.gateway.agent.selected?.destination.family, 4);
});

Deno.test("a peer that is gone is noticed by the client in 18 s", () => {
  const stage = new IceWorld({ clientNat: "full cone" });
  assertConnected(stage);
  stage.world.run(20_000);
  const start = stage.world.now;
  stage.gatewayEnd.host.kill(stage.gateway);
  assert.ok(stage.world.runUntil(() => stage.client.agent.state === "disconnected", 60_000));
  assert.ok(stage.world.now - start <= 18_100, `${stage.world.now - start} ms`);
});
