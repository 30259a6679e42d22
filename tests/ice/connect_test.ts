/** Two agents over an in-memory wire: connecting, losing and finding paths. */
import assert from "node:assert/strict";
import {
  CLIENT_ACTIVE,
  CLIENT_IDLE,
  GATEWAY_IDLE,
  hostCandidate,
  relayCandidate,
  serverReflexiveCandidate,
} from "../../mod/ice/mod.ts";
import { address, Duo, host, type Side } from "./duo.ts";

const CLIENT = "10.0.0.1:1000", GATEWAY = "10.0.0.2:2000";

function connected(duo: Duo): boolean {
  const a = duo.client.agent.selected, b = duo.gateway.agent.selected;
  return !!a && !!b && a.destination.key !== "" &&
    [duo.client, duo.gateway].every((side) => ["connected", "completed"].includes(side.agent.state));
}

function assertConnects(duo: Duo, within = 5_000): void {
  assert.ok(
    duo.runUntil(() => connected(duo), within),
    `${duo.client.agent.state} / ${duo.gateway.agent.state}`,
  );
}

/** The states of both sides, for messages. */
function disconnectedAt(side: Side): number | undefined {
  return side.events.find((event) => event.type === "state" && event.state === "disconnected")?.at;
}

Deno.test("two hosts connect over the same pair within two round trips", () => {
  const duo = new Duo().addHosts();
  assertConnects(duo, 50);
  assert.equal(duo.client.path, `${CLIENT} > ${GATEWAY}`);
  assert.equal(duo.gateway.path, `${GATEWAY} > ${CLIENT}`);
  assert.deepEqual(duo.client.states(), ["checking", "completed"]);
});

Deno.test("time may start at zero", () => {
  assertConnects(new Duo({ start: 0 }).addHosts());
});

Deno.test("late trickled candidates connect, and a better one takes over", () => {
  const duo = new Duo();
  duo.run(5_000);
  duo.add(duo.client, relayCandidate(address("198.51.100.1:50000"), 4));
  duo.run(3_000);
  duo.add(duo.gateway, host(GATEWAY));
  assertConnects(duo);
  duo.add(duo.client, host(CLIENT));
  duo.run(1_000);
  assert.equal(duo.client.path, `${CLIENT} > ${GATEWAY}`);
  assert.deepEqual(duo.gateway.nominations(), [`${GATEWAY} > 198.51.100.1:50000`, `${GATEWAY} > ${CLIENT}`]);
});

Deno.test("a settled connection is checked at the pace of each side's own timing", () => {
  const duo = new Duo().addHosts().run(120_000);
  const gaps = (times: number[]) => times.slice(1).map((at, i) => at - times[i]!).slice(-3);
  assert.deepEqual(gaps(duo.client.checkTimes(CLIENT, GATEWAY)), [1500, 1500, 1500]);
  assert.deepEqual(gaps(duo.gateway.checkTimes(GATEWAY, CLIENT)), [15_000, 15_000, 15_000]);
  duo.client.agent.setTiming(CLIENT_IDLE, duo.now);
  duo.gateway.agent.setTiming(GATEWAY_IDLE, duo.now);
  duo.run(200_000);
  assert.deepEqual(gaps(duo.client.checkTimes(CLIENT, GATEWAY)), [25_000, 25_000, 25_000]);
  assert.deepEqual(gaps(duo.gateway.checkTimes(GATEWAY, CLIENT)), [25_000, 25_000, 25_000]);
  assert.deepEqual(duo.client.states(), ["checking", "completed"]);
});

