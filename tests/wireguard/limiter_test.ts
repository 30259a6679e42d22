import assert from "node:assert/strict";
import { HandshakeLimiter, type HandshakeLimiterOptions } from "../../mod/wireguard/mod.ts";
import { TokenBuckets } from "../../mod/wireguard/limiter.ts";
import { makeKeys, seededRandom, SOURCE } from "./fixture.ts";
import { twinInitiate, twinMac2, twinOpenCookie } from "./twin.ts";

const random = seededRandom(11);
const keys = makeKeys(random), client = makeKeys(random);
const { message } = twinInitiate({
  staticPrivate: client.privateKey,
  peerPublic: keys.publicKey,
  psk: new Uint8Array(32),
  ephemeralPrivate: random(32),
  timestamp: new Uint8Array(12),
  index: 9,
});

const makeLimiter = (options: Partial<HandshakeLimiterOptions> = {}) =>
  new HandshakeLimiter({ publicKey: keys.publicKey, random, ...options });
const verdict = (limiter: HandshakeLimiter, bytes: Uint8Array, now: number, source = SOURCE) => {
  const admission = limiter.admit(bytes, source, now);
  return admission.admitted ? "admitted" : admission.refusal;
};

/** The message with mac2 made from the cookie that the limiter gives this source. */
function proven(limiter: HandshakeLimiter, now: number, source = SOURCE): Uint8Array {
  let reply: Uint8Array | undefined;
  for (let tries = 0; !reply && tries < 32; tries++) reply = limiter.admit(message, source, now).reply;
  const signed = message.slice();
  signed.set(twinMac2(message, twinOpenCookie(reply!, keys.publicKey, message)), 132);
  return signed;
}

Deno.test("250 handshake messages at once pass, the next one needs a cookie, and every 4 ms one more passes", () => {
  const limiter = makeLimiter();
  for (let i = 0; i < 250; i++) assert.equal(verdict(limiter, message, 5000), "admitted");
  assert.equal(verdict(limiter, message, 5003), "cookie-required");
  for (let at = 5004; at < 7000; at += 4) {
    assert.equal(verdict(limiter, message, at), "admitted", `${at}`);
    assert.equal(verdict(limiter, message, at + 1), "cookie-required", `${at}`);
  }
  for (let i = 0; i < 250; i++) assert.equal(verdict(limiter, message, 9000), "admitted", "a second's rest");
  assert.equal(verdict(limiter, message, 9000), "cookie-required", "but no more than a second's");
});

Deno.test("a wrong mac1 is refused first, does not count, and earns no reply", () => {
  const limiter = makeLimiter({ perSecond: 1 });
  const wrong = message.with(116, message[116]! ^ 1);
  for (let i = 0; i < 10; i++) {
    const admission = limiter.admit(wrong, SOURCE, 0);
    assert.deepEqual(admission, { admitted: false, refusal: "invalid-mac1" });
  }
  assert.equal(verdict(limiter, message, 0), "admitted");
  assert.equal(verdict(limiter, message, 0), "cookie-required");
  assert.deepEqual(limiter.admit(wrong, SOURCE, 0), { admitted: false, refusal: "invalid-mac1" });
});

Deno.test("a cookie is bound to its source, port included when the caller gives it", () => {
  const limiter = makeLimiter({ perSecond: 0 });
  const signed = proven(limiter, 0);
  assert.equal(verdict(limiter, signed, 0, Uint8Array.of(192, 0, 2, 7)), "cookie-required");
  assert.equal(verdict(limiter, signed, 0, Uint8Array.of(...SOURCE, 1, 2)), "cookie-required");
  assert.equal(verdict(limiter, signed, 0), "admitted");
});

Deno.test("the cookie secret changes after 120 s", () => {
  const limiter = makeLimiter({ perSecond: 0 });
  const signed = proven(limiter, 1000);
  assert.equal(verdict(limiter, signed, 120_999), "admitted");
  assert.equal(verdict(limiter, signed, 121_000), "cookie-required");
  assert.equal(verdict(limiter, signed, 121_001), "cookie-required", "the reply made a new secret");
  assert.equal(verdict(limiter, proven(limiter, 121_002), 121_003), "admitted");
});

Deno.test("under load a proven source gets a burst and then its rate", () => {
  const limiter = makeLimiter({ perSecond: 0, perSourcePerSecond: 20, perSourceBurst: 5 });
  const signed = proven(limiter, 0);
  const verdicts = Array.from({ length: 7 }, () => verdict(limiter, signed, 0));
  assert.deepEqual(verdicts, [...Array<string>(5).fill("admitted"), "source-limited", "source-limited"]);
  assert.equal(verdict(limiter, signed, 49), "source-limited");
  assert.equal(verdict(limiter, signed, 50), "admitted");
  assert.equal(verdict(limiter, signed, 60), "source-limited");
});

