import assert from "node:assert/strict";
import { blake2s } from "@noble/hashes/blake2.js";
import { classify, MessageType } from "../../mod/wireguard/mod.ts";
import { type Endpoint, Pair, senderOf, SOURCE } from "../wireguard/fixture.ts";
import corpus from "./corpus/wireguard.hex" with { type: "text" };
import type { Dice } from "./dice.ts";
import { Feed } from "./feed.ts";
import { fromText, type FuzzTarget, join } from "./target.ts";

const ACCEPTED: readonly string[] = ["initiation-accepted", "response-accepted", "cookie-accepted"];
const LABEL = fromText("mac1----");
const SIDES = ["client", "gateway"] as const;
type Side = typeof SIDES[number];

// What the first byte of an input says; the lowest bit names the receiving side.
const RAW = 80, CHANGED = 190, REPLAYED = 215, SENT = 235;

function generate(dice: Dice): Uint8Array {
  const lengths = [0, 31, 32, 48, 64, 92, 148, 200];
  const kind = dice.below(256);
  if (kind >= RAW) return join([kind], dice.bytes(4 + dice.below(12)));
  return join([kind, dice.below(256), dice.below(6), 0, 0, 0], dice.bytes(dice.pick(lengths)));
}

/** Two ends with a live session, and an attacker who sees, changes, repeats and invents datagrams. */
class Machine {
  readonly #pair = Pair.connected();
  /** Everything that either end ever sent, as hex, with what it may still achieve. */
  readonly #genuine: { readonly to: Side; readonly bytes: Uint8Array }[] = [];
  readonly #known = new Map<string, Side>();
  readonly #delivered = { client: new Set<string>(), gateway: new Set<string>() };
  #sent = 0;

  constructor() {
    for (const { from, datagram } of this.#pair.log) {
      const to = from === "client" ? "gateway" : "client";
      this.#record(to, datagram);
      const isTransport = classify(datagram) === MessageType.Transport;
      this.#delivered[to].add(isTransport ? datagram.toHex() : authenticated(datagram, datagram.length - 32));
    }
    this.#send("client", 3);
    this.#send("gateway", 3);
    this.#pair.client.tunnel.initiate(this.#pair.now);
    this.#collect();
  }

