import assert from "node:assert/strict";
import { SocketAddress } from "../../mod/packet/mod.ts";
import {
  AttributeType as A,
  decodeStun,
  encodeStun,
  Method,
  type StunAttribute,
  type StunMessage,
} from "../../mod/stun/mod.ts";
import { Allocation } from "../../mod/turn/mod.ts";
import { seededRandom } from "../embedded/relay_harness.ts";
import {
  KEY,
  LOCAL,
  MAPPED,
  PASSWORD,
  PEER,
  REALM,
  RELAY,
  RELAYED,
  USERNAME,
} from "../turn/scripted_relay.ts";
import corpus from "./corpus/turn.hex" with { type: "text" };
import type { Dice } from "./dice.ts";
import { Feed } from "./feed.ts";
import { type FuzzTarget, join } from "./target.ts";

const CODES = [400, 401, 437, 438, 420, 486, 500, 508, 300, 699];
const ADDRESSES = [
  RELAYED.v4,
  RELAYED.v6,
  SocketAddress.of("0.0.0.0", 0)!,
  SocketAddress.of("127.0.0.1", 1)!,
];

// What the first byte of an input says.
const HONEST = 90, ANSWER = 170, RAW = 190, BIND = 215, DATA = 225;

function generate(dice: Dice): Uint8Array {
  return join([dice.below(256)], dice.bytes(4 + dice.below(16)));
}