Deno.test("a silent peer is noticed after 16.5 s by a client, 615.5 s by a gateway", () => {
  const duo = new Duo().addHosts().run(700_000);
  duo.blocked = () => true;
  const cut = duo.now;
  const lastAnswered = (side: Side, source: string, destination: string) =>
    side.checkTimes(source, destination).filter((at) => at < cut - duo.latency).at(-1)!;
  const clientStart = lastAnswered(duo.client, CLIENT, GATEWAY),
    gatewayStart = lastAnswered(duo.gateway, GATEWAY, CLIENT);
  duo.run(700_000);
  assert.equal(disconnectedAt(duo.client), clientStart + 1_500 + 16_500);
  assert.equal(disconnectedAt(duo.gateway), gatewayStart + 15_000 + 615_500);
});

Deno.test("one direction lost ends the connection on both sides once checks stop arriving", () => {
  const duo = new Duo({ gateway: { timing: CLIENT_ACTIVE } }).addHosts().run(30_000);
  duo.blocked = (datagram) => datagram.from === duo.gateway;
  const cut = duo.now;
  duo.run(60_000);
  assert.ok(disconnectedAt(duo.client)! <= cut + 18_000);
  // The client's last check arrives 15 s into its silence; until 15 s after that the gateway keeps the pair.
  assert.ok(disconnectedAt(duo.gateway)! <= cut + 34_000);
});

Deno.test("new candidates after a disconnect bring both sides back", () => {
  const duo = new Duo({ gateway: { timing: CLIENT_ACTIVE } }).addHosts().run(5_000);
  duo.blocked = (datagram) => datagram.source.key === CLIENT || datagram.destination.key === CLIENT;
  duo.run(40_000);
  assert.equal(duo.client.agent.state, "disconnected");
  duo.add(duo.client, host("10.0.0.9:1000"));
  assertConnects(duo);
  assert.ok(duo.client.states().includes("checking"));
});

Deno.test("an address that was never signalled connects as peer-reflexive", () => {
  const duo = new Duo();
  duo.add(duo.gateway, host(GATEWAY));
  duo.add(duo.client, host("192.168.1.5:1000"), false);
  duo.client.own(address("192.168.1.5:1000"), address("203.0.113.7:40000"));
  duo.translate = (from, source) => (from === duo.client ? address("203.0.113.7:40000") : source);
  assertConnects(duo);
  assert.equal(duo.gateway.agent.selected?.remote.kind, "prflx");
  assert.equal(duo.gateway.path, `${GATEWAY} > 203.0.113.7:40000`);
});

Deno.test("a peer-reflexive address that is signalled later takes that priority and never disturbs the path", () => {
  const duo = new Duo();
  duo.add(duo.gateway, host(GATEWAY));
  duo.add(duo.client, host("192.168.1.5:1000"), false);
  duo.client.own(address("192.168.1.5:1000"), address("203.0.113.7:40000"));
  duo.translate = (from, source) => (from === duo.client ? address("203.0.113.7:40000") : source);
  assertConnects(duo);
  const before = duo.gateway.agent.pairs[0]!.priority;
  const reflexive = serverReflexiveCandidate(address("203.0.113.7:40000"), address("192.168.1.5:1000"));
  duo.gateway.agent.addRemoteCandidate(reflexive, duo.now);
  duo.run(60_000);
  assert.equal(duo.gateway.agent.selected?.remote.kind, "srflx");
  assert.ok(duo.gateway.agent.pairs[0]!.priority < before);
  assert.equal(duo.gateway.agent.pairs.length, 1);
  assert.equal(duo.gateway.nominations().length, 1);
  assert.ok(!duo.gateway.states().includes("disconnected") && !duo.client.states().includes("disconnected"));
});

Deno.test("a signalled candidate may arrive between the nominating check and its answer", () => {
  const duo = new Duo();
  duo.add(duo.gateway, host(GATEWAY));
  duo.add(duo.client, host(CLIENT), false);
  assert.ok(duo.runUntil(() => duo.gateway.agent.selected !== undefined));
  duo.gateway.agent.addRemoteCandidate(duo.client.agent.localCandidates[0]!, duo.now);
  duo.run(30_000);
  assert.ok(connected(duo));
  assert.deepEqual(duo.gateway.nominations().length, 1);
  assert.ok(!duo.gateway.states().includes("disconnected"));
});