  run(input: Uint8Array): string {
    const feed = new Feed(input);
    const kind = feed.u8();
    const to = SIDES[kind & 1]!;
    if (kind < RAW) return this.#deliver(to, this.#repaired(to, feed.u8(), feed.rest()));
    if (kind < CHANGED) return this.#deliver(to, this.#changed(to, feed));
    if (kind < REPLAYED) return this.#deliver(to, this.#pick(feed).bytes);
    if (kind < SENT) return this.#send(to, 1 + feed.below(3));
    const { now } = this.#pair;
    if (feed.below(4) === 0) this.#pair[to].tunnel.initiate(now);
    else this.#pair.now += feed.pick([1, 20, 100, 5000, 15_000, 121_000]);
    for (const side of SIDES) {
      const { tunnel } = this.#pair[side];
      tunnel.handleTimeout(this.#pair.now);
      assert.ok((tunnel.pollTimeout() ?? Infinity) > this.#pair.now, "asks to be woken in the past");
    }
    this.#collect();
    return "time";
  }

  /** Anybody who knows a public key can make mac1, so do we, or nothing would get past it. */
  #repaired(to: Side, flags: number, message: Uint8Array): Uint8Array {
    const type = flags & 1 ? classify(message) : MessageType.None;
    if (type !== MessageType.Initiation && type !== MessageType.Response) return message;
    const key = blake2s(join(LABEL, this.#pair[to].keys.publicKey));
    const end = message.length - 32;
    message.set(blake2s(message.subarray(0, end), { key, dkLen: 16 }), end);
    return message;
  }

  #pick(feed: Feed) {
    // Mostly of the newest, whose sessions are alive.
    const back = feed.below(2) === 0 ? feed.below(6) : feed.u16();
    return this.#genuine[this.#genuine.length - 1 - back % this.#genuine.length]!;
  }

  #changed(to: Side, feed: Feed): Uint8Array {
    const message = this.#pick(feed).bytes.slice();
    for (let changes = 1 + feed.below(3); changes > 0; changes--) {
      message[feed.u16() % message.length]! ^= 1 << feed.below(8);
    }
    const cut = feed.below(16) === 0 ? message.slice(0, feed.u16() % message.length) : message;
    return this.#repaired(to, feed.u8(), cut);
  }

  #deliver(to: Side, datagram: Uint8Array): string {
    const end = this.#pair[to], { now } = this.#pair;
    const hex = datagram.toHex();
    const isGenuine = this.#known.get(hex) === to;
    const isNew = !this.#delivered[to].has(hex);
    if (classify(datagram) === MessageType.Transport) {
      if (datagram.length > 4096) return "too long";
      const length = end.receive(datagram, now);
      this.#collect();
      if (length === undefined || length < 0) return `transport ${length}`;
      assert.ok(isGenuine, "a transport message was accepted that nobody sent");
      assert.ok(isNew, "a transport message was accepted twice");
      this.#delivered[to].add(hex);
      return "delivered";
    }
    const owner = senderOf(end.keys, datagram);
    if (owner) assert.ok(this.#isKnown(to, datagram, 88), "an initiation was identified that nobody sent");
    const outcome = end.tunnel.handleHandshake(datagram, SOURCE, now);
    if (ACCEPTED.includes(outcome)) {
      assert.ok(this.#isKnown(to, datagram, datagram.length - 32), `${outcome}: nobody sent this`);
      const part = authenticated(datagram, datagram.length - 32);
      assert.ok(!this.#delivered[to].has(part), `${outcome}: twice`);
      this.#delivered[to].add(part);
    }
    this.#collect();
    return `${classify(datagram)} ${outcome}`;
  }

  /** Whether the other end sent a handshake message that is the same up to `end`, as far as that is authenticated. */
  #isKnown(to: Side, datagram: Uint8Array, end: number): boolean {
    const part = authenticated(datagram, end);
    return this.#genuine.some((one) => one.to === to && authenticated(one.bytes, end) === part);
  }

  /** Genuine data, of which only some arrives. */
  #send(from: Side, count: number): string {
    const to = from === "client" ? "gateway" : "client";
    for (let i = 0; i < count; i++) {
      const datagram = this.#pair[from].send(`data number ${this.#sent++}`.padEnd(32), this.#pair.now);
      if (!datagram) return "no session";
      this.#record(to, datagram);
    }
    return "sent";
  }

  #collect(): void {
    for (const from of SIDES) {
      const end: Endpoint = this.#pair[from];
      for (const datagram of end.transmits()) {
        this.#record(from === "client" ? "gateway" : "client", datagram);
      }
    }
  }

  #record(to: Side, bytes: Uint8Array): void {
    this.#genuine.push({ to, bytes });
    this.#known.set(bytes.toHex(), to);
  }
}

/** Type and body of a handshake message: the sender's index is covered by mac1 only, which anybody can make. */
function authenticated(datagram: Uint8Array, end: number): string {
  return `${datagram[0]} ${datagram.subarray(8, end).toHex()}`;
}

export const target: FuzzTarget = {
  title: "nothing that the peer did not send is accepted, nothing is accepted twice",
  seeds: [
    Uint8Array.of(1, 0, 4, 0, 0, 0),
    Uint8Array.of(191, 0, 0),
    Uint8Array.of(190, 0, 1),
    Uint8Array.of(220, 1),
    Uint8Array.of(240, 1, 1),
  ],
  corpus,
  maxLength: 512,
  generate,
  lifetime: 300,
  start: () => {
    const machine = new Machine();
    return (input) => machine.run(input);
  },
};
