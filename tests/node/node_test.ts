/** What a node does on behalf of the portal: connections, candidates, relays (snownet §1.6, §1.11, §1.12). */
import assert from "node:assert/strict";
import { parseCandidate } from "../../mod/ice/mod.ts";
import { ChannelBudget } from "../../mod/node/channel_budget.ts";
import type { ConnectionRequest } from "../../mod/node/mod.ts";
import { SocketAddress } from "../../mod/packet/mod.ts";
import { decodeStun, Method } from "../../mod/stun/mod.ts";
import type { NodeMachine } from "../world/node_machine.ts";
import { Bed } from "./bed.ts";

function request(bed: Bed, changes: Partial<ConnectionRequest> = {}): ConnectionRequest {
  return { ...bed.node.connection("client")!.request, ...changes };
}

function upsert(bed: Bed, changes: Partial<ConnectionRequest> = {}) {
  return bed.node.upsert(request(bed, changes), bed.stage.world.now);
}

/** Drains and returns what the node has to say. */
function events(bed: Bed) {
  const taken = [];
  for (let event = bed.node.pollEvent(); event; event = bed.node.pollEvent()) taken.push(event);
  return taken;
}

/** Peers that CHANNEL-BINDs among these datagrams ask for. */
function binds(sent: readonly { readonly payload: Uint8Array }[]): string[] {
  return sent.flatMap(({ payload }) => {
    const message = decodeStun(payload);
    return message?.method === Method.CHANNEL_BIND ? [message.xorPeerAddress!.key] : [];
  });
}

function candidatesOf(machine: NodeMachine): string[] {
  return machine.events.flatMap((event) => (event.type === "candidates" ? event.candidates : []));
}

Deno.test("a new connection announces every shared candidate and its relay's, with host first", () => {
  const bed = new Bed({ gatewayNat: "full cone" });
  const texts = candidatesOf(bed.stage.gateway);
  assert.deepEqual(texts.map((text) => parseCandidate(text)!.kind), ["host", "srflx", "relay", "relay"]);
});

Deno.test("the same two processes again: the connection stays, wakes, and announces all candidates anew", () => {
  const bed = new Bed();
  bed.stage.world.run(30_000);
  const before = bed.node.connection("client")!;
  assert.equal(before.state, "idle");
  assert.equal(upsert(bed), before);
  assert.equal(before.state, "connected");
  const [signal] = events(bed);
  assert.equal(signal?.type, "candidates");
  assert.deepEqual(signal.candidates, candidatesOf(bed.stage.gateway));
  assert.ok(bed.stage.exchange());
});

Deno.test("a preshared key that changes does not cost a tunnel that works; one without session is made anew", () => {
  const bed = new Bed();
  const before = bed.node.connection("client")!;
  const presharedKey = new Uint8Array(32).fill(3);
  assert.equal(upsert(bed, { presharedKey }), before);
  const young = upsert(bed, { local: { ufrag: "new1", password: "new-password-000000000" } })!;
  assert.equal(young.tunnel.hasSession, false);
  const after = upsert(bed, { presharedKey });
  assert.notEqual(after, young);
  assert.deepEqual(after!.request.presharedKey, presharedKey);
});

Deno.test("other credentials replace the connection without a word", () => {
  const bed = new Bed();
  const before = bed.node.connection("client")!;
  const from = bed.stage.gateway.events.length;
  const after = upsert(bed, { local: { ufrag: "new1", password: "new-password-000000000" } });
  assert.notEqual(after, before);
  assert.equal(bed.node.connection("client"), after);
  assert.equal(events(bed).some(({ type }) => type === "failed"), false);
  assert.equal(bed.events(from).includes("failed"), false);
});

Deno.test("without any relay an upsert is refused, the portal is asked, and the old connection is still there", () => {
  const bed = new Bed();
  const before = bed.node.connection("client")!;
  bed.node.updateRelays(["relay-1"], [], bed.stage.world.now);
  events(bed);
  const other = { local: { ufrag: "new1", password: "new-password-000000000" } };
  assert.equal(upsert(bed, other), undefined);
  assert.deepEqual(events(bed).map(({ type }) => type), ["no-relays"]);
  assert.equal(bed.node.connection("client"), before);
  assert.equal(upsert(bed), before, "what exists needs no relay");
});

