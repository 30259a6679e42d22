import assert from "node:assert/strict";
import { Counters, SocketAddress } from "../../mod/packet/mod.ts";
import {
  AttributeType as A,
  decodeStun,
  encodeChannelData,
  encodeStun,
  Method,
  type StunAttribute,
  type StunMessage,
  verifyIntegrity,
} from "../../mod/stun/mod.ts";
import { RELAY_V4, RELAY_V6, RelayHarness, type Sent } from "../embedded/relay_harness.ts";
import { ALICE, BOB } from "../embedded/relay_raw_client.ts";
import corpus from "./corpus/relay.hex" with { type: "text" };
import type { Dice } from "./dice.ts";
import { Feed } from "./feed.ts";
import { type FuzzTarget, join } from "./target.ts";

const address = (text: string) => SocketAddress.parse(text)!;
const CLIENTS = ["203.0.113.5:40000", "203.0.113.6:40000", "[2001:db8:9::5]:40000", "203.0.113.5:40001"].map(
  address,
);
const PEERS = [
  "198.51.100.7:4000",
  "[2001:db8:7::7]:4000",
  "127.0.0.1:22",
  "10.0.0.1:80",
  "169.254.169.254:80",
  "[::1]:22",
  "[fd00::1]:80",
  "[64:ff9b::a00:1]:80",
  `${RELAY_V4}:3478`,
  `${RELAY_V4}:49152`,
  `[${RELAY_V6}]:49153`,
  "198.51.100.7:0",
  "255.255.255.255:1",
  "[::ffff:10.0.0.1]:80",
  "[fe80::1]:80",
  "[2002:a00:1::]:80",
].map(address);
const USERS = [ALICE, BOB];
const REQUESTS = [
  Method.ALLOCATE,
  Method.REFRESH,
  Method.CHANNEL_BIND,
  Method.CREATE_PERMISSION,
  Method.BINDING,
  0x006,
];
/** All others are private, special or the relay itself. */
const PUBLIC_PEERS = ["198.51.100.7:4000", "[2001:db8:7::7]:4000"];

// What the first byte of an input says.
const RAW = 60, REQUEST = 150, DATA = 190, FROM_PEER = 225;

function generate(dice: Dice): Uint8Array {
  return join([dice.below(256)], dice.bytes(4 + dice.below(40)));
}

