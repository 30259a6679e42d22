/** What relays do to connections when they die, restart or fall silent, and nobody announces it. */
import assert from "node:assert/strict";
import { NodeWorld, type NodeWorldOptions, type Role } from "./node_world.ts";

const ROLES = ["client", "gateway"] as const;

/** A connection that only works over relays. */
function relayed(options: NodeWorldOptions = {}): NodeWorld {
  const stage = new NodeWorld({ clientNat: "symmetric", gatewayNat: "symmetric", ...options });
  stage.authorize();
  const isUp = () =>
    ROLES.every((role) => stage.ends[role].machine.events.some((e) => e.type === "established"));
  assert.ok(stage.world.runUntil(isUp, 5_000), `not connected: ${stage.failures()}`);
  stage.world.run(2_000);
  assert.equal(stage.path("client"), "relayed");
  return stage;
}

function relayOf(stage: NodeWorld, role: Role): string {
  const other = role === "client" ? "gateway" : "client";
  return stage.ends[role].machine.node.connection(other)!.relayId!;
}

Deno.test("a relay killed under traffic with a second one there costs 6 s at most, whosever relay it was", () => {
  for (let seed = 1; seed <= 6; seed++) {
    for (const role of ROLES) {
      const stage = relayed({ seed, relays: 2 });
      stage.killRelay(relayOf(stage, role));
      const outage = stage.longestOutage(30_000);
      assert.ok(outage <= 6_000, `seed ${seed}, ${role}'s relay: ${outage} ms without an echo`);
      assert.deepEqual(stage.failures(), [], "TCP inside must not notice more than a pause");
    }
  }
});

Deno.test("traffic in one direction only is enough to notice that the relay is dead", () => {
  for (const role of ROLES) {
    const stage = relayed({ relays: 2, echo: false });
    stage.killRelay(relayOf(stage, role));
    const start = stage.world.now;
    let isOver = false;
    const send = () => {
      if (isOver) return;
      stage.client.send("gateway", "one way");
      stage.world.after(100, send);
    };
    send();
    stage.world.run(15_000);
    isOver = true;
    const times = [start, ...stage.gateway.received.map(({ at }) => at).filter((at) => at > start)];
    const gaps = times.slice(1).map((at, i) => at - times[i]!);
    assert.ok(times.at(-1)! > stage.world.now - 1_000, `${role}'s relay: packets arrive again`);
    assert.ok(Math.max(...gaps) <= 6_000, `${role}'s relay: ${Math.max(...gaps)} ms`);
    assert.deepEqual(stage.failures(), []);
  }
});

Deno.test("a relay restarted with the same credentials carries traffic again within 6 s", () => {
  const stage = relayed();
  stage.restartRelay("relay-1", stage.relays.get("relay-1")!.stampSecret);
  const outage = stage.longestOutage(20_000);
  assert.ok(outage <= 6_000, `${outage} ms without an echo`);
  assert.deepEqual(stage.failures(), []);
});

Deno.test("a relay that is down for a minute is allocated on again by itself, soon after it is back", () => {
  const stage = relayed();
  stage.portal.state = "lose";
  const secret = stage.relays.get("relay-1")!.stampSecret;
  stage.killRelay("relay-1");
  stage.world.run(60_000);
  assert.equal(stage.gateway.node.status().relays.some(({ ready }) => ready), false);
  stage.reviveRelay("relay-1", secret);
  const isBack = () => ROLES.every((role) => stage.ends[role].machine.node.status().relays[0]?.ready);
  assert.ok(stage.world.runUntil(isBack, 40_000));
  stage.portal.restore();
  assert.notEqual(stage.connect(), undefined);
});

Deno.test("a relay restarted with new credentials is replaced as soon as the portal has told them", () => {
  const stage = relayed();
  stage.restartRelay("relay-1");
  // The portal answers `no_relays` with what it knows.
  assert.ok(
    stage.world.runUntil(() => stage.gateway.events.some(({ type }) => type === "no-relays"), 40_000),
  );
  stage.world.run(3_000);
  assert.ok(stage.exchange() || stage.connect() !== undefined, `${stage.failures()}`);
});

Deno.test("losing the last relay is said once, and the very same relay is taken again", () => {
  const stage = relayed();
  const count = (role: Role) =>
    stage.ends[role].machine.events.filter(({ type }) => type === "no-relays").length;
  const secret = stage.relays.get("relay-1")!.stampSecret;
  stage.portal.state = "lose";
  stage.killRelay("relay-1");
  stage.world.run(300_000);
  for (const role of ROLES) assert.equal(count(role), 1, role);
  stage.reviveRelay("relay-1", secret);
  stage.portal.restore();
  const at = stage.world.now;
  for (const role of ROLES) stage.tellRelays(role);
  stage.world.run(1_000);
  for (const role of ROLES) assert.ok(stage.ends[role].machine.node.status().relays[0]?.ready, role);
  assert.notEqual(stage.connect(), undefined);
  assert.ok(stage.world.now - at <= 2_000);
});

Deno.test("losing one of several relays is no reason to ask the portal", () => {
  const stage = relayed({ relays: 2 });
  stage.killRelay("relay-1");
  stage.world.run(60_000);
  for (const role of ROLES) {
    const { events } = stage.ends[role].machine;
    assert.equal(events.some(({ type }) => type === "no-relays"), false);
    assert.equal(events.filter((e) => e.type === "relay" && e.state === "lost").length, 1);
  }
});

Deno.test("a relay under 20 % loss is not given up", () => {
  for (let seed = 1; seed <= 4; seed++) {
    const stage = relayed({ seed });
    for (const role of ROLES) stage.ends[role].host.link.change({ loss: 0.105 });
    stage.longestOutage(120_000);
    for (const role of ROLES) {
      const lost = stage.ends[role].machine.events.filter((e) => e.type === "relay" && e.state === "lost");
      assert.deepEqual(lost, [], `seed ${seed}, ${role}`);
    }
  }
});

Deno.test("a relay with addresses of both families gets ready once", () => {
  const stage = new NodeWorld({ families: [4, 6] });
  for (const role of ROLES) {
    const ready = stage.ends[role].machine.events.filter((e) => e.type === "relay" && e.state === "ready");
    assert.equal(ready.length, 1, role);
  }
});

Deno.test("a connection with a single path left goes idle like any other", () => {
  const stage = new NodeWorld();
  assert.notEqual(stage.connect(), undefined);
  stage.killRelay("relay-1");
  stage.world.run(90_000);
  for (const role of ROLES) {
    const connection = stage.ends[role].machine.node.connection(role === "client" ? "gateway" : "client")!;
    assert.equal(connection.agent.state, "completed", "one pair, and nothing to hope for");
    assert.equal(connection.state, "idle", role);
  }
  const before = stage.world.trace.delivered;
  stage.world.run(100_000);
  const perMinute = (stage.world.trace.delivered - before) * 0.6;
  assert.ok(perMinute < 30, `${perMinute} datagrams a minute between two idle ends`);
});