Deno.test("a flood with a victim's address does not use up the victim's rate", () => {
  const limiter = makeLimiter({ perSecond: 0 });
  for (let i = 0; i < 1000; i++) assert.equal(verdict(limiter, message, 0), "cookie-required");
  assert.equal(verdict(limiter, proven(limiter, 0), 0), "admitted");
});

Deno.test("a flood buys few cookies, and the others still get theirs", () => {
  const limiter = makeLimiter({ perSecond: 0 });
  const bought = (count: number, source: (i: number) => Uint8Array) =>
    Array.from({ length: count }, (_, i) => limiter.admit(message, source(i), 0)).filter(({ reply }) => reply)
      .length;
  assert.equal(bought(50_000, () => SOURCE), 20 + Math.floor(49_980 / 32));
  assert.equal(bought(10, () => Uint8Array.of(203, 0, 113, 9)), 10, "another source does not notice");
  const spoofed = bought(50_000, (i) => Uint8Array.of(10, i >> 16, i >> 8, i));
  assert.ok(spoofed > 1500 && spoofed < 2100, `${spoofed} for a flood from everywhere`);
  assert.ok(limiter.admit(message, SOURCE, 1000).reply, "the next second starts anew");
});

Deno.test("of a source that the kernel has thinned, what is left is answered by cookies, 100 a second at the most, and none is admitted", () => {
  const limiter = makeLimiter();
  const bought = (count: number) =>
    Array.from({ length: count }, () => limiter.admit(message, SOURCE, 0, true)).filter(({ reply }) => reply)
      .length;
  assert.equal(bought(100), 100);
  assert.equal(bought(10_000), 20, "and no more than 100 beyond the certain ones");
  for (let i = 0; i < 250; i++) assert.equal(verdict(limiter, message, 0), "admitted", "as others are");
  assert.ok(limiter.admit(message, Uint8Array.of(203, 0, 113, 9), 0).reply, "who has had none gets one");
  assert.ok(limiter.admit(message, SOURCE, 1_000, true).reply, "the next second starts anew");
});

Deno.test("under load, too, a wrong mac1 earns no reply and takes nobody's: each message has its own chance", () => {
  const limiter = makeLimiter({ perSecond: 0 });
  const wrong = message.with(116, message[116]! ^ 1);
  for (let i = 0; i < 1_000; i++) assert.equal(limiter.admit(wrong, SOURCE, 0).reply, undefined);
  for (let i = 0; i < 20; i++) {
    assert.ok(limiter.admit(message, SOURCE, 0).reply, "the first ones are certain");
  }
  let answered = 0;
  for (let i = 0; i < 3_200; i++) {
    assert.equal(limiter.admit(wrong, SOURCE, 0).reply, undefined);
    answered += Number(limiter.admit(message, SOURCE, 0).reply !== undefined);
    limiter.admit(wrong, SOURCE, 0);
  }
  assert.ok(answered >= 50, `${answered} of 3,200 beside twice as many forgeries`);
});

Deno.test("an unproven sender never gets more bytes back than it sent", () => {
  const limiter = makeLimiter({ perSecond: 0 });
  const { reply } = limiter.admit(message, SOURCE, 0);
  assert.ok(reply!.length === 64 && reply!.length <= 92 && reply!.length <= message.length);
});

Deno.test("nothing but initiations and responses is admitted", () => {
  const limiter = makeLimiter();
  for (const bytes of [new Uint8Array(0), message.subarray(1), message.with(0, 4), message.with(0, 3)]) {
    assert.equal(verdict(limiter, bytes, 0), "malformed");
  }
});

Deno.test("an IPv6 source is its /64, an IPv4 source its address without the port", () => {
  const buckets = new TokenBuckets(1, 1);
  const v6 = (last: number) => Uint8Array.from({ length: 16 }, (_, i) => i === 15 ? last : i);
  assert.ok(buckets.take(v6(1), 0));
  assert.ok(!buckets.take(v6(2), 0));
  assert.ok(buckets.take(Uint8Array.of(192, 0, 2, 1, 5, 5), 0));
  assert.ok(!buckets.take(Uint8Array.of(192, 0, 2, 1, 6, 6), 0));
  assert.ok(buckets.take(Uint8Array.of(192, 0, 2, 2, 6, 6), 0));
});

Deno.test("the table of sources is bounded and forgets the one that was silent longest", () => {
  const buckets = new TokenBuckets(0, 1);
  const source = (i: number) => Uint8Array.of(10, i >> 16, i >> 8, i);
  assert.ok(buckets.take(source(0), 0));
  for (let i = 1; i < TokenBuckets.CAPACITY; i++) buckets.take(source(i), i);
  assert.ok(!buckets.take(source(0), 5000), "still known, and now the youngest");
  for (let i = 0; i < 100; i++) buckets.take(source(100_000 + i), 6000);
  assert.equal(buckets.size, TokenBuckets.CAPACITY);
  assert.ok(!buckets.take(source(0), 6000));
  assert.ok(buckets.take(source(1), 6000), "forgotten");
});
