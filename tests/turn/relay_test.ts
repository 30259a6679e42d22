/** The client against the relay's core, over a simulated network that delays, loses and repeats. */
import { deepEqual, equal, ok } from "node:assert/strict";
import { relayCredentials } from "../../mod/embedded/relay/credentials.ts";
import { SocketAddress } from "../../mod/packet/address.ts";
import { decodeChannelData, encodeChannelData } from "../../mod/stun/mod.ts";
import { Allocation, type AllocationEvent } from "../../mod/turn/mod.ts";
import {
  RELAY_V4,
  RELAY_V6,
  RelayHarness,
  seededRandom,
  STAMP_SECRET,
  UNIX_NOW,
} from "../embedded/relay_harness.ts";

const PEER = SocketAddress.parse("198.51.100.7:4000")!;
const LISTENING = { 4: SocketAddress.of(RELAY_V4, 3478)!, 6: SocketAddress.of(RELAY_V6, 3478)! };

interface Flight {
  readonly at: number;
  readonly deliver: (now: number) => void;
}

class World {
  now: number;
  relay: RelayHarness | undefined = new RelayHarness();
  /** Our addresses as the relay sees them; changing one is a NAT that rebinds. */
  readonly mapped = {
    4: SocketAddress.parse("203.0.113.5:40000")!,
    6: SocketAddress.parse("[2001:db8:5::5]:52625")!,
  };
  readonly local = {
    4: SocketAddress.parse("10.0.0.5:52625")!,
    6: SocketAddress.parse("[2001:db8:5::5]:52625")!,
  };
  readonly allocation: Allocation;
  readonly events: AllocationEvent[] = [];
  /** Payloads that reached the peer, and those that reached us with the peer they came from. */
  readonly atPeer: number[] = [];
  readonly atClient: [number, string][] = [];
  readonly #flights: Flight[] = [];
  readonly #dice: () => number;

  constructor(readonly loss = 0, seed = 1, start = 10_000, readonly latency = 20) {
    this.now = start;
    const random = seededRandom(seed);
    this.#dice = () => random(1)[0]! / 256;
    this.allocation = new Allocation({
      relayId: "r",
      addresses: { v4: LISTENING[4], v6: LISTENING[6] },
      ...relayCredentials({ publicKey: "device", stampSecret: STAMP_SECRET, expiresAt: UNIX_NOW + 86400 }),
      realm: "firezone",
      software: "snownet",
      random,
      now: this.now,
    });
    this.#drain();
  }

  /** One payload to the peer; false when there is no channel for it. */
  send(byte: number): boolean {
    const channel = this.allocation.channelTo(PEER, this.now);
    this.#drain();
    if (channel === 0) return false;
    this.#toRelay(
      LISTENING[this.allocation.activeSocket!.family],
      encodeChannelData(channel, Uint8Array.of(byte)),
    );
    return true;
  }

  /** One payload from the peer to our relayed address. */
  sendFromPeer(byte: number): void {
    const port = this.allocation.relayedAddress(4)?.port;
    if (port === undefined) return;
    this.#fly((now) => this.#fromRelay(this.relay?.fromPeer(PEER, port, [Uint8Array.of(byte)], now)));
  }

  refresh(): void {
    this.allocation.refresh(this.now);
    this.#drain();
  }

  release(): void {
    this.allocation.release(this.now);
    this.#drain();
  }

  /** Runs the clock, every timer and every datagram for `ms`. */
  run(ms: number): void {
    const end = this.now + ms;
    for (;;) {
      const flight = this.#flights.reduce((a, b) => b.at < a ? b.at : a, Infinity);
      const timer = this.allocation.pollTimeout() ?? Infinity;
      const sweep = this.relay?.server.pollTimeout() ?? Infinity;
      const next = Math.min(flight, timer, sweep);
      if (next > end) break;
      ok(next >= this.now, "time goes forward");
      this.now = next;
      for (const due of this.#flights.filter((f) => f.at <= next)) {
        this.#flights.splice(this.#flights.indexOf(due), 1);
        due.deliver(next);
      }
      if (timer <= next) this.allocation.handleTimeout(next);
      if (sweep <= next) this.relay?.server.handleTimeout(next);
      this.#drain();
    }
    this.now = end;
  }

  #drain(): void {
    for (let t; (t = this.allocation.pollTransmit());) this.#toRelay(t.dst, t.payload);
    for (let event; (event = this.allocation.pollEvent());) this.events.push(event);
  }

  #toRelay(dst: SocketAddress, payload: Uint8Array): void {
    this.#fly((now) => this.#fromRelay(this.relay?.fromClient(this.mapped[dst.family], [payload], now)));
  }

  #fromRelay(sent: ReturnType<RelayHarness["fromClient"]> = []): void {
    for (const { port, dst, payload } of sent) {
      this.#fly((now) => {
        if (port !== 3478) {
          if (dst.equals(PEER)) this.atPeer.push(payload[0]!);
        } else if (dst.equals(this.mapped[dst.family])) this.#atClient(dst.family, payload, now);
      });
    }
  }

  #atClient(family: 4 | 6, payload: Uint8Array, now: number): void {
    const data = decodeChannelData(payload);
    if (data) {
      const peer = this.allocation.peerOf(data.channel, now);
      if (peer) this.atClient.push([data.payload[0]!, peer.key]);
    } else {
      this.allocation.handleDatagram(LISTENING[family], this.local[family], payload, now);
      this.#drain();
    }
  }

  #fly(deliver: (now: number) => void): void {
    if (this.#dice() < this.loss) return;
    const copies = this.loss > 0 && this.#dice() < 0.05 ? 2 : 1;
    for (let i = 0; i < copies; i++) {
      const jitter = this.loss > 0 ? this.#dice() * this.latency : 0;
      this.#flights.push({ at: this.now + this.latency + jitter, deliver });
    }
  }

  get isAllocated(): boolean {
    return this.allocation.relayedAddress(4) !== undefined;
  }
}

