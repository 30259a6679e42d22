import assert from "node:assert/strict";
import fc from "fast-check";
import { SocketAddress } from "../../mod/packet/address.ts";
import { Path, PATH_WORDS } from "../../mod/packet/path.ts";
import { Slab } from "../../mod/packet/slab.ts";
import { MAX_UDP_PAYLOAD, TransmitQueue } from "../../mod/packet/transmit_queue.ts";

const AREA = 4 * 65536;
const address = (text: string) => SocketAddress.parse(text)!;
const PEER = Path.of(address("192.0.2.1:52625"), address("10.0.0.1:1"));
const OTHER = Path.of(address("[2001:db8::1]:4242"));

function setup(capacity = 256) {
  const slab = new Slab(8 * 65536);
  return { slab, queue: new TransmitQueue(slab, { areaLength: AREA, capacity }) };
}

function add(queue: TransmitQueue, length: number, segment = length, path = PEER, ecn = 0): number {
  const offset = queue.reserve(length);
  assert.notEqual(offset, 0);
  queue.push(offset, length, segment, path, ecn);
  return offset;
}

const entries = (queue: TransmitQueue) =>
  Array.from({ length: queue.count }, (_, i) => [queue.lengthOf(i), queue.segmentOf(i), queue.ecnOf(i)]);

Deno.test("datagrams of one size on one path become one entry, and a shorter one closes it", () => {
  const { queue } = setup();
  const first = add(queue, 1312);
  add(queue, 1312);
  add(queue, 400);
  add(queue, 1312);
  assert.deepEqual(entries(queue), [[3024, 1312, 0], [1312, 1312, 0]]);
  assert.equal(queue.offsetOf(0), first);
  assert.equal(queue.offsetOf(1), first + 3024);
});

Deno.test("a run with a short last segment extends the entry before it and closes it", () => {
  const { queue } = setup();
  add(queue, 3 * 1312, 1312);
  add(queue, 2 * 1312 + 96, 1312);
  add(queue, 1312);
  assert.deepEqual(entries(queue), [[5 * 1312 + 96, 1312, 0], [1312, 1312, 0]]);
});

Deno.test("another path, ECN, or a longer datagram starts a new entry", () => {
  const { queue } = setup();
  add(queue, 96);
  add(queue, 96, 96, OTHER);
  add(queue, 96, 96, OTHER, 2);
  add(queue, 112, 112, OTHER, 2);
  assert.equal(queue.count, 4);
});

Deno.test("returning to an old path never overtakes what was queued in between", () => {
  const { queue } = setup();
  add(queue, 96);
  add(queue, 96, 96, OTHER);
  add(queue, 96);
  assert.equal(queue.count, 3);
});

Deno.test("a run over the GSO limits is cut at 64 segments and at 65,507 bytes", () => {
  const { queue } = setup();
  add(queue, 70 * 160, 160);
  add(queue, 60 * 1312, 1312, OTHER);
  assert.deepEqual(entries(queue), [
    [64 * 160, 160, 0],
    [6 * 160, 160, 0],
    [49 * 1312, 1312, 0],
    [11 * 1312, 1312, 0],
  ]);
});

Deno.test("lengths that are no multiple of 4 leave a gap and are not merged", () => {
  const { queue } = setup();
  const first = add(queue, 21);
  assert.equal(add(queue, 21), first + 24);
  assert.equal(queue.count, 2);
});

Deno.test("what a push leaves unused of its reservation is given back", () => {
  const { queue } = setup();
  const first = queue.reserve(4096);
  queue.push(first, 1312, 1312, PEER, 0);
  assert.equal(add(queue, 1312), first + 1312);
  assert.equal(queue.count, 1);
});

Deno.test("an entry keeps the path it was pushed with", () => {
  const { queue } = setup();
  const path = Path.of(address("192.0.2.1:1"));
  add(queue, 96, 96, path);
  path.set(address("198.51.100.7:2"));
  const at = queue.wordsOffset(0);
  const expected = Path.of(address("192.0.2.1:1")).words;
  assert.deepEqual(queue.words.slice(at, at + PATH_WORDS), expected);
});

