import assert from "node:assert/strict";
import { hostCandidate, parseCandidate, relayCandidate } from "../../mod/ice/mod.ts";
import { CANDIDATE_TIMEOUT, DISCONNECT_GRACE, IDLE_AFTER } from "../../mod/node/connection.ts";
import { SocketAddress } from "../../mod/packet/mod.ts";
import { MessageType } from "../../mod/wireguard/mod.ts";
import { CLIENT_ADDRESS, Couple, GATEWAY_ADDRESS } from "./couple.ts";

const RELAYED = SocketAddress.parse("198.51.100.2:50000")!;

Deno.test("both ends nominate the one pair, the client initiates, and each is established once", () => {
  const couple = new Couple().connect();
  for (const connection of [couple.client, couple.gateway]) {
    assert.equal(connection.state, "connected");
    assert.equal(connection.isEstablished, true);
    assert.equal(connection.nominated?.kind, "direct");
  }
  assert.deepEqual(couple.handshakes.map(({ from }) => from), ["client", "gateway", "client"]);
  couple.run(60_000);
  const established = couple.news.filter(({ type }) => type === "established").map(({ side }) => side);
  assert.deepEqual(established.toSorted(), ["client", "gateway"]);
});

Deno.test("a handshake response is held until a path is nominated, and then goes there", () => {
  const couple = new Couple();
  const { client, gateway } = couple;
  client.tunnel.initiate(couple.now);
  const initiation = client.tunnel.pollTransmit()!;
  gateway.tunnel.handleHandshake(initiation, CLIENT_ADDRESS.bytes, couple.now);
  gateway.drive(couple.now);
  assert.equal(gateway.outgoing.length, 0, "no path yet");
  couple.introduce().run(500);
  const { handshakes } = couple;
  assert.equal(handshakes[0]?.from, "gateway", "the response that waited is the first to leave");
  assert.equal(handshakes[0]?.type, MessageType.Response);
});

Deno.test("no more than 128 handshake messages wait for a path, the latest ones", () => {
  const couple = new Couple();
  const { client, gateway } = couple;
  for (let i = 0; i < 200; i++) {
    couple.now += 100;
    client.tunnel.initiate(couple.now);
    for (let m = client.tunnel.pollTransmit(); m; m = client.tunnel.pollTransmit()) {
      gateway.tunnel.handleHandshake(m, CLIENT_ADDRESS.bytes, couple.now);
    }
    gateway.flushTunnel(couple.now);
    client.tunnel.handleTimeout(couple.now += 20_000);
  }
  couple.introduce();
  gateway.agent.addRemoteCandidate(hostCandidate(CLIENT_ADDRESS), couple.now);
  couple.run(500);
  const held = couple.handshakes.filter(({ from, type }) =>
    from === "gateway" && type === MessageType.Response
  );
  assert.ok(held.length <= 129, `${held.length}`);
});

Deno.test("a peer that signals no candidate for 10 seconds fails the connection", () => {
  const couple = new Couple();
  couple.gateway.offer(hostCandidate(GATEWAY_ADDRESS));
  couple.run(CANDIDATE_TIMEOUT - 1);
  assert.equal(couple.gateway.state, "connecting");
  couple.run(1);
  assert.equal(couple.gateway.state, "failed");
  assert.match(couple.gateway.failure, /no candidate/);
});

Deno.test("a candidate that was discovered is a candidate: a peer that is heard needs not signal", () => {
  const couple = new Couple();
  couple.client.offer(hostCandidate(CLIENT_ADDRESS));
  couple.gateway.offer(hostCandidate(GATEWAY_ADDRESS));
  couple.client.agent.addRemoteCandidate(hostCandidate(GATEWAY_ADDRESS), couple.now);
  couple.run(CANDIDATE_TIMEOUT + 5_000);
  assert.equal(couple.gateway.state, "connected");
});

Deno.test("candidates of both sides that share no family fail the connection after 2 seconds of grace", () => {
  const couple = new Couple();
  couple.gateway.offer(hostCandidate(GATEWAY_ADDRESS));
  couple.gateway.agent.addRemoteCandidate(hostCandidate(SocketAddress.parse("[2001:db8::1]:9")!), couple.now);
  couple.run(DISCONNECT_GRACE - 1);
  assert.equal(couple.gateway.state, "connecting");
  couple.run(1);
  assert.equal(couple.gateway.state, "failed");
});