Deno.test("a public key that is none fails the request, and nothing else", () => {
  const bed = new Bed();
  const before = bed.node.connection("client")!;
  assert.equal(upsert(bed, { publicKey: new Uint8Array(32) }), undefined);
  assert.equal(events(bed)[0]?.type, "failed");
  assert.equal(bed.node.connection("client"), before);
  assert.ok(bed.stage.exchange());
});

Deno.test("unparsable candidates cost only themselves; unknown peers and repeated ones nothing", () => {
  const bed = new Bed();
  const now = bed.stage.world.now;
  const good = "candidate:1 1 udp 2130706431 198.18.0.9 4000 typ host";
  bed.node.addRemoteCandidates(
    "client",
    ["", "candidate", "x".repeat(10_000), good, good, "candidate:é"],
    now,
  );
  const { agent } = bed.node.connection("client")!;
  assert.equal(agent.remoteCandidates.filter(({ address }) => address.key === "198.18.0.9:4000").length, 1);
  assert.equal(bed.count("ignored_candidates_malformed"), 4);
  bed.node.addRemoteCandidates("nobody", [good], now);
  bed.node.removeRemoteCandidates("nobody", [good], now);
  bed.node.removeRemoteCandidates("client", ["garbage"], now);
});

Deno.test("server-reflexive and relayed candidates get a channel before the first check, host ones don't", () => {
  const bed = new Bed();
  bed.sent();
  const text = (ip: string, kind: string) => `candidate:1 1 udp 1000 ${ip} 4000 typ ${kind}`;
  bed.node.addRemoteCandidates(
    "client",
    [text("198.18.0.1", "host"), text("198.18.0.2", "srflx"), text("198.18.0.3", "relay")],
    bed.stage.world.now,
  );
  const sent = bed.sent();
  const bound = binds(sent);
  for (const key of ["198.18.0.2:4000", "198.18.0.3:4000"]) assert.ok(bound.includes(key), key);
  const firstBind = sent.findIndex(({ payload }) => decodeStun(payload)?.method === Method.CHANNEL_BIND);
  const firstRelayed = sent.findIndex(({ payload }) => payload[0]! >= 64 && payload[0]! < 80);
  assert.ok(firstBind >= 0 && firstBind < firstRelayed, "the relay sees the bind first");
});

Deno.test("a peer that signals addresses without end costs a relay 64 channels and then one in 5 seconds", () => {
  const bed = new Bed();
  bed.sent();
  const flood = (block: number) => {
    const texts = Array.from({ length: 1_000 }, (_, i) => {
      const ip = `10.${block}.${i >> 8}.${i & 255}`;
      return `candidate:1 1 udp 1000 ${ip} 4000 typ relay`;
    });
    bed.node.addRemoteCandidates("client", texts, bed.stage.world.now);
    return new Set(binds(bed.sent())).size;
  };
  assert.ok(flood(1) <= 64);
  assert.equal(flood(2), 0);
  assert.ok(bed.node.connection("client")!.agent.remoteCandidates.length <= 64);
  bed.stage.world.run(3_000);
  assert.ok(bed.stage.exchange(), "the path in use is untouched");
});

Deno.test("the channel budget refills with time, and what was allowed stays allowed", () => {
  const budget = new ChannelBudget(0);
  const at = (port: number) => SocketAddress.of("192.0.2.1", port)!;
  for (let port = 1; port <= 64; port++) assert.ok(budget.allows(at(port), 0));
  assert.equal(budget.allows(at(65), 4_999), false);
  assert.equal(budget.allows(at(64), 4_999), true);
  assert.equal(budget.allows(at(65), 5_000), true);
  assert.equal(budget.allows(at(66), 5_000), false);
  let allowed = 0;
  for (let port = 100; port < 300; port++) if (budget.allows(at(port), 3_600_000)) allowed++;
  assert.equal(allowed, 64);
});

