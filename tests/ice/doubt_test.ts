/** Paths that are no longer believed: our own address has changed, the peer may have moved, nothing comes any more. */
import assert from "node:assert/strict";
import { relayCandidate } from "../../mod/ice/mod.ts";
import { address, Duo, host } from "./duo.ts";

const CLIENT = "10.0.0.1:1000", GATEWAY = "10.0.0.2:2000", ELSEWHERE = "10.0.0.9:1000";
const CLIENTS_RELAY = "198.51.100.1:50000";

/** Direct, with the client's relay as the second choice; settled. */
function settled(latency = 10): Duo {
  const duo = new Duo({ latency }).addHosts(CLIENT, GATEWAY);
  duo.add(duo.client, relayCandidate(address(CLIENTS_RELAY), 4));
  duo.run(20_000);
  assert.equal(duo.client.path, `${CLIENT} > ${GATEWAY}`);
  return duo;
}

/** Ms until both sides take this path; undefined: not within 10 s. */
function timeTo(duo: Duo, client: string, gateway: string): number | undefined {
  const start = duo.now;
  const taken = () =>
    duo.client.path === `${client} > ${gateway}` && duo.gateway.path === `${gateway} > ${client}`;
  return duo.runUntil(taken, 10_000) ? duo.now - start : undefined;
}

function blockDirect(duo: Duo): void {
  duo.blocked = ({ source, destination }) => source.key === CLIENT || destination.key === CLIENT;
}

/** The handshake that a client sends over each path that it begins to take. */
function handshake(duo: Duo, source: string, destination: string): void {
  duo.gateway.agent.noteHandshake(address(source), address(destination), duo.now);
}

Deno.test("after a change of our own address the first path that answers is taken, the old one or another", () => {
  const still = settled();
  still.client.agent.doubt(address(CLIENT), still.now);
  const checks = still.client.checkTimes(CLIENT, GATEWAY).length;
  still.run(100);
  assert.equal(still.client.checkTimes(CLIENT, GATEWAY).length, checks + 1, "asked at once, and once");
  assert.equal(still.client.nominations().at(-1), `${CLIENT} > ${GATEWAY}`);

  const moved = settled();
  blockDirect(moved);
  moved.client.agent.doubt(address(ELSEWHERE), moved.now);
  moved.add(moved.client, host(ELSEWHERE), false);
  moved.client.own(address(ELSEWHERE));
  assert.ok(moved.runUntil(() => moved.client.path === `${ELSEWHERE} > ${GATEWAY}`, 100));
});

Deno.test("a doubted path stays in use while nothing else answers either", () => {
  const duo = settled();
  duo.blocked = () => true;
  duo.client.agent.doubt(address(CLIENT), duo.now);
  duo.run(3_000);
  assert.equal(duo.client.path, `${CLIENT} > ${GATEWAY}`);
  duo.blocked = () => false;
  duo.run(2_000);
  assert.equal(duo.client.path, `${CLIENT} > ${GATEWAY}`);
  assert.equal(duo.client.agent.isDoubted, false);
});

Deno.test("a late answer to a check from before the change proves nothing", () => {
  const duo = settled(100);
  duo.runUntil(() => duo.client.checkTimes(CLIENT, GATEWAY).at(-1) === duo.now);
  const [asked] = duo.client.checkTimes(CLIENT, GATEWAY).slice(-1);
  duo.run(150);
  duo.client.agent.doubt(address(CLIENT), duo.now);
  duo.blocked = ({ at }) => at > asked! + 200;
  duo.run(60);
  assert.equal(duo.client.agent.isDoubted, true);
});

Deno.test("pairs of an address that we had before, and that died meanwhile, are back with it", () => {
  const duo = settled();
  blockDirect(duo);
  duo.run(40_000);
  assert.equal(duo.client.agent.pairs.some(({ source }) => source.key === CLIENT), false);
  duo.blocked = () => false;
  duo.client.agent.doubt(address(CLIENT), duo.now);
  assert.ok(duo.runUntil(() => duo.client.path === `${CLIENT} > ${GATEWAY}`, 100));
});