Deno.test("a path that turns up within the grace saves the connection, also as the only one", () => {
  const couple = new Couple();
  const { client, gateway } = couple;
  gateway.offer(hostCandidate(GATEWAY_ADDRESS));
  gateway.agent.addRemoteCandidate(hostCandidate(SocketAddress.parse("[2001:db8::1]:9")!), couple.now);
  couple.run(DISCONNECT_GRACE - 500);
  client.offer(hostCandidate(CLIENT_ADDRESS));
  gateway.agent.addRemoteCandidate(hostCandidate(CLIENT_ADDRESS), couple.now);
  client.agent.addRemoteCandidate(hostCandidate(GATEWAY_ADDRESS), couple.now);
  couple.run(10_000);
  assert.equal(gateway.state, "connected");
  assert.equal(gateway.agent.state, "completed");
});

Deno.test("a client notices a lost path after 16.5 seconds and the grace, a gateway keeps the connection", () => {
  const couple = new Couple().connect();
  couple.run(3_000);
  couple.isWired = false;
  const cutAt = couple.now;
  while (couple.client.state !== "failed" && couple.now < cutAt + 60_000) {
    couple.client.noteActivity(couple.now);
    couple.run(100);
  }
  const took = couple.now - cutAt;
  assert.ok(took >= 15_000 + DISCONNECT_GRACE && took <= 16_500 + 1_500 + DISCONNECT_GRACE, `${took} ms`);
  assert.notEqual(couple.gateway.state, "failed");
});

Deno.test("WireGuard's expiry ends a connection whose peer is gone: 540 s after its last session", () => {
  const couple = new Couple().connect();
  couple.isWired = false;
  const { gateway, now } = couple;
  couple.run(539_000);
  assert.notEqual(gateway.state, "failed");
  couple.run(2_000);
  assert.equal(gateway.state, "failed");
  assert.match(gateway.failure, /WireGuard/);
  assert.ok(couple.now - now <= 541_000);
});

Deno.test("20 seconds without packets make a connection idle; a packet, an upsert and a candidate wake it", () => {
  const couple = new Couple().connect();
  couple.run(IDLE_AFTER - 1_000);
  assert.equal(couple.gateway.state, "connected");
  couple.run(1_500);
  assert.equal(couple.gateway.state, "idle");
  couple.gateway.noteActivity(couple.now);
  assert.equal(couple.gateway.state, "connected");
  couple.run(IDLE_AFTER + 500);
  assert.equal(couple.gateway.state, "idle");
  couple.gateway.wake(couple.now);
  assert.equal(couple.gateway.state, "connected");
});

Deno.test("two idle ends exchange a check each way every 25 seconds, and stay connected for hours", () => {
  const couple = new Couple().connect();
  couple.run(2 * 3_600_000);
  for (const connection of [couple.client, couple.gateway]) assert.equal(connection.state, "idle");
});

Deno.test("idle ends send their checks at multiples of 250 ms, so that one wake-up serves many connections", () => {
  const couple = new Couple();
  couple.now += 17;
  couple.connect().run(IDLE_AFTER + 200_000);
  for (const { agent, tunnel, wakeAt, state } of [couple.client, couple.gateway]) {
    assert.equal(state, "idle");
    const check = agent.pollTimeout()!;
    assert.ok(wakeAt! >= check && wakeAt! < check + 250, `${check} ${wakeAt}`);
    assert.equal(wakeAt! % 250, 0);
    assert.ok((tunnel.pollTimeout() ?? Infinity) > wakeAt!);
  }
});

Deno.test("idle does not touch WireGuard: the tunnel has a session hours later", () => {
  const couple = new Couple().connect();
  couple.run(3 * 3_600_000);
  assert.ok(couple.gateway.tunnel.hasSession);
});