Deno.test("when the portal removes a relay, its connections take another at once and bind their peers there", () => {
  const bed = new Bed({ relays: 2, clientNat: "symmetric", gatewayNat: "symmetric" });
  const connection = bed.node.connection("client")!;
  const { relayId } = connection;
  bed.sent();
  events(bed);
  bed.node.updateRelays([relayId!], [], bed.stage.world.now);
  assert.notEqual(connection.relayId, relayId);
  assert.ok(connection.relayId);
  const types = events(bed).map(({ type }) => type);
  assert.ok(types.includes("invalid-candidates") && types.includes("candidates"), `${types}`);
  assert.ok(binds(bed.sent()).length > 0);
});

Deno.test("a connection that finds no relay to migrate to gets one when there is one again", () => {
  const bed = new Bed();
  const connection = bed.node.connection("client")!;
  bed.node.updateRelays(["relay-1"], [], bed.stage.world.now);
  assert.equal(connection.agent.localCandidates.some(({ kind }) => kind === "relay"), false);
  bed.stage.world.run(5_000);
  bed.stage.tellRelays("gateway");
  bed.stage.world.run(1_000);
  assert.equal(connection.relayId, "relay-1");
  assert.ok(connection.agent.localCandidates.some(({ kind }) => kind === "relay"));
  assert.ok(bed.stage.exchange());
});

Deno.test("all relays vanish and come back, same ids and credentials, within one step: nothing is lost", () => {
  const bed = new Bed({ relays: 2, clientNat: "symmetric", gatewayNat: "symmetric" });
  bed.stage.tellRelays("gateway", ["relay-1", "relay-2"]);
  bed.stage.tellRelays("client", ["relay-1", "relay-2"]);
  bed.stage.world.run(3_000);
  assert.ok(bed.stage.exchange(2_000), `${bed.stage.failures()}`);
  assert.deepEqual(bed.stage.failures(), []);
});

Deno.test("a node that has moved says so, and then announces everything again: the old announcement may be lost", () => {
  const bed = new Bed();
  const from = bed.stage.gateway.events.length;
  const { host } = bed.stage.ends.gateway;
  host.disconnect();
  host.connect(bed.stage.world.internet, { v4: "203.0.113.99" }, { latency: 10 });
  bed.stage.longestOutage(10_000);
  const events = bed.stage.gateway.events.slice(from);
  const moved = events.findIndex(({ type }) => type === "moved");
  assert.ok(moved >= 0);
  const kinds = events.slice(moved).flatMap((event) => event.type === "candidates" ? event.candidates : [])
    .map((text) => parseCandidate(text)!.kind);
  assert.ok(kinds.includes("relay") && kinds.filter((kind) => kind === "host").length >= 2, `${kinds}`);
});

Deno.test("a closed connection leaves nothing: no timer, no message, and its index free", () => {
  const bed = new Bed();
  bed.node.close("client");
  bed.node.close("client");
  bed.sent();
  assert.equal([...bed.node.connections].length, 0);
  bed.stage.world.run(700_000);
  assert.deepEqual(bed.stage.gateway.events.filter(({ type }) => type === "failed"), []);
});

Deno.test("a gateway sends nothing before a path is nominated, and does not start handshakes for packets", () => {
  const bed = new Bed();
  const connection = upsert(bed, { local: { ufrag: "new1", password: "new-password-000000000" } })!;
  bed.sent();
  assert.equal(bed.node.prepareSend(connection, bed.stage.world.now), false);
  assert.equal(bed.count("drop_packet_not_connected"), 1);
  assert.deepEqual(bed.sent(), []);
});

Deno.test("the status tells relays and connections as an operator wants them", () => {
  const bed = new Bed({ clientNat: "symmetric", gatewayNat: "symmetric" });
  const { relays, connections } = bed.node.status();
  assert.deepEqual(relays.map(({ id, ready }) => [id, ready]), [["relay-1", true]]);
  assert.ok(relays[0]!.rtt! > 0);
  const [connection] = connections;
  assert.equal(connection?.path, "relayed");
  assert.ok(connection!.sentBytes > 0 && connection!.receivedBytes > 0);
  assert.ok(connection!.rtt! > 0, "as the checks of its path measured it");
  assert.ok(connection!.lastHandshakeAt! > 0 && connection!.lastHandshakeAt! <= bed.stage.world.now);
});
