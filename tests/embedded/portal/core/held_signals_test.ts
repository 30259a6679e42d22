import assert from "node:assert/strict";
import { HeldSignals, HOLD_TIME } from "../../../../mod/embedded/portal/core/held_signals.ts";

const party = (id: string, publicKey = "key") => ({ id, publicKey });
const candidate = (n: number) => `candidate:${n} 1 udp 1 192.0.2.${n} 5000 typ host`;
const words = (held: HeldSignals, id: string, key = "key", now = 0) =>
  held.take(party(id, key), now).map(({ peerId, kind, candidates }) => [peerId, kind, candidates.length]);

Deno.test("held candidates: the last word about each counts, additions come first, and they are given once", () => {
  const held = new HeldSignals();
  held.hold(party("a"), party("x"), "remove", [candidate(9)], 0);
  held.hold(party("a"), party("x"), "add", [candidate(1), candidate(2)], 0);
  held.hold(party("a"), party("x"), "remove", [candidate(1)], 0);
  assert.deepEqual(words(held, "x"), [["a", "add", 1], ["a", "remove", 2]]);
  assert.deepEqual(words(held, "x"), []);
});

Deno.test("held candidates are for one process from one process, and for two minutes", () => {
  const held = new HeldSignals();
  held.hold(party("a"), party("x"), "add", [candidate(1)], 0);
  assert.deepEqual(words(held, "x", "another key"), []);
  held.hold(party("a"), party("x"), "add", [candidate(1)], 0);
  held.hold(party("a", "restarted"), party("x"), "add", [candidate(2)], 1);
  assert.deepEqual(held.take(party("x"), 1).map((one) => [one.from.publicKey, one.candidates]), [
    ["restarted", [candidate(2)]],
  ]);
  held.hold(party("a"), party("x"), "add", [candidate(1)], 0);
  assert.deepEqual(words(held, "x", "key", HOLD_TIME), []);
  held.hold(party("a"), party("x"), "add", [candidate(1)], 0);
  held.handleTimeout(HOLD_TIME);
  assert.deepEqual(words(held, "x"), []);
});

Deno.test("held candidates are bounded, per pair and together: the oldest go", () => {
  const held = new HeldSignals();
  for (let n = 0; n < 500; n++) held.hold(party("a"), party("x"), "add", [candidate(n)], 0);
  assert.deepEqual(words(held, "x"), [["a", "add", 64]]);
  const many = Array.from({ length: 64 }, (_, n) => candidate(n));
  for (let n = 0; n < 1_000; n++) held.hold(party(`from ${n}`), party(`to ${n}`), "add", many, 0);
  let kept = 0;
  for (let n = 0; n < 1_000; n++) kept += words(held, `to ${n}`).length;
  assert.ok(kept > 300 && kept < 320, `${kept} pairs were kept`);
});
