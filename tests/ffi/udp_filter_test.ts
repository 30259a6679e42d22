/** The kernel drops what is no protocol of ours, and nothing else. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { describeErrno } from "../../ffi/errno.ts";
import { attachFilter } from "../../ffi/udp/filter.ts";
import { assemble, BPF } from "../../ffi/udp/bpf.ts";
import { assembleFilter, MAX_KEYS } from "../../ffi/udp/filter_program.ts";
import { UdpSocket } from "../../ffi/udp/mod.ts";
import { type IpFamily, SocketAddress } from "../../mod/packet/address.ts";
import { Counters } from "../../mod/packet/counters.ts";
import { Path } from "../../mod/packet/path.ts";
import { OPEN_SCREEN, type Screen, sparedKey } from "../../mod/packet/screen.ts";
import { Slab } from "../../mod/packet/slab.ts";
import { TransmitQueue } from "../../mod/packet/transmit_queue.ts";
import {
  AttributeType,
  decodeStun,
  encodeChannelData,
  encodeStun,
  Method,
  shortTermKey,
  type StunAttribute,
} from "../../mod/stun/mod.ts";
import { classify, MessageType } from "../../mod/wireguard/mod.ts";
import { screenPasses } from "../world/kernel_screen.ts";

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

  constructor(readonly family: IpFamily = 4) {
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

  /** How many of `count` copies arrive. */
  count(bytes: Uint8Array, count: number): number {
    let arrived = 0;
    for (let left = count; left > 0; left -= 500) {
      arrived += this.pass(...Array.from({ length: Math.min(left, 500) }, () => bytes)).length;
    }
    return arrived;
  }

  /** The address record of the one who sends here. */
  get sender(): Uint32Array {
    return Path.of(SocketAddress.of(LOOPBACK[this.family], this.#from.port)!).words;
  }

  [Symbol.dispose](): void {
    this.#from.close();
    this.to.close();
  }
}

/** A check for this user, behind `before` other attributes. */
function checkFor(username: string | undefined, before = 0): Uint8Array {
  return encodeStun({
    class: "request",
    method: Method.BINDING,
    transactionId: new Uint8Array(12).fill(7),
    attributes: [
      ...Array.from({ length: before }, (): StunAttribute => [AttributeType.PRIORITY, 1]),
      ...(username === undefined ? [] : [[AttributeType.USERNAME, username] as const]),
    ],
    integrityKey: shortTermKey("a password of 22 bytes"),
    fingerprint: true,
  });
}

const userKey = (name: string) => new DataView(new TextEncoder().encode(name).buffer).getUint32(0);
const ascending = (keys: Iterable<number>) => [...new Set(keys)].sort((a, b) => a - b);

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

for (const family of [4, 6] as const) {
  Deno.test(`IPv${family}: with a list of users, requests for others end in the kernel, and nothing else does`, () => {
    using wire = new Wire(family);
    assert.ok(wire.to.screen({ ...OPEN_SCREEN, users: ascending(["abcd", "wxyz"].map(userKey)) }));
    assert.deepEqual(wire.pass(...OURS), OURS);
    for (const name of ["abcd", "abcd:efgh", "abcde:f", "wxyz:1"]) {
      for (const before of [0, 1, 5, 9]) {
        const bytes = checkFor(name, before);
        assert.deepEqual(wire.pass(bytes), [bytes], `${name} behind ${before}`);
      }
    }
    for (const before of [0, 3]) assert.deepEqual(wire.pass(checkFor(undefined, before)), []);
    for (const name of ["abc", "abc:", "abcx:efgh", "xabcd", "zzzz:1", "aaaa:1"]) {
      for (const before of [0, 1, 5]) {
        assert.deepEqual(wire.pass(checkFor(name, before)), [], `${name} behind ${before}`);
      }
    }
    const train = Array.from({ length: 3 }, () => checkFor("nobody:1"));
    assert.deepEqual(wire.passTrain(train), train, "of a train only the first one is seen");
    assert.ok(wire.to.screen(OPEN_SCREEN));
    assert.deepEqual(wire.pass(checkFor("nobody:1")), [checkFor("nobody:1")], "and it can be taken back");
  });

  Deno.test(`IPv${family}: of a thinned source's handshakes without cookie one in 256 passes, and all else`, () => {
    using wire = new Wire(family);
    const source = SocketAddress.of(LOOPBACK[family], 1)!.bytes;
    const [initiation, response] = [wireguard(1, 148).fill(0, 132), wireguard(2, 92).fill(0, 76)];
    const others = [...OURS, initiation.with(147, 1), response.with(76, 1), initiation.with(135, 9)];
    const elsewhere = [
      Uint8Array.of(127, 0, 0, 2),
      new Uint8Array(8).fill(1),
      new Uint8Array(8).fill(1, 7),
      new Uint8Array(8).fill(1, 0, 1),
    ];
    const thinned: readonly Screen["thinned"][] = [
      "everyone",
      [source.slice(0, 8)],
      [...elsewhere, source.slice(0, 8)],
    ];
    for (const whom of thinned) {
      assert.ok(wire.to.screen({ ...OPEN_SCREEN, thinned: whom }));
      for (const handshake of [initiation, response]) {
        const passed = wire.count(handshake, 32_000);
        assert.ok(passed > 70 && passed < 180, `${passed} of 32,000`); // 125 ± 11
      }
      assert.deepEqual(wire.pass(...others), others);
      const train = Array.from({ length: 20 }, () => initiation);
      assert.deepEqual(wire.passTrain(train), train);
    }
    assert.ok(wire.to.screen({ ...OPEN_SCREEN, thinned: elsewhere }));
    assert.equal(wire.count(initiation, 1_000), 1_000, "others are not touched");
    const strangers = Array.from({ length: MAX_KEYS - 1 }, (_, i) => i * 4_000_000);
    for (const around of [[], strangers]) {
      const spared = ascending([sparedKey(wire.sender, 0), ...around]);
      assert.ok(wire.to.screen({ ...OPEN_SCREEN, thinned: "everyone", spared }));
      assert.equal(wire.count(initiation, 1_000), 1_000, "nor who is spared");
    }
    const next = [...wire.sender];
    next[0]! += 1 << 16;
    assert.ok(
      wire.to.screen({
        ...OPEN_SCREEN,
        thinned: "everyone",
        spared: [sparedKey(Uint32Array.from(next), 0)],
      }),
    );
    assert.ok(wire.count(initiation, 4_000) < 40, "the next port is somebody else");
  });
}

Deno.test("any number of users is searched; more than fit the program are not, and everybody passes", () => {
  using wire = new Wire();
  const names = (count: number) => Array.from({ length: count }, (_, i) => (0x61000000 + 7 * i));
  const text = (key: number) =>
    new TextDecoder("latin1").decode(new Uint8Array(Uint32Array.of(key).buffer).reverse());
  for (const count of [0, 1, 2, 7, 8, 9, 16, 17, 100, MAX_KEYS]) {
    const users = names(count);
    assert.ok(wire.to.screen({ users, thinned: "everyone", spared: users }));
    const ascii = users.filter((key) => (key & 0x80808080) === 0);
    const known = ascii.filter((_, i) => i % 5 === 0 || i === ascii.length - 1);
    for (const key of known) {
      assert.equal(wire.pass(checkFor(text(key))).length, 1, `${key} of ${count}`);
      assert.equal(wire.pass(checkFor(text(key + 1))).length, 0, `${key + 1} of ${count}`);
    }
    assert.equal(wire.pass(checkFor("~~~~"), checkFor("!!!!")).length, 0);
  }
  assert.ok(wire.to.screen({ ...OPEN_SCREEN, users: names(MAX_KEYS + 1) }));
  assert.equal(wire.pass(checkFor("~~~~")).length, 1);
});

Deno.test("nobody is thinned when more are to be spared than fit the program, and that is said", () => {
  using wire = new Wire();
  const spared = Array.from({ length: MAX_KEYS + 1 }, (_, i) => i);
  assert.ok(!wire.to.screen({ ...OPEN_SCREEN, thinned: "everyone", spared }));
  assert.equal(wire.count(wireguard(1, 148).fill(0, 132), 1_000), 1_000);
});

Deno.test("whatever the screen and the bytes, the kernel keeps out no more than the screen means", () => {
  using wire = new Wire();
  const users = fc.option(
    fc.array(fc.constantFrom("abcd", "abce", "wxyz", "\0\0\0\0"), { maxLength: 4 }),
    { nil: undefined },
  );
  const packet = fc.tuple(
    fc.oneof(
      fc.constantFrom(...OURS, checkFor("wxyz:ab", 2), checkFor("nobody", 1), checkFor(undefined, 3)),
      fc.string({ maxLength: 9 }).map((name) => checkFor(name)),
    ),
    fc.array(fc.tuple(fc.nat(150), fc.nat(255)), { maxLength: 3 }),
  ).map(([template, changes]) => {
    const copy = template.slice();
    for (const [at, value] of changes) if (at < copy.length) copy[at] = value;
    return copy;
  });
  const sender = SocketAddress.of(LOOPBACK[4], 1)!;
  fc.assert(
    fc.property(users, fc.array(packet, { minLength: 1, maxLength: 20 }), (names, packets) => {
      const screen = { ...OPEN_SCREEN, users: names && ascending(names.map(userKey)) };
      assert.ok(wire.to.screen(screen));
      const ours = packets.filter((bytes) =>
        (classify(bytes) !== MessageType.None || decodeStun(bytes) !== undefined) &&
        screenPasses(screen, bytes, sender, () => 0)
      );
      const arrived = wire.pass(...packets).map((bytes) => bytes.toHex());
      for (const bytes of ours) assert.ok(arrived.includes(bytes.toHex()), bytes.toHex());
    }),
    { numRuns: 400 },
  );
});

Deno.test("the longest program is one that the kernel takes", () => {
  using wire = new Wire(6);
  const keys = Array.from({ length: MAX_KEYS }, (_, i) => i * 4_000_000);
  const thinned = Array.from({ length: 20 }, (_, i) => new Uint8Array(8).fill(i));
  const screen = { users: keys, thinned, spared: keys };
  assert.ok(assembleFilter(screen, 6).length / 8 <= 4096);
  assert.ok(wire.to.screen(screen));
  assert.deepEqual(wire.pass(wireguard(4, 48)), [wireguard(4, 48)]);
});

Deno.test("a jump back, to nowhere or too far is no program", () => {
  const nothing = { code: BPF.JMP_JA, k: 0 };
  const jump = { code: BPF.JMP_JEQ_K, k: 0, yes: "there" };
  assert.throws(() => assemble([jump]), /no jump from 0 to "there"/);
  assert.throws(() => assemble([{ ...nothing, label: "there" }, jump]), /no jump from 1/);
  const far = (count: number) => [
    jump,
    ...Array.from({ length: count }, () => nothing),
    { label: "there", code: BPF.RET_K, k: 0 },
  ];
  assert.equal(assemble(far(255)).length, 8 * 257);
  assert.throws(() => assemble(far(256)), /no jump/);
});

Deno.test("a kernel that refuses the filter is told by its error, and every jump of the program stays inside", () => {
  assert.match(describeErrno(attachFilter(-1, 4, OPEN_SCREEN)), /EBADF/);
  const bytes = assembleFilter(OPEN_SCREEN, 4);
  const count = bytes.length / 8;
  for (let i = 0; i < count; i++) {
    assert.ok(i + 1 + Math.max(bytes[8 * i + 2]!, bytes[8 * i + 3]!) < count || bytes[8 * i] === 0x06);
  }
});
