import { deepEqual, equal, ok } from "node:assert/strict";
import { PeerPolicy } from "../../mod/embedded/relay/mod.ts";
import { SocketAddress } from "../../mod/packet/address.ts";
import { decodeChannelData, encodeChannelData } from "../../mod/stun/mod.ts";
import { type HarnessOptions, RELAY_V4, RelayHarness } from "./relay_harness.ts";
import { NOW, WiredClient } from "./relay_wired_client.ts";

const address = (text: string) => SocketAddress.parse(text)!;
const PEER = address("198.51.100.7:4000");
const PEER6 = address("[2001:db8:7::7]:4000");
const STRANGER = address("198.51.100.7:4001");

function setUp(options: HarnessOptions = {}) {
  const relay = new RelayHarness(options);
  return { relay, client: new WiredClient(relay, address("203.0.113.5:40000"), "alice") };
}
const datagrams = (sizes: number[]) => sizes.map((size, i) => new Uint8Array(size).fill(i + 1));

Deno.test("a client's ChannelData reaches the peer as bare payload from the relayed port", () => {
  const { relay, client } = setUp();
  for (const peer of [PEER, PEER6]) {
    const channel = client.bind(peer);
    const [sent, ...rest] = relay.fromClient(
      client.from,
      [encodeChannelData(channel, Uint8Array.of(1, 2, 3))],
      NOW,
      2,
    );
    deepEqual(rest, []);
    equal(sent!.dst.key, peer.key);
    equal(sent!.port, client.port);
    equal(sent!.ecn, 2, "ECN is kept");
    deepEqual(sent!.payload, Uint8Array.of(1, 2, 3));
  }
});

Deno.test("relayed packets leave from the address that the relay was given for them, else from the kernel's choice", () => {
  const sources = { v4: "192.0.2.77", v6: "2001:db8::77" };
  for (const [options, v4, v6] of [[{ sources }, sources.v4, sources.v6], [{}, "0.0.0.0", "::"]] as const) {
    const { relay, client } = setUp(options);
    const from = (peer: SocketAddress) =>
      relay.fromClient(client.from, [encodeChannelData(client.bind(peer), Uint8Array.of(1))], NOW)[0]!.local;
    deepEqual([from(PEER), from(PEER6)], [v4, v6]);
  }
});

Deno.test("a bound peer's datagrams reach the client as ChannelData from the listening port", () => {
  const { relay, client } = setUp();
  const channel = client.bind(PEER);
  const [sent, ...rest] = relay.fromPeer(PEER, client.port, [Uint8Array.of(9, 8, 7)], NOW, 1);
  deepEqual(rest, []);
  equal(sent!.dst.key, client.from.key);
  equal(sent!.port, 3478);
  equal(sent!.local, RELAY_V4);
  equal(sent!.ecn, 1);
  deepEqual(decodeChannelData(sent!.payload), { channel, payload: Uint8Array.of(9, 8, 7) });
});

Deno.test("a peer without exactly this address and port on a channel is dropped and counted", () => {
  const { relay, client } = setUp();
  client.bind(PEER);
  deepEqual(relay.fromPeer(STRANGER, client.port, datagrams([10]), NOW), []);
  equal(relay.counters.get("relay_dropped_no_channel"), 1);
  deepEqual(relay.fromPeer(PEER, client.port === 50000 ? 50001 : 50000, datagrams([10]), NOW), []);
  equal(relay.counters.get("relay_dropped_no_allocation"), 1);
});

Deno.test("ChannelData of strangers, on unbound channels, padded, cut or empty is dropped and counted", () => {
  const { relay, client } = setUp();
  const channel = client.bind(PEER);
  const valid = encodeChannelData(channel, new Uint8Array(8));
  deepEqual(relay.fromClient(STRANGER, [valid], NOW), []);
  equal(relay.counters.get("relay_dropped_no_allocation"), 1);
  deepEqual(relay.fromClient(client.from, [encodeChannelData(channel + 1, new Uint8Array(8))], NOW), []);
  equal(relay.counters.get("relay_dropped_no_channel"), 1);
  const malformed = relay.counters.get("relay_malformed");
  for (
    const bytes of [
      valid.subarray(0, 11),
      Uint8Array.of(...valid, 0, 0, 0, 0),
      valid.subarray(0, 3),
      encodeChannelData(channel, new Uint8Array(0)),
    ]
  ) deepEqual(relay.fromClient(client.from, [bytes], NOW), []);
  equal(relay.counters.get("relay_malformed"), malformed + 4);
});

