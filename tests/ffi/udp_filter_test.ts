/** The kernel drops what is no protocol of ours, and nothing else. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { describeErrno } from "../../ffi/errno.ts";
import { assembleFilter, attachFilter } from "../../ffi/udp/filter.ts";
import { UdpSocket } from "../../ffi/udp/mod.ts";
import { type IpFamily, SocketAddress } from "../../mod/packet/address.ts";
import { Counters } from "../../mod/packet/counters.ts";
import { Path } from "../../mod/packet/path.ts";
import { Slab } from "../../mod/packet/slab.ts";
import { TransmitQueue } from "../../mod/packet/transmit_queue.ts";
import {
  AttributeType,
  decodeStun,
  encodeChannelData,
  encodeStun,
  Method,
  shortTermKey,
} from "../../mod/stun/mod.ts";
import { classify, MessageType } from "../../mod/wireguard/mod.ts";

const LOOPBACK = { 4: "127.0.0.1", 6: "::1" } as const;
/** A keepalive: passes any time. */
const END = wireguard(4, 32);

class Wire {
  readonly counters = new Counters();
  readonly #slab = new Slab(4 << 20);
  readonly #queue = new TransmitQueue(this.#slab, { areaLength: 1 << 20, capacity: 4096 });
  readonly #from: UdpSocket;
  readonly to: UdpSocket;
  readonly #path: Path;