Deno.test("a peer that shows at a new address makes us ask at the old one: three lost checks, and we follow", () => {
  const duo = settled();
  duo.blocked = ({ source, destination }) => source.key === GATEWAY || destination.key === GATEWAY;
  duo.gateway.agent.doubt(address("10.0.0.7:2000"), duo.now);
  duo.add(duo.gateway, host("10.0.0.7:2000"), false);
  const took = timeTo(duo, CLIENT, "10.0.0.7:2000");
  assert.ok(took !== undefined && took <= 900, `${took} ms`);
});

Deno.test("a new candidate of a peer that has not moved changes nothing", () => {
  const duo = settled();
  const before = duo.client.nominations().length;
  duo.add(duo.gateway, relayCandidate(address("198.51.100.9:40000"), 4));
  duo.run(20_000);
  assert.equal(duo.client.nominations().length, before);
  assert.equal(duo.client.path, `${CLIENT} > ${GATEWAY}`);
});

Deno.test("a path that fell silent is left after a few quick questions", () => {
  const duo = settled();
  blockDirect(duo);
  duo.run(3_000);
  const start = duo.now;
  const isLeft = () => duo.client.path === `${CLIENTS_RELAY} > ${GATEWAY}`;
  while (!isLeft() && duo.now < start + 5_000) {
    duo.client.agent.suspect(duo.now);
    duo.run(50);
  }
  assert.ok(duo.now - start <= 1_000, `${duo.now - start} ms`);
});

Deno.test("questions in vain, however often, don't keep a dead path alive", () => {
  const duo = new Duo().addHosts().run(5_000);
  duo.blocked = () => true;
  const start = duo.now;
  const isOver = () => duo.client.agent.state === "disconnected";
  while (!isOver() && duo.now < start + 60_000) {
    duo.client.agent.suspect(duo.now);
    duo.run(100);
  }
  assert.ok(duo.now - start <= 22_000, `${duo.now - start} ms`);
});

Deno.test("a gateway goes with its client's latest handshake, against the priorities, once the path is nominated", () => {
  const duo = settled();
  handshake(duo, CLIENT, GATEWAY);
  blockDirect(duo);
  // The client has left the direct path; its checks on the relayed one nominate that, too.
  assert.ok(duo.runUntil(() => duo.client.path === `${CLIENTS_RELAY} > ${GATEWAY}`));
  handshake(duo, CLIENTS_RELAY, GATEWAY);
  assert.ok(duo.runUntil(() => duo.gateway.path === `${GATEWAY} > ${CLIENTS_RELAY}`, 50));
  duo.blocked = () => false;
  assert.ok(duo.runUntil(() => duo.client.path === `${CLIENT} > ${GATEWAY}`));
  handshake(duo, CLIENT, GATEWAY);
  assert.ok(duo.runUntil(() => duo.gateway.path === `${GATEWAY} > ${CLIENT}`, 50));
});

Deno.test("a path that is nominated after a handshake on another one is taken by its priority", () => {
  const duo = new Duo();
  duo.add(duo.client, relayCandidate(address(CLIENTS_RELAY), 4));
  duo.add(duo.gateway, host(GATEWAY));
  duo.run(1_000);
  handshake(duo, CLIENTS_RELAY, GATEWAY);
  duo.add(duo.client, host(CLIENT));
  duo.run(1_000);
  assert.equal(duo.gateway.path, `${GATEWAY} > ${CLIENT}`, "although the handshake over it got lost");
});

Deno.test("a handshake does not lead a client, who chooses himself", () => {
  const duo = settled();
  duo.client.agent.noteHandshake(address(GATEWAY), address(CLIENTS_RELAY), duo.now);
  duo.run(1_000);
  assert.equal(duo.client.path, `${CLIENT} > ${GATEWAY}`);
});