Deno.test("a burst stays one burst through the relay, both ways, its short end included", () => {
  const { relay, client } = setUp();
  const channel = client.bind(PEER);
  const payloads = datagrams([1312, 1312, 1312, 1312, 96]);
  relay.entries.length = 0;
  const out = relay.fromClient(client.from, payloads.map((p) => encodeChannelData(channel, p)), NOW);
  deepEqual(out.map((s) => s.payload), payloads);
  deepEqual(relay.entries, [{ length: 4 * 1312 + 96, segment: 1312 }]);
  relay.entries.length = 0;
  const back = relay.fromPeer(PEER, client.port, payloads, NOW);
  deepEqual(back.map((s) => decodeChannelData(s.payload)!.payload), payloads);
  deepEqual(relay.entries, [{ length: 4 * 1316 + 100, segment: 1316 }]);
  equal(relay.counters.get("relay_to_peer_packets"), 5);
  equal(relay.counters.get("relay_to_client_packets"), 5);
  equal(relay.counters.get("relay_to_client_bytes"), 4 * 1312 + 96);
});

Deno.test("one bad datagram in a burst costs only itself, and channels may mix", () => {
  const { relay, client } = setUp();
  const first = client.bind(PEER), second = client.bind(STRANGER);
  const wire = [first, second, 0x4abc, first].map((channel, i) =>
    encodeChannelData(channel, new Uint8Array(16).fill(i))
  );
  wire[3]![3] = 15;
  wire.push(encodeChannelData(second, new Uint8Array(16).fill(9)));
  const out = relay.fromClient(client.from, wire, NOW);
  deepEqual(out.map((s) => [s.dst.port, s.payload[0]]), [[PEER.port, 0], [STRANGER.port, 1], [
    STRANGER.port,
    9,
  ]]);
});

Deno.test("more than the queue's area holds leaves in several flushes, complete and in order", () => {
  const { relay, client } = setUp();
  const channel = client.bind(PEER);
  const payloads = datagrams(new Array(48).fill(1312));
  for (let round = 0; round < 5; round++) {
    const out = relay.fromClient(client.from, payloads.map((p) => encodeChannelData(channel, p)), NOW);
    deepEqual(out.map((s) => s.payload[0]), payloads.map((p) => p[0]));
  }
});

Deno.test("a datagram that would not fit into ChannelData is dropped", () => {
  const { relay, client } = setUp();
  client.bind(PEER);
  deepEqual(relay.fromPeer(PEER, client.port, [new Uint8Array(65506)], NOW), []);
  equal(relay.fromPeer(PEER, client.port, [new Uint8Array(65503)], NOW).length, 1);
});

Deno.test("a channel carries data for ten minutes after its last bind", () => {
  const { relay, client } = setUp();
  const channel = client.bind(PEER);
  const both = (now: number) =>
    relay.fromClient(client.from, [encodeChannelData(channel, new Uint8Array(8))], now).length +
    relay.fromPeer(PEER, client.port, datagrams([8]), now).length;
  client.allocation.handleTimeout(NOW + 300_000);
  client.exchange(NOW + 300_000);
  equal(both(NOW + 599_999), 2);
  equal(both(NOW + 600_000), 0);
});

Deno.test("after an allocation has ended nothing passes, even before the sweep", () => {
  const { relay, client } = setUp();
  const channel = client.bind(PEER);
  equal(
    relay.fromClient(client.from, [encodeChannelData(channel, new Uint8Array(8))], NOW + 600_000).length,
    0,
  );
  equal(relay.fromPeer(PEER, client.port, datagrams([8]), NOW + 600_000).length, 0);
});