Deno.test("a relay address first seen as peer-reflexive does not beat the direct path (trap 16)", () => {
  const duo = new Duo();
  duo.add(duo.gateway, host(GATEWAY));
  const relay = duo.add(duo.client, relayCandidate(address("198.51.100.1:50000"), 4), false);
  duo.run(1_000);
  assert.equal(duo.gateway.agent.selected?.remote.kind, "prflx");
  duo.client.own(address("192.168.1.5:1000"), address("203.0.113.7:40000"));
  duo.translate = (_, source) => (source.key === "192.168.1.5:1000" ? address("203.0.113.7:40000") : source);
  const reflexive = serverReflexiveCandidate(address("203.0.113.7:40000"), address("192.168.1.5:1000"));
  duo.client.agent.addLocalCandidate(hostCandidate(address("192.168.1.5:1000")));
  duo.gateway.agent.addRemoteCandidate(reflexive, duo.now);
  duo.gateway.agent.addRemoteCandidate(relay, duo.now);
  duo.run(3_000);
  assert.equal(duo.gateway.path, `${GATEWAY} > 203.0.113.7:40000`);
  assert.equal(duo.client.path, `192.168.1.5:1000 > ${GATEWAY}`);
});

Deno.test("a withdrawn local candidate is not answered; both sides move on without waiting for timeouts", () => {
  const duo = new Duo();
  duo.add(duo.gateway, host(GATEWAY));
  duo.add(duo.gateway, host("10.0.0.3:2000"));
  duo.add(duo.client, host(CLIENT));
  duo.run(3_000);
  assert.equal(duo.gateway.path, `${GATEWAY} > ${CLIENT}`);
  const withdrawn = duo.gateway.agent.removeLocalCandidate(host(GATEWAY))!;
  duo.run(1_000);
  assert.ok(!duo.gateway.sent.some((sent) => sent.source === GATEWAY && sent.at > duo.now - 900));
  duo.client.agent.removeRemoteCandidate(withdrawn, duo.now);
  duo.run(50);
  assert.equal(duo.client.path, `${CLIENT} > 10.0.0.3:2000`);
  assert.equal(duo.gateway.path, `10.0.0.3:2000 > ${CLIENT}`);
  duo.add(duo.gateway, host(GATEWAY));
  duo.run(1_000);
  assert.equal(duo.gateway.path, `${GATEWAY} > ${CLIENT}`);
  assert.ok(!duo.client.states().includes("disconnected"));
});

Deno.test("a pair of equal priority does not steal the nomination", () => {
  const duo = new Duo();
  duo.add(duo.gateway, host(GATEWAY));
  duo.add(duo.client, host(CLIENT));
  duo.run(1_000);
  const twin = {
    ...duo.gateway.agent.localCandidates[0]!,
    address: address("10.0.0.7:2000"),
    base: address("10.0.0.7:2000"),
  };
  duo.gateway.agent.addLocalCandidate(hostCandidate(twin.address));
  duo.gateway.own(twin.address);
  duo.client.agent.addRemoteCandidate(twin, duo.now);
  duo.run(5_000);
  assert.equal(duo.client.path, `${CLIENT} > ${GATEWAY}`);
  assert.equal(duo.client.nominations().length, 1);
});

Deno.test("a relay of the peer's family is preferred to one reached over the other family, for both roles", () => {
  for (const order of [[4, 6], [6, 4]] as const) {
    const duo = new Duo();
    duo.add(duo.gateway, host(GATEWAY));
    order.forEach((family, i) =>
      duo.add(duo.client, relayCandidate(address(`198.51.100.${i + 1}:50000`), family))
    );
    duo.run(3_000);
    const same = `198.51.100.${order.indexOf(4) + 1}:50000`;
    assert.equal(duo.client.path, `${same} > ${GATEWAY}`);
    assert.equal(duo.gateway.path, `${GATEWAY} > ${same}`);
  }
});

