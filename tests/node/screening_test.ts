/** What the kernel is asked to keep out, when, and whom it must not touch. */
import assert from "node:assert/strict";
import { KnownPaths } from "../../mod/node/known_paths.ts";
import { Screening } from "../../mod/node/screening.ts";
import { SocketAddress } from "../../mod/packet/address.ts";
import { Path } from "../../mod/packet/path.ts";
import { type Screen, sparedKey } from "../../mod/packet/screen.ts";
import { seededRandom } from "../wireguard/fixture.ts";

const V4 = Uint8Array.of(192, 0, 2, 1);
const v6 = (last: number) => Uint8Array.from({ length: 16 }, (_, i) => i === 15 ? last : 0x20 + i);
const OPEN: Screen = { users: undefined, thinned: [], spared: [] };
const record = (text: string) => Path.of(SocketAddress.parse(text)!).words;

class Subject {
  floods = 0;
  readonly fragments: string[] = ["zzzz", "abcd", "ab"];
  readonly screening = new Screening(
    seededRandom(5),
    { flood: () => void this.floods++ },
    () => this.fragments,
  );

  strangers(count: number, now: number): void {
    for (let i = 0; i < count; i++) this.screening.noteStranger(now);
  }

  unproven(count: number, now: number, source: (i: number) => Uint8Array = () => V4): void {
    for (let i = 0; i < count; i++) this.screening.noteUnproven(source(i), now);
  }

  /** The screen that is applied now, when there is a new one. */
  apply(): Screen | undefined {
    const screen = this.screening.poll();
    if (screen) this.screening.noteResult(true);
    return screen;
  }
}

Deno.test("2,000 checks for nobody within a second are a flood, fewer are none", () => {
  const subject = new Subject();
  subject.fragments.pop();
  for (let second = 0; second < 5; second++) subject.strangers(1_999, 1_000 * second);
  assert.equal(subject.apply(), undefined);
  assert.equal(subject.screening.pollTimeout(), Infinity);
  subject.strangers(1, 4_999);
  assert.deepEqual(subject.apply(), { users: [0x61626364, 0x7a7a7a7a], thinned: [], spared: [] });
  assert.equal(subject.apply(), undefined, "said once");
  assert.equal(subject.floods, 1);
});

Deno.test("users are let in by the first four bytes of their fragments; one that is shorter lets everybody in", () => {
  const subject = new Subject();
  subject.strangers(2_000, 0);
  assert.deepEqual(subject.apply(), OPEN);
  const other = new Subject();
  other.fragments.splice(0, 3, "ábcd1", "abcdefgh", "abcdxyz");
  other.strangers(2_000, 0);
  assert.deepEqual(other.apply()?.users, [0x61626364, 0xc3a16263]);
});

Deno.test("what is kept out is let in again after five seconds, and at once when somebody new may be asked for", () => {
  const subject = new Subject();
  subject.fragments.pop();
  subject.strangers(2_000, 100);
  subject.apply();
  assert.equal(subject.screening.pollTimeout(), 5_100);
  subject.screening.handleTimeout(5_099);
  assert.equal(subject.apply(), undefined);
  subject.screening.handleTimeout(5_100);
  assert.deepEqual(subject.apply(), OPEN);
  subject.strangers(2_000, 5_101);
  assert.notEqual(subject.apply()?.users, undefined);
  subject.screening.noteUser();
  assert.deepEqual(subject.apply(), OPEN);
  assert.equal(subject.screening.pollTimeout(), Infinity);
  subject.screening.noteUser();
  assert.equal(subject.apply(), undefined, "in peace a new user costs nothing");
  subject.strangers(1_999, 5_102);
  assert.equal(subject.apply(), undefined);
  subject.strangers(1, 5_103);
  assert.notEqual(subject.apply()?.users, undefined, "while the flood goes on, it is noticed again");
});

Deno.test("a source of 2,000 handshakes without cookie within a second is thinned for five; the others are not", () => {
  const subject = new Subject();
  subject.unproven(1_999, 0);
  subject.unproven(1_999, 0, () => v6(1));
  subject.unproven(1_999, 1_000);
  assert.equal(subject.apply(), undefined);
  subject.unproven(1, 1_001);
  subject.unproven(2_000, 1_002, v6);
  assert.ok(!subject.screening.isThinned(V4), "not before the kernel does it");
  assert.deepEqual(subject.apply()?.thinned, [V4, v6(0).slice(0, 8)]);
  assert.equal(subject.floods, 2);
  assert.ok(subject.screening.isThinned(V4) && subject.screening.isThinned(v6(77)));
  assert.ok(!subject.screening.isThinned(Uint8Array.of(192, 0, 2, 2)));
  subject.unproven(50_000, 1_003);
  assert.equal(subject.apply(), undefined, "what passes of them changes nothing");
  assert.equal(subject.screening.pollTimeout(), 6_001);
  subject.screening.handleTimeout(6_001);
  assert.deepEqual(subject.apply(), OPEN);
  assert.ok(!subject.screening.isThinned(V4));
});