/** A client of a relay that holds the credentials, and answers what it likes. */
class Machine {
  readonly #allocation = new Allocation({
    relayId: "relay",
    addresses: RELAY,
    username: USERNAME,
    password: PASSWORD,
    realm: REALM,
    software: "x",
    random: seededRandom(7),
    now: 0,
  });
  #now = 0;
  readonly #requests: { readonly message: StunMessage; readonly dst: SocketAddress }[] = [];
  readonly #bound = new Set<string>();

  constructor() {
    this.#settle();
    for (let i = 0; i < 3; i++) this.run(Uint8Array.of(0, 0));
  }

  run(input: Uint8Array): string {
    const feed = new Feed(input);
    const kind = feed.u8();
    if (kind < ANSWER) {
      const index = feed.u8();
      const request = this.#requests[this.#requests.length - 1 - index % this.#requests.length];
      if (request) {
        const answer = kind < HONEST ? honest(request.message) : this.#anyAnswer(request.message, feed);
        const from = feed.below(8) === 1 ? feed.pick([RELAY.v4, RELAY.v6, PEER.v4]) : request.dst;
        const taken = this.#allocation.handleDatagram(
          from,
          from.family === 4 ? LOCAL.v4 : LOCAL.v6,
          answer,
          this.#now,
        );
        assert.ok(!taken || !from.equals(PEER.v4), "an answer of a stranger was taken");
        const said = decodeStun(answer)!;
        const mustBeSigned = said.class === "success" && said.method !== Method.BINDING;
        assert.ok(!taken || said.hasIntegrity || !mustBeSigned, "an unsigned success was taken");
      }
    } else if (kind < RAW) this.#allocation.handleDatagram(RELAY.v4, LOCAL.v4, feed.rest(), this.#now);
    else if (kind < BIND) {
      const peer = feed.below(3) === 0
        ? SocketAddress.of(`198.51.100.${feed.u8()}`, 1 + feed.u8())!
        : feed.pick([PEER.v4, PEER.v6]);
      this.#bound.add(peer.key);
      const channel = this.#allocation.channelTo(peer, this.#now);
      assert.ok(channel === 0 || (channel >= 0x4000 && channel <= 0x4fff), `channel ${channel}`);
    } else if (kind < DATA) {
      const peer = this.#allocation.peerOf(0x4000 + feed.below(4), this.#now);
      assert.ok(!peer || this.#bound.has(peer.key), "data from a peer that we never asked for");
      const question = feed.below(8);
      if (question === 0) this.#allocation.refresh(this.#now);
      else if (question === 1) this.#allocation.probe(this.#now);
    } else this.#now += feed.pick([1, 100, 1000, 9000, 61_000, 301_000]);
    return this.#settle();
  }

  #anyAnswer(request: StunMessage, feed: Feed): Uint8Array {
    const flags = feed.u8();
    const attributes: StunAttribute[] = [];
    if (flags & 1) attributes.push([A.ERROR_CODE, { code: feed.pick(CODES), reason: "" }]);
    if (flags & 2) attributes.push([A.LIFETIME, feed.pick([0, 1, 600, 0xffffffff])]);
    if (flags & 4) attributes.push([A.XOR_RELAYED_ADDRESS, feed.pick(ADDRESSES)]);
    if (flags & 8) attributes.push([A.XOR_RELAYED_ADDRESS, feed.pick(ADDRESSES)]);
    if (flags & 16) attributes.push([A.NONCE, feed.pick(["", "n", "x".repeat(200)])]);
    if (flags & 32) attributes.push([A.REALM, feed.pick([REALM, "other", ""])]);
    if (flags & 64) attributes.push([A.XOR_MAPPED_ADDRESS, feed.pick([MAPPED.v4, MAPPED.v6, ...ADDRESSES])]);
    return encodeStun({
      class: flags & 1 && flags & 128
        ? "error"
        : feed.pick(["success", "error", "success", "indication"] as const),
      method: feed.below(16) === 1 ? feed.pick(Object.values(Method)) : request.method,
      transactionId: request.transactionId,
      attributes,
      ...(feed.below(6) === 1 ? {} : { integrityKey: KEY }),
    });
  }

  #settle(): string {
    this.#allocation.handleTimeout(this.#now);
    let outcome = "", sent = 0;
    for (let out = this.#allocation.pollTransmit(); out; out = this.#allocation.pollTransmit()) {
      sent++;
      assert.ok(this.#allocation.matches(out.dst), `sent to ${out.dst}`);
      const message = decodeStun(out.payload);
      assert.ok(message, "a request that can't be read");
      this.#requests.push({ message, dst: out.dst });
      if (this.#requests.length > 32) this.#requests.shift();
      outcome += ` ${message.method}`;
    }
    // Two sockets, and whoever waited for the allocation.
    assert.ok(sent <= 110, `${sent} requests at once`);
    for (let event = this.#allocation.pollEvent(); event; event = this.#allocation.pollEvent()) {
      outcome += ` ${event.type}`;
      if (event.type === "relayed") assert.notEqual(event.address.port, 0);
    }
    assert.ok((this.#allocation.pollTimeout() ?? Infinity) > this.#now, "asks to be woken in the past");
    return `${outcome.slice(0, 60)} ${this.#allocation.freed} ${
      this.#allocation.relayedAddress(4) !== undefined
    }`;
  }
}

/** What a relay of this system says. */
function honest(request: StunMessage): Uint8Array {
  const attributes: StunAttribute[] = request.method === Method.BINDING
    ? [[A.XOR_MAPPED_ADDRESS, MAPPED.v4]]
    : request.method === Method.ALLOCATE
    ? [[A.XOR_RELAYED_ADDRESS, RELAYED.v4], [A.XOR_RELAYED_ADDRESS, RELAYED.v6], [A.LIFETIME, 600]]
    : [[A.LIFETIME, 600]];
  return encodeStun({
    class: "success",
    method: request.method,
    transactionId: request.transactionId,
    attributes,
    integrityKey: KEY,
  });
}

export const target: FuzzTarget = {
  title:
    "a relay with the right keys can't make us send to others than itself, flood it, or believe in strangers",
  seeds: [
    Uint8Array.of(0, 0),
    Uint8Array.of(191, 1, 0),
    Uint8Array.of(91, 0, 0, 129, 1),
    Uint8Array.of(91, 0, 0, 129, 2),
    Uint8Array.of(91, 0, 0, 145, 3),
    Uint8Array.of(226, 4),
  ],
  corpus,
  maxLength: 128,
  generate,
  lifetime: 300,
  start: () => {
    const machine = new Machine();
    return (input) => machine.run(input);
  },
};