/** A relay, a few sources that hold credentials and one note of what was rightly bound. */
class Machine {
  readonly #relay = new RelayHarness({
    limits: { allocations: 6 },
    portRange: [49152, 49160],
  });
  readonly #nonces = new Map<string, string>();
  /** Peers that a signed request ever bound, by client. */
  readonly #bound = new Map<string, Set<string>>();
  readonly #ports = new Set<number>();
  #now = 1000;
  #ids = 0;

  run(input: Uint8Array): string {
    const feed = new Feed(input);
    const kind = feed.u8();
    if (kind < RAW) return this.#fromClient(feed.pick(CLIENTS), this.#pieces(feed));
    if (kind < REQUEST) return this.#request(feed);
    if (kind < DATA) {
      const client = feed.pick(CLIENTS), channel = 0x4000 + feed.below(3), count = 1 + feed.below(3);
      const message = encodeChannelData(channel, feed.rest());
      if (message.length > 4 && feed.below(8) === 1) message[3]! ^= 1;
      return this.#fromClient(client, Array.from({ length: count }, () => message));
    }
    if (kind < FROM_PEER) {
      const port = feed.pick([...this.#ports, 49152, 3478, 0]);
      return this.#fromPeer(feed.pick(PEERS), port, this.#pieces(feed));
    }
    this.#now += feed.pick([1, 100, 5000, 61_000, 601_000]);
    this.#relay.unixNow += feed.below(16) === 0 ? 86_401 : 0;
    this.#relay.server.handleTimeout(this.#now);
    assert.ok((this.#relay.server.pollTimeout() ?? Infinity) > this.#now, "asks to be woken in the past");
    return "time";
  }

  /** One super-datagram: equal pieces of the rest of the input, the last one shorter. */
  #pieces(feed: Feed): Uint8Array[] {
    const size = 1 + feed.below(200), bytes = feed.rest();
    if (bytes.length === 0) return [new Uint8Array(0)];
    return Array.from(
      { length: Math.ceil(bytes.length / size) },
      (_, i) => bytes.subarray(i * size, (i + 1) * size),
    );
  }

  #request(feed: Feed): string {
    const client = feed.pick(CLIENTS), user = feed.pick(USERS), method = feed.pick(REQUESTS);
    const peer = feed.pick(PEERS),
      channel = feed.pick([0x4000, 0x4001, 0x4002, 0x4fff, 0x7fff, 0x3fff, 0x8000, 0]);
    const attributes: StunAttribute[] = [];
    const flags = feed.u8();
    if (method === Method.ALLOCATE && !(flags & 1 && flags & 2)) attributes.push([A.REQUESTED_TRANSPORT, 17]);
    if (flags & 4) attributes.push([A.ADDITIONAL_ADDRESS_FAMILY, 6]);
    if (flags & 8) attributes.push([A.REQUESTED_ADDRESS_FAMILY, flags & 1 ? 4 : 6]);
    if (flags & 16) attributes.push([A.LIFETIME, feed.pick([0, 1, 600, 3600, 0xffffffff])]);
    if (method === Method.CHANNEL_BIND) {
      attributes.push([A.CHANNEL_NUMBER, channel], [A.XOR_PEER_ADDRESS, peer]);
    }
    if (method === Method.CREATE_PERMISSION) attributes.push([A.XOR_PEER_ADDRESS, peer]);
    const nonce = this.#nonces.get(client.key);
    const transactionId = new Uint8Array(12).fill(flags & 32 ? 0 : ++this.#ids);
    const request = encodeStun({
      class: "request",
      method,
      transactionId,
      attributes: [
        ...attributes,
        [A.USERNAME, user.username],
        [A.REALM, "firezone"],
        ...(nonce === undefined ? [] : [[A.NONCE, nonce] as const]),
      ],
      integrityKey: flags & 128 && flags & 64 ? USERS[0]!.key : user.key,
    });
    if (feed.below(5) === 1) request[feed.u16() % request.length]! ^= 1 << feed.below(8);
    const sent = this.#relay.fromClient(client, [request], this.#now);
    assert.ok(sent.length <= 1, "one request, one answer at most");
    const answer = sent[0] && this.#checkAnswer(sent[0], client, request);
    if (answer?.nonce !== undefined) this.#nonces.set(client.key, answer.nonce);
    if (answer?.class === "success" && answer.method === Method.CHANNEL_BIND) {
      this.#noteBound(client, peer, request);
    }
    for (const relayed of answer?.xorRelayedAddresses ?? []) this.#ports.add(relayed.port);
    return `${method} ${answer?.class} ${answer?.errorCode?.code}`;
  }

  #noteBound(client: SocketAddress, peer: SocketAddress, request: Uint8Array): void {
    const asked = decodeStun(request);
    // A flipped bit would have broken the integrity: what was bound is what was asked for.
    assert.ok(
      asked && USERS.some((user) => verifyIntegrity(asked, user.key)),
      "bound by an unsigned request",
    );
    assert.ok(asked.xorPeerAddress?.equals(peer));
    const isOwn = peer.ip === RELAY_V4 || peer.ip === RELAY_V6;
    assert.ok(isOwn ? peer.port !== 3478 : PUBLIC_PEERS.includes(peer.key), `bound to ${peer}`);
    this.#bound.set(client.key, (this.#bound.get(client.key) ?? new Set()).add(peer.key));
  }

  /** Answers go to whom they belong, from where they were asked, and amplify little. */
  #checkAnswer(sent: Sent, client: SocketAddress, request: Uint8Array): StunMessage {
    assert.ok(sent.dst.equals(client));
    assert.equal(sent.port, 3478);
    const answer = decodeStun(sent.payload);
    assert.ok(answer, "an answer that can't be read");
    assert.deepEqual(answer.transactionId.toHex(), request.subarray(8, 20).toHex());
    assert.ok(sent.payload.length <= 300, `an answer of ${sent.payload.length} bytes`);
    return answer;
  }

  #fromClient(client: SocketAddress, datagrams: readonly Uint8Array[]): string {
    const before = this.#figures();
    for (const sent of this.#relay.fromClient(client, datagrams, this.#now)) {
      if (sent.port === 3478 && sent.dst.equals(client) && decodeStun(sent.payload)) continue;
      if (sent.port === 3478) this.#checkToClient(sent);
      else {
        assert.ok(this.#bound.get(client.key)?.has(sent.dst.key), `sent to ${sent.dst}, which nobody bound`);
        assert.ok(this.#ports.has(sent.port), "from a port that was never allocated");
        assert.ok(sent.payload.length > 0);
      }
    }
    return this.#moved(before);
  }

  #fromPeer(peer: SocketAddress, port: number, datagrams: readonly Uint8Array[]): string {
    const before = this.#figures();
    for (const sent of this.#relay.fromPeer(peer, port, datagrams, this.#now)) {
      this.#checkToClient(sent);
      assert.ok(this.#bound.get(sent.dst.key)?.has(peer.key), "from a peer that the client never bound");
    }
    return this.#moved(before);
  }

  #checkToClient(sent: Sent): void {
    assert.equal(sent.port, 3478);
    assert.ok(this.#bound.has(sent.dst.key), `ChannelData to ${sent.dst}, which bound nothing`);
    assert.equal((sent.payload[2]! << 8) | sent.payload[3]!, sent.payload.length - 4);
  }

  #figures(): Float64Array {
    return this.#relay.counters.values.slice();
  }

  /** The names of the counters that moved: what happened. */
  #moved(before: Float64Array): string {
    const counters: Counters = this.#relay.counters;
    return counters.names.filter((_, i) => counters.values[i] !== before[i]).join(" ");
  }
}

export const target: FuzzTarget = {
  title:
    "the relay sends to whom it owes an answer or what a signed request bound, and never to forbidden peers",
  seeds: [
    Uint8Array.of(100, 0, 0, 0, 0, 0, 0),
    Uint8Array.of(100, 0, 0, 0, 0, 0, 4),
    Uint8Array.of(100, 0, 0, 2, 0, 0, 0),
    Uint8Array.of(100, 0, 0, 1, 0, 0, 0),
    Uint8Array.of(160, 0, 0, 0, 1, 2, 3),
    Uint8Array.of(200, 0, 0, 9, 1, 2, 3),
    Uint8Array.of(230, 3),
  ],
  corpus,
  maxLength: 2048,
  generate,
  lifetime: 400,
  start: () => {
    const machine = new Machine();
    return (input) => machine.run(input);
  },
};
