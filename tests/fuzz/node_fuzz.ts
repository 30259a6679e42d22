import assert from "node:assert/strict";
import { SocketAddress, writeAddressRecord } from "../../mod/packet/mod.ts";
import {
  CLIENT_SOCKET,
  CLIENT_TUNNEL,
  Duo,
  GATEWAY_ID,
  GATEWAY_SOCKET,
  GATEWAY_TUNNEL,
} from "../gateway/duo.ts";
import { udp } from "../policy/packets.ts";
import { RELAY_V4 } from "../embedded/relay_harness.ts";
import corpus from "./corpus/node.hex" with { type: "text" };
import type { Dice } from "./dice.ts";
import { Feed } from "./feed.ts";
import { ipPacket, repair } from "./ip_packets.ts";
import { type FuzzTarget, join } from "./target.ts";

const MAX_PACKET = 1280;
const CLIENT_IP = "100.64.0.5", HOST = "10.0.0.9";
const address = (text: string) => SocketAddress.parse(text)!;
const SENDERS = [
  CLIENT_SOCKET,
  address(`${RELAY_V4}:3478`),
  address("198.51.100.66:666"),
  address("[2001:db8::66]:666"),
  address(`${RELAY_V4}:49152`),
  GATEWAY_SOCKET,
  address("0.0.0.0:0"),
];
/** How often the tunnel is shown to work still. */
const PROBE_INTERVAL = 100;

// What the first byte of an input says.
const RAW = 60, CHANGED = 140, REPLAYED = 165, INNER = 205, FROM_TUN = 225, CANDIDATES = 240;

function generate(dice: Dice): Uint8Array {
  const kind = dice.below(256);
  if (kind >= REPLAYED && kind < FROM_TUN) {
    return join([kind, dice.below(256), dice.below(256)], ipPacket(dice));
  }
  if (kind >= RAW) return join([kind], dice.bytes(6 + dice.below(12)));
  const first = dice.pick([0, 0, 1, 1, 2, 3, 4, 0x40, 0x41, 0x80]);
  return join(
    [kind, dice.below(256), dice.below(4), first],
    dice.bytes(dice.pick([0, 3, 19, 31, 63, 91, 147, 160])),
  );
}

/** A gateway with a live tunnel to a client, on a wire that the whole world may write to. */
class Machine {
  readonly #duo = new Duo();
  readonly #captured: Uint8Array[] = [];
  /** Packets that the client sent and the attacker keeps, to deliver them when he likes. */
  readonly #withheld = new Set<string>();
  #runs = 0;
  #probes = 0;

  constructor() {
    this.#probe();
    this.#duo.advance(3_000);
    this.#probe();
  }

  run(input: Uint8Array): string {
    const feed = new Feed(input);
    const kind = feed.u8();
    const before = this.#duo.gatewayEnd.counters.values.slice();
    this.#duo.atGateway.length = 0;
    if (kind < RAW) this.#inject(feed);
    else if (kind < CHANGED) this.#injectChanged(feed, true);
    else if (kind < REPLAYED) this.#injectChanged(feed, false);
    else if (kind < INNER) this.#fromInside(feed);
    else if (kind < FROM_TUN) this.#fromTun(feed);
    else if (kind < CANDIDATES) this.#signal(feed);
    else {
      this.#duo.advance(feed.pick([1, 10, 100, 1000, 5000]));
      if (feed.below(8) === 1) this.#duo.gateway.networkChanged(this.#duo.now);
    }
    for (const packet of kind >= REPLAYED && kind < INNER ? [] : this.#duo.atGateway) {
      assert.ok(this.#withheld.delete(packet.toHex()), `${packet.toHex()} came out of nothing, or twice`);
    }
    if (++this.#runs % PROBE_INTERVAL === 0) this.#probe();
    const { counters } = this.#duo.gatewayEnd;
    return counters.names.filter((_, i) => counters.values[i] !== before[i]).join(" ");
  }

  /** The tunnel works: what the client sends arrives, in spite of all that was said to the gateway. */
  #probe(): void {
    const { wire, atGateway } = this.#duo;
    wire.length = 0;
    for (let attempt = 0;; attempt++) {
      atGateway.length = 0;
      const packet = udp(CLIENT_IP, 1000, HOST, 53, `probe ${this.#probes++}`);
      this.#duo.fromClient(packet);
      if (atGateway.some((one) => one.toHex() === packet.toHex())) break;
      assert.ok(attempt < 30, "the tunnel is dead");
      this.#duo.advance(1_000);
    }
    atGateway.length = 0;
    const heard = wire.filter(({ dst }) => dst.equals(GATEWAY_SOCKET)).map(({ payload }) => payload.slice());
    // What arrived was consumed: to see it again is a replay.
    this.#captured.push(...heard);
    this.#withhold(8);
    if (this.#captured.length > 256) this.#captured.splice(0, this.#captured.length - 256);
  }

  #withhold(count: number): void {
    const { wire } = this.#duo;
    wire.length = 0;
    this.#duo.direct = false;
    for (let i = 0; i < count; i++) {
      const packet = udp(CLIENT_IP, 1000, HOST, 53, `withheld ${this.#probes++}`);
      this.#withheld.add(packet.toHex());
      this.#duo.fromClient(packet);
    }
    this.#duo.direct = true;
    this.#captured.push(
      ...wire.filter(({ dst }) => dst.equals(GATEWAY_SOCKET)).map(({ payload }) => payload.slice()),
    );
  }