Deno.test("the wake-up is never before the present", () => {
  const couple = new Couple().introduce();
  for (let i = 0; i < 3_000; i++) {
    couple.run(i % 37);
    if (i === 1_500) couple.isWired = false;
    for (const { wakeAt } of [couple.client, couple.gateway]) {
      assert.ok(wakeAt === undefined || wakeAt >= couple.now);
    }
  }
});

Deno.test("the same credentials and key mean the same two processes: the connection is reused", () => {
  const couple = new Couple();
  const { gateway } = couple;
  assert.equal(gateway.isReusableFor(couple.requests.gateway), true);
  const { local, remote, publicKey } = couple.requests.gateway;
  const others = [
    { local: { ...local, ufrag: "othr" } },
    { local: { ...local, password: "other-password-0000000" } },
    { remote: { ...remote, ufrag: "othr" } },
    { remote: { ...remote, password: "other-password-0000000" } },
    { publicKey: publicKey.with(5, publicKey[5]! ^ 1) },
  ];
  for (const other of others) {
    assert.equal(
      gateway.isReusableFor({ ...couple.requests.gateway, ...other }),
      false,
      JSON.stringify(other),
    );
  }
});

Deno.test("another preshared key replaces a tunnel without session, and is ignored by one that works", () => {
  const couple = new Couple();
  const presharedKey = new Uint8Array(32).fill(1);
  const request = { ...couple.requests.gateway, presharedKey };
  assert.equal(couple.gateway.isReusableFor(request), false, "nothing to keep");
  couple.connect();
  assert.equal(couple.gateway.isReusableFor(request), true, "old portals draw a new key for every flow");
  couple.isWired = false;
  couple.run(181_000);
  assert.equal(couple.gateway.isReusableFor(request), false, "the session is over");
});

Deno.test("candidates are announced once, best first, and all again on request", () => {
  const { gateway } = new Couple();
  gateway.offer(relayCandidate(RELAYED, 4));
  gateway.offer(hostCandidate(GATEWAY_ADDRESS));
  const first = gateway.pollSignal();
  assert.equal(first?.type, "candidates");
  const kinds = first.candidates.map((text) => parseCandidate(text)!.kind);
  assert.deepEqual(kinds, ["host", "relay"]);
  for (const text of first.candidates) assert.match(text, / ufrag gtwy$/);
  assert.equal(gateway.pollSignal(), undefined);
  gateway.offer(hostCandidate(GATEWAY_ADDRESS));
  assert.equal(gateway.pollSignal(), undefined, "known");
  gateway.announceAll();
  assert.deepEqual(gateway.pollSignal(), first);
});

Deno.test("a relayed address that goes is withdrawn from the peer, and with it the path over it", () => {
  const { gateway } = new Couple();
  gateway.offer(relayCandidate(RELAYED, 4));
  gateway.pollSignal();
  gateway.nominated = { base: RELAYED, remote: CLIENT_ADDRESS, viaRelay: true, kind: "relayed" };
  gateway.withdrawRelayed([RELAYED]);
  const signal = gateway.pollSignal();
  assert.equal(signal?.type, "invalid-candidates");
  assert.equal(parseCandidate(signal.candidates[0]!)!.address.key, RELAYED.key);
  assert.equal(gateway.nominated, undefined);
  gateway.withdrawRelayed([RELAYED]);
  assert.equal(gateway.pollSignal(), undefined, "said once");
});

Deno.test("an address that goes before it was announced is not announced any more", () => {
  const { gateway } = new Couple();
  gateway.offer(relayCandidate(RELAYED, 4));
  gateway.withdrawRelayed([RELAYED]);
  assert.equal(gateway.pollSignal()?.type, "invalid-candidates");
  assert.equal(gateway.pollSignal(), undefined);
});

Deno.test("an active path is silent after 2 seconds without anything from the peer, an idle one is not asked", () => {
  const couple = new Couple().connect();
  assert.equal(couple.gateway.isSilent(couple.now), false);
  couple.isWired = false;
  couple.run(1_000);
  assert.equal(couple.gateway.isSilent(couple.now), false);
  couple.run(1_001);
  assert.equal(couple.gateway.isSilent(couple.now), true);
  couple.run(30_000);
  assert.equal(couple.gateway.state, "idle");
  assert.equal(couple.gateway.isSilent(couple.now), false);
});