Deno.test("two addresses are allocated in three round trips, and data flows in both directions at once", () => {
  const world = new World();
  world.run(119);
  ok(!world.isAllocated);
  world.run(1);
  ok(world.isAllocated);
  equal(world.allocation.relayedAddress(6)?.port, world.allocation.relayedAddress(4)?.port);
  equal(world.allocation.rtt, 40);
  deepEqual(world.events.map((e) => e.type), [
    "host",
    "server-reflexive",
    "host",
    "server-reflexive",
    "relayed",
    "relayed",
  ]);
  for (let byte = 1; byte <= 3; byte++) ok(world.send(byte), "also the first packet");
  world.run(100);
  deepEqual(world.atPeer, [1, 2, 3]);
  world.sendFromPeer(9);
  world.run(100);
  deepEqual(world.atClient, [[9, PEER.key]]);
});

Deno.test("an hour of two-way traffic every 10 seconds keeps allocation and channel without a gap", () => {
  const world = new World();
  world.run(200);
  let sent = 0;
  for (let second = 0; second < 3600; second += 10) {
    ok(world.send(1));
    sent++;
    world.sendFromPeer(2);
    world.run(10_000);
  }
  equal(world.atPeer.length, sent);
  equal(world.atClient.length, sent, "also the first answer, though it raced the bind");
  equal(world.events.some((e) => e.type === "invalidated"), false);
});

Deno.test("one-way traffic is bound anew every ten minutes, without losing a packet", () => {
  const world = new World();
  world.run(200);
  for (let second = 0; second < 3600; second += 10) {
    ok(world.send(1));
    world.run(10_000);
  }
  equal(world.atPeer.length, 360);
});

Deno.test("an allocation is made and used through loss, reordering and repetition", () => {
  let lost = 0;
  for (let seed = 1; seed <= 30; seed++) {
    const world = new World(0.15, seed);
    for (let i = 0; i < 100; i++) {
      world.send(i);
      world.sendFromPeer(i);
      world.run(500);
    }
    // Eight seconds without one answer are bad luck that the client can't tell from a dead relay.
    if (world.allocation.freed) lost++;
    else {
      ok(world.atPeer.length > 50, `seed ${seed}: ${world.atPeer.length} of 100 to the peer`);
      ok(world.atClient.length > 50, `seed ${seed}: ${world.atClient.length} of 100 to the client`);
    }
  }
  ok(lost <= 3, `${lost} of 30 given up`);
});

Deno.test("a relay that restarts is noticed, allocated on anew, and carries data again", () => {
  const world = new World();
  world.run(200);
  world.send(1);
  world.run(100);
  const before = world.allocation.relayedAddress(4)!;
  world.relay = new RelayHarness({ seed: 77 });
  world.refresh();
  world.run(1000);
  ok(world.isAllocated);
  ok(!world.allocation.relayedAddress(4)!.equals(before));
  deepEqual(world.events.slice(6).map((e) => e.type), ["invalidated", "relayed", "relayed"]);
  ok(world.send(2));
  world.run(100);
  deepEqual(world.atPeer, [1, 2]);
});

Deno.test("a relay that dies is noticed within 25 and 8.125 seconds", () => {
  const world = new World();
  world.run(200);
  world.relay = undefined;
  world.run(33_124 - 80);
  ok(world.isAllocated);
  world.run(200);
  ok(!world.isAllocated);
  equal(world.allocation.freed, "no response received");
});

Deno.test("a nonce that goes stale is replaced in passing", () => {
  const world = new World();
  world.run(200);
  for (let hour = 0; hour < 3; hour++) {
    for (let minute = 0; minute < 60; minute += 5) {
      world.run(300_000);
      ok(world.isAllocated);
    }
  }
  equal(world.events.some((e) => e.type === "invalidated"), false);
  ok(world.relay!.counters.get("relay_challenges") >= 3, "the first one and one an hour");
});

Deno.test("a NAT that gives us another port costs at most one keepalive interval", () => {
  const world = new World();
  world.run(200);
  world.mapped[4] = SocketAddress.parse("203.0.113.5:55555")!;
  world.run(26_000);
  ok(world.isAllocated);
  deepEqual(world.events.slice(6).map((e) => e.type), [
    "server-reflexive",
    "invalidated",
    "relayed",
    "relayed",
  ]);
  equal(world.relay!.server.allocations, 1, "the credential's older allocation was ended");
  ok(world.send(1));
  world.run(100);
  deepEqual(world.atPeer, [1]);
});

Deno.test("a client that was killed and starts again on the same port takes over from itself", () => {
  const relay = new RelayHarness();
  const first = new World();
  first.relay = relay;
  first.run(200);
  const second = new World(0, 2, first.now);
  second.relay = relay;
  second.run(1000);
  ok(second.isAllocated);
  equal(relay.server.allocations, 1);
});

Deno.test("a relay without room is asked again with pauses until it has some", () => {
  const world = new World();
  world.relay = new RelayHarness({ limits: { allocations: 0 } });
  world.run(30_000);
  ok(!world.isAllocated);
  equal(world.allocation.freed, undefined);
  world.relay = new RelayHarness();
  world.run(60_000);
  ok(world.isAllocated);
});

Deno.test("release leaves nothing behind at the relay", () => {
  const world = new World();
  world.run(200);
  world.send(1);
  world.run(100);
  world.release();
  world.run(100);
  equal(world.relay!.server.allocations, 0);
  equal(world.relay!.openPorts.size, 0);
  equal(world.allocation.freed, "released");
});