Deno.test("two clients of one relay reach each other's relayed address inside it", () => {
  const { relay, client: alice } = setUp();
  const bob = new WiredClient(relay, address("[2001:db8:b::b]:1234"), "bobby");
  for (const family of [4, 6] as const) {
    const toBob = alice.bind(bob.allocation.relayedAddress(family)!);
    const payloads = datagrams([100, 100, 40]);
    const wire = payloads.map((p) => encodeChannelData(toBob, p));
    deepEqual(relay.fromClient(alice.from, wire, NOW), [], "bob has not bound alice yet");
    const toAlice = bob.bind(alice.allocation.relayedAddress(family)!);
    const out = relay.fromClient(alice.from, wire, NOW);
    deepEqual(out.map((s) => [s.dst.key, s.port]), new Array(3).fill([bob.from.key, 3478]));
    deepEqual(
      out.map((s) => decodeChannelData(s.payload)),
      payloads.map((payload) => ({ channel: toAlice, payload })),
    );
  }
});

Deno.test("a relayed port that nobody has leads nowhere, or to the host where that is allowed", () => {
  const { relay, client } = setUp();
  const channel = client.bind(SocketAddress.of(RELAY_V4, client.port === 50000 ? 50001 : 50000)!);
  deepEqual(relay.fromClient(client.from, [encodeChannelData(channel, new Uint8Array(8))], NOW), []);

  const open = setUp({ peers: new PeerPolicy({ allowed: [RELAY_V4] }) });
  const host = SocketAddress.of(RELAY_V4, open.client.port === 50000 ? 50001 : 50000)!;
  const [sent] = open.relay.fromClient(open.client.from, [
    encodeChannelData(open.client.bind(host), new Uint8Array(8)),
  ], NOW);
  equal(sent?.dst.key, host.key);
});

Deno.test("a credential relays as many bytes a second as the operator grants, both ways together, and no other suffers", () => {
  const { relay, client } = setUp({ limits: { bytesPerSecond: 1_000_000 } });
  const other = new WiredClient(relay, address("203.0.113.6:40000"), "bobby");
  const channel = client.bind(PEER), othersChannel = other.bind(PEER);
  const payload = new Uint8Array(1000);
  let up = 0, down = 0;
  for (let ms = 0; ms < 10_000; ms++) {
    up += relay.fromClient(client.from, [encodeChannelData(channel, payload)], NOW + ms).length;
    down += relay.fromPeer(PEER, client.port, [payload], NOW + ms).length;
  }
  const granted = 10_000 + 262;
  ok(Math.abs(up + down - granted) <= 2, `${up} + ${down} packets`);
  equal(relay.counters.get("relay_dropped_too_fast"), 20_000 - up - down);
  equal(relay.fromClient(other.from, [encodeChannelData(othersChannel, payload)], NOW + 9_999).length, 1);
});

Deno.test("a released allocation is gone with its port", () => {
  const { relay, client } = setUp();
  client.bind(PEER);
  equal(relay.server.channels, 1);
  client.allocation.release(NOW);
  client.exchange(NOW);
  equal(relay.server.allocations, 0);
  equal(relay.server.channels, 0);
  equal(relay.openPorts.size, 0);
});

Deno.test("a million relayed packets leave the heap as it was", () => {
  const { relay, client } = setUp();
  const channel = client.bind(PEER);
  const { toPeer, toClient } = relay.prepare(client.from, client.port, PEER, channel, 1312, 40);
  const run = (now: number) => {
    toPeer(now);
    toClient(now);
  };
  for (let i = 0; i < 500; i++) run(NOW);
  const before = heap();
  for (let i = 0; i < 12_500; i++) run(NOW);
  const grown = heap() - before;
  ok(relay.counters.get("relay_to_peer_packets") >= 500_000);
  ok(relay.counters.get("relay_to_client_packets") >= 500_000);
  ok(grown < 1_000_000, `${grown} bytes`);
});

function heap(): number {
  return Deno.memoryUsage().heapUsed;
}