Deno.test("two agents in the same role settle it by the tie-breaker and connect", () => {
  for (const controlling of [true, false]) {
    const duo = new Duo({ client: { controlling }, gateway: { controlling, timing: CLIENT_ACTIVE } })
      .addHosts();
    assertConnects(duo);
    assert.notEqual(duo.client.agent.controlling, duo.gateway.agent.controlling);
    const roles = [duo.client.agent.controlling, duo.gateway.agent.controlling];
    duo.run(30_000);
    assert.deepEqual([duo.client.agent.controlling, duo.gateway.agent.controlling], roles);
  }
});

Deno.test("a role conflict is settled when only one side's checks get through at first", () => {
  const duo = new Duo({ gateway: { controlling: true } }).addHosts();
  duo.blocked = (datagram) => datagram.from === duo.gateway && duo.now < 3_000;
  assertConnects(duo);
  assert.notEqual(duo.client.agent.controlling, duo.gateway.agent.controlling);
});

Deno.test("a gateway follows a client that left a path, long before its own timeout", () => {
  const duo = new Duo();
  duo.add(duo.gateway, host(GATEWAY));
  duo.add(duo.client, host(CLIENT));
  duo.add(duo.client, relayCandidate(address("198.51.100.1:50000"), 4));
  duo.run(60_000);
  assert.equal(duo.gateway.path, `${GATEWAY} > ${CLIENT}`);
  duo.blocked = (datagram) => datagram.source.key === CLIENT || datagram.destination.key === CLIENT;
  const cut = duo.now;
  assert.ok(duo.runUntil(() => duo.client.path !== `${CLIENT} > ${GATEWAY}`));
  assert.ok(duo.now - cut <= 8_000, `client took ${duo.now - cut} ms`);
  assert.ok(duo.runUntil(() => duo.gateway.path === `${GATEWAY} > 198.51.100.1:50000`));
  assert.ok(duo.now - cut <= 8_500, `gateway took ${duo.now - cut} ms`);
  duo.blocked = () => false;
  assert.ok(duo.runUntil(() => duo.gateway.path === `${GATEWAY} > ${CLIENT}`), "back to direct");
  assert.ok(duo.runUntil(() => duo.client.path === `${CLIENT} > ${GATEWAY}`), "back to direct");
});

Deno.test("a direct path that comes back after its pair was dropped is found again by the gateway's checks", () => {
  const duo = new Duo();
  duo.add(duo.gateway, host(GATEWAY));
  duo.add(duo.client, host(CLIENT));
  duo.add(duo.client, relayCandidate(address("198.51.100.1:50000"), 4));
  duo.run(10_000);
  duo.blocked = (datagram) => datagram.source.key === CLIENT || datagram.destination.key === CLIENT;
  duo.run(60_000);
  assert.equal(duo.client.agent.pairs.length, 1);
  duo.blocked = () => false;
  assert.ok(duo.runUntil(() => duo.client.path === `${CLIENT} > ${GATEWAY}`, 16_000));
  assert.ok(duo.runUntil(() => duo.gateway.path === `${GATEWAY} > ${CLIENT}`, 1_000));
});

Deno.test("heavy loss does not move the data to a worse path", () => {
  let state = 12345;
  const chance = () => (state = (Math.imul(state, 1103515245) + 12345) >>> 0) / 2 ** 32;
  const duo = new Duo();
  duo.add(duo.gateway, host(GATEWAY));
  duo.add(duo.client, host(CLIENT));
  duo.add(duo.client, relayCandidate(address("198.51.100.1:50000"), 4));
  duo.run(10_000);
  duo.blocked = () => chance() < 0.1;
  duo.run(600_000);
  assert.equal(duo.gateway.path, `${GATEWAY} > ${CLIENT}`);
  const moves = duo.gateway.nominations().length - 1;
  assert.ok(moves <= 3, `${moves} moves in 10 minutes`);
});
