/** The packet path of one session: layout, runs, counters, alignment, refusals. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { Slab } from "../../mod/packet/slab.ts";
import {
  OPEN_CLOSED,
  OPEN_EXHAUSTED,
  OPEN_FORGED,
  OPEN_REPLAYED,
  OPEN_TOO_SHORT,
  Session,
} from "../../mod/wireguard/mod.ts";
import { TestAead } from "./fixture.ts";
import { twinOpen, twinSeal } from "./twin.ts";

const KEY_A = new Uint8Array(32).fill(0xa1), KEY_B = new Uint8Array(32).fill(0xb2);

/** The two ends of one session over one slab. */
function makeSessions() {
  const slab = new Slab(65536);
  const aead = new TestAead(slab);
  const make = (sendKey: Uint8Array, receiveKey: Uint8Array, remoteIndex: number, index: number) =>
    new Session(slab, aead, { sendKey: sendKey.slice(), receiveKey: receiveKey.slice(), remoteIndex }, {
      index,
      initiator: true,
      establishedAt: 0,
      sequence: 0,
    });
  return {
    slab,
    aead,
    area: slab.reserve(32768),
    ours: make(KEY_A, KEY_B, 0x80000002, 0x11111101),
    theirs: make(KEY_B, KEY_A, 0x11111101, 0x80000002),
  };
}

Deno.test("a run is sealed in place: header, ciphertext and tag at each stride, the last packet shorter", () => {
  const { slab, area, ours, theirs } = makeSessions();
  const stride = 128, lengths = [96, 96, 48];
  lengths.forEach((length, i) =>
    slab.bytes.fill(i + 1, area + i * stride + 16, area + i * stride + 16 + length)
  );
  slab.bytes.fill(0xee, area + 2 * stride + 16 + 48 + 16, area + 2 * stride + 200);
  ours.sendCounterLow = 0xffffffff;
  ours.seal(area, stride, 96, 48, 3);
  lengths.forEach((length, i) => {
    const at = area + i * stride;
    const message = slab.bytes.slice(at, at + length + 32);
    const view = new DataView(message.buffer);
    assert.equal(view.getUint32(0, true), 4);
    assert.equal(view.getUint32(4, true), 0x80000002);
    assert.equal(view.getBigUint64(8, true), 0xffffffffn + BigInt(i));
    assert.deepEqual(twinOpen(KEY_A, message), new Uint8Array(length).fill(i + 1));
    assert.equal(theirs.open(at, length + 32), length);
    assert.equal(theirs.openedAt, at + 16);
  });
  assert.deepEqual([ours.sendCounterLow, ours.sendCounterHigh], [2, 1]);
  assert.equal(slab.bytes[area + 2 * stride + 16 + 48 + 16], 0xee, "nothing behind the last tag is touched");
});

Deno.test("one packet uses the last length, and nothing at all is no run", () => {
  const { slab, area, ours, theirs } = makeSessions();
  ours.seal(area, 64, 999, 0, 1);
  assert.equal(theirs.open(area, 32), 0);
  const before = slab.bytes.slice();
  ours.seal(area, 64, 16, 16, 0);
  assert.deepEqual(slab.bytes, before);
  assert.equal(ours.sendCounterLow, 1);
});

Deno.test("a message opens at any alignment and of any length", () => {
  const { slab, area, theirs } = makeSessions();
  let counter = 0n;
  for (let shift = 0; shift < 8; shift++) {
    for (const length of [0, 1, 15, 16, 17, 63, 1280]) {
      const plaintext = Uint8Array.from({ length }, (_, i) => i * 7 + shift);
      const message = twinSeal(KEY_A, theirs.index, counter++, plaintext);
      slab.bytes.set(message, area + shift);
      assert.equal(theirs.open(area + shift, message.length), length);
      const at = theirs.openedAt;
      assert.equal(at, (area + shift + 16) & ~3);
      assert.deepEqual(slab.bytes.slice(at, at + length), plaintext);
    }
  }
});

Deno.test("a neighbour in the same datagram train survives the move of an unaligned message", () => {
  const { slab, area, theirs } = makeSessions();
  const first = twinSeal(KEY_A, theirs.index, 0n, new Uint8Array(37).fill(1));
  const second = twinSeal(KEY_A, theirs.index, 1n, new Uint8Array(37).fill(2));
  slab.bytes.set(first, area + 1);
  slab.bytes.set(second, area + 1 + first.length);
  assert.equal(theirs.open(area + 1, first.length), 37);
  const at = theirs.openedAt;
  assert.equal(theirs.open(area + 1 + first.length, second.length), 37);
  assert.deepEqual(slab.bytes.slice(at, at + 37), new Uint8Array(37).fill(1));
  assert.deepEqual(slab.bytes.slice(theirs.openedAt, theirs.openedAt + 37), new Uint8Array(37).fill(2));
});

Deno.test("each refusal has its reason and leaves the window as it was", () => {
  const { slab, area, theirs } = makeSessions();
  const put = (message: Uint8Array) => {
    slab.bytes.set(message, area);
    return theirs.open(area, message.length);
  };
  const good = twinSeal(KEY_A, theirs.index, 5n, new Uint8Array(16));
  assert.equal(put(good.subarray(0, 31)), OPEN_TOO_SHORT);
  assert.equal(put(good.with(20, good[20]! ^ 1)), OPEN_FORGED);
  assert.equal(put(good.with(47, good[47]! ^ 1)), OPEN_FORGED);
  assert.equal(put(good.with(8, 6)), OPEN_FORGED, "another counter is another nonce");
  assert.equal(put(good), 16);
  assert.equal(put(good), OPEN_REPLAYED);
  assert.equal(
    put(twinSeal(KEY_A, theirs.index, 2n ** 64n - 2n ** 13n - 1n, new Uint8Array(0))),
    OPEN_EXHAUSTED,
  );
  assert.equal(put(twinSeal(KEY_A, theirs.index, 2n ** 64n - 2n ** 13n - 2n, new Uint8Array(0))), 0);
  assert.equal(put(twinSeal(KEY_A, theirs.index, 6n, new Uint8Array(0))), OPEN_REPLAYED, "too far behind");
  theirs.close();
  assert.equal(
    put(twinSeal(KEY_A, theirs.index, 2n ** 64n - 2n ** 13n - 3n, new Uint8Array(0))),
    OPEN_CLOSED,
  );
});

Deno.test("closing frees both keys once", () => {
  const { aead, ours, theirs } = makeSessions();
  assert.equal(aead.live, 4);
  ours.close();
  ours.close();
  assert.equal(aead.live, 2);
  assert.ok(ours.closed && !theirs.closed);
  assert.throws(() => ours.seal(0, 32, 0, 0, 1), /the session is closed/);
});

Deno.test("the handshake's keys are wiped once the session has them", () => {
  const slab = new Slab(65536);
  const sendKey = KEY_A.slice(), receiveKey = KEY_B.slice();
  new Session(slab, new TestAead(slab), { sendKey, receiveKey, remoteIndex: 1 }, {
    index: 1,
    initiator: false,
    establishedAt: 0,
    sequence: 0,
  });
  assert.ok(sendKey.every((byte) => byte === 0) && receiveKey.every((byte) => byte === 0));
});

Deno.test("any bytes at any offset never throw and never open", () => {
  const { slab, area, theirs } = makeSessions();
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.integer({ min: 0, max: 64 }), (bytes, shift) => {
      slab.bytes.set(bytes, area + shift);
      assert.ok(theirs.open(area + shift, bytes.length) < 0);
    }),
  );
});