  #deliver(from: SocketAddress, segment: number, bytes: Uint8Array): void {
    const { gateway, gatewayEnd, now } = this.#duo;
    const [offset, length, fromRecord, local] = gatewayEnd.place({
      src: from,
      dst: GATEWAY_SOCKET,
      payload: bytes,
    });
    if (from.port === 0) gatewayEnd.slab.bytes.fill(0, fromRecord, fromRecord + 20);
    else writeAddressRecord(gatewayEnd.slab, fromRecord, from);
    gateway.path.handleDatagrams(offset, length, segment, 0, fromRecord, local, now);
    this.#duo.settle();
  }

  #inject(feed: Feed): void {
    const from = feed.pick(SENDERS), cut = feed.below(4), bytes = feed.rest();
    this.#deliver(from, cut === 0 ? Math.max(1, bytes.length >> 1) : Math.max(1, bytes.length), bytes);
  }

  #injectChanged(feed: Feed, changes: boolean): void {
    const from = feed.pick(SENDERS);
    // Mostly of the newest, which may be fresh.
    const back = feed.below(2) === 0 ? feed.below(16) : feed.u16();
    const bytes = this.#captured[this.#captured.length - 1 - back % this.#captured.length]!.slice();
    if (changes) {
      for (let count = 1 + feed.below(3); count > 0; count--) {
        bytes[feed.u16() % bytes.length]! ^= 1 << feed.below(8);
      }
    }
    this.#deliver(from, bytes.length, bytes);
  }

  /** The client itself may seal any bytes; what comes out of TUN is then from it and to where it may go. */
  #fromInside(feed: Feed): void {
    const flags = feed.u8(), choice = feed.u8(), bytes = feed.rest().slice(0, MAX_PACKET);
    const isV4 = bytes[0] !== undefined && bytes[0] >> 4 === 4;
    if (flags & 1 && bytes.length >= 40) {
      bytes.set(isV4 ? CLIENT_TUNNEL.ipv4 : CLIENT_TUNNEL.ipv6, isV4 ? 12 : 8);
    }
    if (flags & 2 && isV4 && bytes.length >= 20) bytes.set([choice & 1 ? 10 : 11, 0, 0, choice], 16);
    if (flags & 4) repair(bytes, true);
    const isGoodbye = bytes[40] === 2 && bytes[6] === 255;
    const connection = this.#duo.clientEnd.node.connection(GATEWAY_ID);
    if (!connection || isGoodbye) return;
    this.#duo.client.path.send(connection, bytes, this.#duo.now);
    this.#duo.settle();
    for (const packet of this.#duo.atGateway) {
      const isV4 = packet[0]! >> 4 === 4, at = isV4 ? 12 : 8, size = isV4 ? 4 : 16;
      const source = packet.subarray(at, at + size).toHex();
      assert.equal(
        source,
        (isV4 ? CLIENT_TUNNEL.ipv4 : CLIENT_TUNNEL.ipv6).toHex(),
        "a spoofed source got in",
      );
      const destination = packet.subarray(at + size, at + 2 * size).toHex();
      const isGateway = destination === (isV4 ? GATEWAY_TUNNEL.ipv4 : GATEWAY_TUNNEL.ipv6).toHex();
      assert.ok(isGateway || (isV4 && packet[16] === 10), `${destination} is not granted`);
    }
  }

  #fromTun(feed: Feed): void {
    const flags = feed.u8(), packet = feed.rest();
    const vnet = flags & 1 ? Uint8Array.of(1, flags & 2 ? 1 : 5, 0, 0, 100, 0, 20, 0, 16, 0) : undefined;
    this.#duo.fromGateway(packet, vnet);
  }

  /** Whoever speaks for the client at the portal may name any address. */
  #signal(feed: Feed): void {
    const ip = feed.pick([
      "192.0.2.10",
      "198.51.100.66",
      "127.0.0.1",
      "2001:db8::66",
      "10.0.0.1",
      "224.0.0.1",
    ]);
    const text = `candidate:${feed.u8()} 1 udp ${feed.u16()} ${ip} ${feed.u16()} typ ${
      feed.pick(["host", "srflx", "relay"])
    }`;
    const type = feed.below(4) === 0 ? "invalidate_ice_candidates" : "ice_candidates";
    this.#duo.gateway.handlePortal({
      type,
      clientId: "11111111-1111-4111-8111-111111111111",
      candidates: [text, new TextDecoder().decode(feed.rest())],
    }, this.#duo.now);
    this.#duo.settle();
  }
}

export const target: FuzzTarget = {
  title:
    "datagrams from anybody: nothing that the client did not send gets in, and its tunnel goes on working",
  seeds: [
    Uint8Array.of(1, 2, 1, 4, 0, 0, 0),
    Uint8Array.of(100, 2, 0, 0, 1, 0, 0, 3),
    Uint8Array.of(180, 0, 0, 1),
    Uint8Array.of(230, 0, 0, 0, 0, 0),
    Uint8Array.of(250, 2),
  ],
  corpus,
  maxLength: 1500,
  generate,
  lifetime: 600,
  smoke: 500,
  start: () => {
    const machine = new Machine();
    return (input) => machine.run(input);
  },
};