Deno.test("control datagrams are copied, carry ECN 0 and keep their source", () => {
  const { slab, queue } = setup();
  const payload = Uint8Array.of(1, 2, 3, 4, 5);
  assert.ok(queue.pushDatagram({ dst: address("192.0.2.1:52625"), src: address("10.0.0.1:1"), payload }));
  assert.deepEqual(entries(queue), [[5, 5, 0]]);
  assert.deepEqual(slab.bytes.slice(queue.offsetOf(0), queue.offsetOf(0) + 5), payload);
  assert.deepEqual(queue.words.slice(0, PATH_WORDS), PEER.words);
  assert.throws(
    () => queue.pushDatagram({ dst: address("192.0.2.1:1"), payload: new Uint8Array(MAX_UDP_PAYLOAD + 1) }),
    RangeError,
  );
});

Deno.test("a full area or table refuses the reservation until it is cleared", () => {
  const { queue } = setup(4);
  const first = queue.reserve(AREA);
  assert.equal(first, 0, "the table could not hold the entries of a whole area");
  const big = setup().queue;
  assert.notEqual(big.reserve(AREA), 0);
  assert.equal(big.reserve(1), 0);
  big.clear();
  assert.notEqual(big.reserve(1), 0);
  const offset = add(queue, 96);
  add(queue, 96, 96, OTHER);
  add(queue, 96);
  assert.equal(queue.reserve(96), 0);
  assert.equal(queue.pushDatagram({ dst: address("192.0.2.1:1"), payload: new Uint8Array(4) }), false);
  queue.clear();
  assert.equal(queue.count, 0);
  assert.equal(queue.byteLength, 0);
  assert.equal(add(queue, 96), offset);
});

Deno.test("a path reads back as the addresses it was set from", () => {
  assert.equal(PEER.destination?.key, "192.0.2.1:52625");
  assert.equal(PEER.source?.key, "10.0.0.1:1");
  assert.equal(OTHER.destination?.key, "[2001:db8::1]:4242");
  assert.equal(OTHER.source, undefined);
  assert.ok(OTHER.isSet && !new Path().isSet);
  assert.ok(PEER.equals(Path.of(PEER.destination!, PEER.source)) && !PEER.equals(OTHER));
});

Deno.test("property: entries obey GSO, and cutting them gives back every datagram in order", () => {
  const push = fc.record({
    segment: fc.integer({ min: 2, max: 330 }).map((n) => n * 4),
    count: fc.integer({ min: 1, max: 70 }),
    short: fc.integer({ min: 0, max: 40 }),
    other: fc.boolean(),
    ecn: fc.integer({ min: 0, max: 1 }),
  });
  fc.assert(fc.property(fc.array(push, { maxLength: 20 }), (pushes) => {
    const { slab, queue } = setup(1024);
    const expected: string[] = [];
    let tag = 1;
    for (const { segment, count, short, other, ecn } of pushes) {
      const length = segment * count - Math.min(short, segment - 1);
      const offset = queue.reserve(length);
      if (offset === 0) break;
      for (let at = 0; at < length; at += segment) {
        const size = Math.min(segment, length - at);
        slab.bytes.fill(tag & 255, offset + at, offset + at + size);
        expected.push(`${size}/${tag++ & 255}/${other}/${ecn}`);
      }
      queue.push(offset, length, segment, other ? OTHER : PEER, ecn);
    }
    const actual: string[] = [];
    for (let i = 0; i < queue.count; i++) {
      const [length, segment] = [queue.lengthOf(i), queue.segmentOf(i)];
      assert.ok(length <= 65507 && Math.ceil(length / segment) <= 64 && segment <= length);
      const other = queue.words[queue.wordsOffset(i)] === OTHER.words[0];
      for (let at = 0; at < length; at += segment) {
        const size = Math.min(segment, length - at);
        const bytes = slab.bytes.subarray(queue.offsetOf(i) + at, queue.offsetOf(i) + at + size);
        assert.ok(bytes.every((b) => b === bytes[0]));
        actual.push(`${size}/${bytes[0]}/${other}/${queue.ecnOf(i)}`);
      }
    }
    assert.deepEqual(actual, expected);
  }));
});