Deno.test("whoever still floods after five seconds stays thinned without an exchange of filters; the others are let go", () => {
  const others = [v6(0), Uint8Array.of(192, 0, 2, 2)];
  const subject = new Subject();
  for (const source of [V4, ...others]) subject.unproven(2_000, 0, () => source);
  assert.equal(subject.apply()?.thinned.length, 3);
  subject.unproven(8, 4_000);
  subject.unproven(8, 4_500, () => v6(9));
  subject.unproven(5_000, 3_999, () => others[1]!);
  subject.unproven(7, 4_999, () => others[1]!);
  subject.screening.handleTimeout(5_000);
  assert.deepEqual(
    subject.apply()?.thinned,
    [V4, v6(0).slice(0, 8)],
    "of the third less passed than of a flood",
  );
  assert.equal(subject.screening.pollTimeout(), 10_000);
  assert.ok(subject.screening.isThinned(v6(1)) && !subject.screening.isThinned(others[1]!));
  for (const source of [V4, v6(0)]) subject.unproven(8, 9_000, () => source);
  subject.screening.handleTimeout(10_000);
  assert.equal(subject.apply(), undefined);
  assert.equal(subject.floods, 3);
  subject.screening.handleTimeout(15_000);
  assert.deepEqual(subject.apply(), OPEN, "what passed in the seconds before counts once");
  assert.equal(subject.screening.pollTimeout(), Infinity);
  subject.unproven(2_000, 15_001);
  assert.deepEqual(subject.apply()?.thinned, [V4]);
});

Deno.test("everybody stays thinned as long as one in 256 of 10,000 handshakes passes in a second", () => {
  const anywhere = (i: number) => Uint8Array.of(10, i >> 16, i >> 8, i);
  const subject = new Subject();
  subject.unproven(10_000, 0, anywhere);
  assert.equal(subject.apply()?.thinned, "everyone");
  subject.unproven(40, 4_100, anywhere);
  subject.screening.handleTimeout(5_000);
  assert.equal(subject.apply(), undefined);
  subject.unproven(39, 9_100, anywhere);
  subject.screening.handleTimeout(10_000);
  assert.deepEqual(subject.apply(), OPEN);
});

Deno.test("10,000 handshakes without cookie from all over thin everybody's; sources that are thinned don't count", () => {
  const anywhere = (i: number) => Uint8Array.of(10, i >> 16, i >> 8, i);
  const subject = new Subject();
  subject.unproven(60_000, 0);
  subject.unproven(7_900, 0, anywhere);
  assert.deepEqual(subject.apply()?.thinned, [V4]);
  subject.unproven(2_100, 0, anywhere);
  assert.equal(subject.apply()?.thinned, "everyone");
  assert.ok(subject.screening.isThinned(Uint8Array.of(1, 2, 3, 4)));
  subject.screening.handleTimeout(5_000);
  assert.deepEqual(subject.apply(), OPEN);
});

Deno.test("no more than 16 sources are thinned by name", () => {
  const subject = new Subject();
  for (let i = 0; i < 20; i++) subject.unproven(2_000, 1_000 * i, () => Uint8Array.of(10, 0, 0, i));
  subject.screening.handleTimeout(1_999);
  const { thinned } = subject.apply()!;
  assert.equal(thinned.length, 16);
});

Deno.test("a kernel that refuses the screen thins nobody", () => {
  const subject = new Subject();
  subject.unproven(2_000, 0);
  assert.notEqual(subject.screening.poll(), undefined);
  subject.screening.noteResult(false);
  assert.ok(!subject.screening.isThinned(V4));
});

Deno.test("connected peers are spared while others are thinned, wherever they move", () => {
  const subject = new Subject(), peer = {}, other = {};
  const at = (text: string) => SocketAddress.parse(text)!;
  subject.screening.notePath(peer, at("192.0.2.1:4000"), 0);
  subject.screening.notePath(other, at("[2001:db8::1]:4000"), 0);
  assert.equal(subject.apply(), undefined);
  subject.unproven(2_000, 0);
  const keys = (...texts: string[]) => texts.map((text) => sparedKey(record(text), 0)).sort((a, b) => a - b);
  assert.deepEqual(subject.apply()?.spared, keys("192.0.2.1:4000", "[2001:db8::1]:4000"));
  subject.screening.notePath(peer, at("192.0.2.1:4000"), 1);
  assert.equal(subject.apply(), undefined, "nothing new");
  subject.screening.notePath(peer, at("192.0.2.1:4001"), 2);
  assert.deepEqual(subject.apply()?.spared, keys("192.0.2.1:4001", "[2001:db8::1]:4000"));
  assert.ok(subject.screening.isConnected(record("192.0.2.1:4001"), 0));
  assert.ok(!subject.screening.isConnected(record("192.0.2.1:4000"), 0));
  subject.screening.forgetPath(peer);
  assert.ok(!subject.screening.isConnected(record("192.0.2.1:4001"), 0));
});

Deno.test("a connected peer is spared the cookie five times at once and then once a second", () => {
  const paths = new KnownPaths(), peer = {}, where = record("192.0.2.1:4000");
  assert.ok(!paths.takes(where, 0, 0));
  assert.ok(paths.set(peer, SocketAddress.parse("192.0.2.1:4000")!, 0));
  const taken = () => Array.from({ length: 7 }, () => paths.takes(where, 0, 0)).filter(Boolean).length;
  assert.equal(taken(), 5);
  assert.ok(!paths.takes(where, 0, 900));
  assert.ok(paths.takes(where, 0, 1_000));
  assert.ok(!paths.takes(where, 0, 1_900));
  assert.ok(!paths.takes(record("192.0.2.1:4001"), 0, 5_000), "another port is somebody else");
});

Deno.test("two peers at one address: the one who stays is still known when the other has gone", () => {
  const paths = new KnownPaths(), one = {}, two = {}, there = SocketAddress.parse("192.0.2.1:4000")!;
  paths.set(one, there, 0);
  paths.set(two, there, 0);
  paths.delete(one);
  assert.ok(paths.has(Path.of(there).words, 0));
  paths.delete(two);
  paths.delete(two);
  assert.ok(!paths.has(Path.of(there).words, 0));
  assert.deepEqual(paths.keys(), []);
});