  constructor(family: IpFamily = 4) {
    const common = { family, slab: this.#slab, counters: this.counters, port: 0, receiveBuffers: 8 };
    this.#from = UdpSocket.open(common);
    this.to = UdpSocket.open({ ...common, filtered: true });
    this.#path = Path.of(SocketAddress.of(LOOPBACK[family], this.to.port)!);
  }

  /** What arrives of these datagrams, each sent by itself. */
  pass(...datagrams: readonly Uint8Array[]): Uint8Array[] {
    // Neighbours of different ECN are never merged.
    [...datagrams, END].forEach((bytes, i) => this.#push(bytes, bytes.length, i & 1));
    return this.#receive();
  }

  /** The same, sent as one train of equal ones. */
  passTrain(datagrams: readonly Uint8Array[]): Uint8Array[] {
    const size = datagrams[0]!.length, train = new Uint8Array(size * datagrams.length);
    datagrams.forEach((bytes, i) => train.set(bytes, i * size));
    this.#push(train, size, 0);
    this.#push(END, END.length, 1);
    return this.#receive();
  }

  #push(bytes: Uint8Array, segment: number, ecn: number): void {
    const at = this.#queue.reserve(bytes.length);
    this.#slab.bytes.set(bytes, at);
    this.#queue.push(at, bytes.length, segment, this.#path, ecn);
  }

  #receive(): Uint8Array[] {
    assert.equal(this.#from.send(this.#queue, 0), this.#queue.count);
    this.#queue.clear();
    const arrived: Uint8Array[] = [];
    for (let count = this.to.receive(); count > 0; count = this.to.receive()) {
      for (let i = 0; i < count; i++) {
        const start = this.to.offsetOf(i), end = start + this.to.lengthOf(i), step = this.to.segmentOf(i);
        for (let at = start; at < end; at += step) {
          arrived.push(this.#slab.bytes.slice(at, Math.min(end, at + step)));
        }
      }
    }
    assert.deepEqual(arrived.pop(), END, "nothing is lost on the way");
    return arrived;
  }

  [Symbol.dispose](): void {
    this.#from.close();
    this.to.close();
  }
}

function wireguard(type: number, length: number): Uint8Array {
  return new Uint8Array(length).fill(0xab).fill(0, 1, 4).fill(type, 0, 1);
}

const check = encodeStun({
  class: "request",
  method: Method.BINDING,
  transactionId: new Uint8Array(12).fill(7),
  attributes: [[AttributeType.USERNAME, "abcd:efgh"], [AttributeType.PRIORITY, 1]],
  integrityKey: shortTermKey("a password of 22 bytes"),
  fingerprint: true,
});
const OURS: readonly Uint8Array[] = [
  wireguard(1, 148),
  wireguard(2, 92),
  wireguard(3, 64),
  wireguard(4, 32),
  wireguard(4, 48),
  wireguard(4, 1312),
  check,
  encodeStun({
    class: "indication",
    method: Method.BINDING,
    transactionId: new Uint8Array(12),
    attributes: [],
  }),
  encodeStun({
    class: "success",
    method: Method.ALLOCATE,
    transactionId: new Uint8Array(12),
    attributes: [],
  }),
  encodeStun({ class: "error", method: Method.REFRESH, transactionId: new Uint8Array(12), attributes: [] }),
  encodeChannelData(0x4000, wireguard(4, 32)),
  encodeChannelData(0x4fff, wireguard(4, 1312)),
  encodeChannelData(0x4abc, check),
];
const NOT_OURS: readonly Uint8Array[] = [
  Uint8Array.of(1),
  Uint8Array.of(4, 0, 0, 0),
  wireguard(0, 148),
  wireguard(1, 147),
  wireguard(2, 91),
  wireguard(3, 63),
  wireguard(4, 31),
  wireguard(5, 148),
  wireguard(4, 64).fill(1, 3, 4),
  check.with(4, 0x20),
  check.with(7, 0x43),
  check.with(3, check[3]! + 1),
  check.with(3, check[3]! + 4),
  check.with(0, 0x81),
  check.subarray(0, check.length - 4),
  encodeChannelData(0x3fff, check),
  encodeChannelData(0x5000, check),
  encodeChannelData(0x4000, check).with(3, check.length + 1),
  new TextEncoder().encode("GET / HTTP/1.1\r\n\r\n"),
  new Uint8Array(148).fill(0xff),
];

for (const family of [4, 6] as const) {
  Deno.test(`IPv${family}: a filtered socket receives everything that is a protocol of ours`, () => {
    using wire = new Wire(family);
    assert.deepEqual(wire.to.warnings, []);
    assert.deepEqual(wire.pass(...OURS), OURS);
    wire.to.countDropped();
    assert.equal(wire.counters.get("udp_receive_dropped"), 0);
  });

  Deno.test(`IPv${family}: the kernel drops and counts what is no protocol of ours`, () => {
    using wire = new Wire(family);
    for (const bytes of NOT_OURS) assert.deepEqual(wire.pass(bytes), [], bytes.toHex());
    wire.to.countDropped();
    wire.to.countDropped();
    assert.equal(wire.counters.get("udp_receive_dropped"), NOT_OURS.length);
  });
}

Deno.test("the filter refuses nothing that the demultiplexer would take, whatever the bytes", () => {
  using wire = new Wire();
  const any = fc.oneof(
    fc.uint8Array({ maxLength: 300 }),
    fc.tuple(
      fc.constantFrom(...OURS, ...NOT_OURS),
      fc.array(fc.tuple(fc.nat(40), fc.nat(255)), { maxLength: 3 }),
    ).map(([template, changes]) => {
      const copy = template.slice();
      for (const [at, value] of changes) if (at < copy.length) copy[at] = value;
      return copy;
    }),
  );
  fc.assert(
    fc.property(any, (bytes) => {
      if (bytes.length === 0) return;
      const stated = (bytes[2]! << 8) | bytes[3]!;
      const isChannelData = bytes[0]! >> 4 === 4 && stated === bytes.length - 4;
      const isTaken = classify(bytes) !== MessageType.None || decodeStun(bytes) !== undefined ||
        isChannelData;
      if (isTaken) assert.deepEqual(wire.pass(bytes), [bytes]);
    }),
    { numRuns: 3_000 },
  );
});

Deno.test("a forged datagram at the head of a train costs none of its followers", () => {
  using wire = new Wire();
  const train = Array.from({ length: 20 }, (_, i) => i === 0 ? new Uint8Array(1312) : wireguard(4, 1312));
  assert.deepEqual(wire.passTrain(train), train);
});

Deno.test("trains of handshakes and of short packets pass", () => {
  using wire = new Wire();
  for (const one of [wireguard(1, 148), wireguard(4, 32), check, encodeChannelData(0x4000, check)]) {
    for (const count of [2, 40]) {
      const train = Array.from({ length: count }, () => one);
      assert.deepEqual(wire.passTrain(train), train);
    }
  }
});

Deno.test("a kernel that refuses the filter is told by its error, and every jump of the program stays inside", () => {
  assert.match(describeErrno(attachFilter(-1)), /EBADF/);
  const bytes = assembleFilter();
  const count = bytes.length / 8;
  for (let i = 0; i < count; i++) {
    assert.ok(i + 1 + Math.max(bytes[8 * i + 2]!, bytes[8 * i + 3]!) < count || bytes[8 * i] === 0x06);
  }
});
