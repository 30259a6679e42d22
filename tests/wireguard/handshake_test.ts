/** Our handshake against the twin that was written from the paper, in both roles. */
import assert from "node:assert/strict";
import { Endpoint, makeKeys, seededRandom, senderOf, SOURCE, UNIX_START } from "./fixture.ts";
import {
  twinCookieReply,
  twinInitiate,
  twinMac2,
  twinOpen,
  twinOpenCookie,
  twinRespond,
  twinSeal,
} from "./twin.ts";

const LABEL = Uint8Array.from([0x40, 0, 0, 0, 0x70, 0, 0, 0, 0, 0, 0, 1]);

function setup(presharedKey: Uint8Array | undefined, limits = {}) {
  const random = seededRandom(7);
  const own = makeKeys(random), peer = makeKeys(random);
  const endpoint = new Endpoint(own, peer.publicKey, random, { presharedKey, limits }, () => UNIX_START);
  return { own, peer, endpoint, random, psk: presharedKey ?? new Uint8Array(32) };
}

for (const presharedKey of [undefined, new Uint8Array(32).fill(0x5a)]) {
  const withPsk = presharedKey ? "with a preshared key" : "without a preshared key";

  Deno.test(`as responder we agree with the twin, ${withPsk}`, () => {
    const { own, peer, endpoint, random, psk } = setup(presharedKey);
    const twin = twinInitiate({
      staticPrivate: peer.privateKey,
      peerPublic: own.publicKey,
      psk,
      ephemeralPrivate: random(32),
      timestamp: LABEL,
      index: 0xfedcba98,
    });
    endpoint.receive(twin.message, 0);
    assert.deepEqual(endpoint.outcomes, ["initiation-accepted"]);
    const [response] = endpoint.transmits();
    const keys = twin.finish(response!);
    assert.equal(endpoint.receive(twinSeal(keys.send, keys.remoteIndex, 0n, new Uint8Array(0)), 0), 0);
    assert.deepEqual(endpoint.transmits(), []);
    assert.deepEqual(endpoint.events, ["established"]);
    const data = endpoint.send("sixteen bytes!!!", 0)!;
    assert.equal(new DataView(data.buffer).getUint32(4, true), 0xfedcba98);
    assert.equal(new TextDecoder().decode(twinOpen(keys.receive, data)), "sixteen bytes!!!");
  });

  Deno.test(`as initiator we agree with the twin, ${withPsk}`, () => {
    const { own, peer, endpoint, random, psk } = setup(presharedKey);
    endpoint.tunnel.initiate(0);
    const [initiation] = endpoint.transmits();
    const twin = twinRespond(initiation!, {
      staticPrivate: peer.privateKey,
      psk,
      ephemeralPrivate: random(32),
      index: 0x80000001,
    });
    assert.deepEqual(twin.peerPublic, own.publicKey);
    assert.equal(
      new DataView(twin.timestamp.buffer, twin.timestamp.byteOffset).getBigUint64(0),
      0x4000000000000000n + 10n + BigInt(UNIX_START / 1000),
    );
    endpoint.receive(twin.message, 0);
    assert.deepEqual(endpoint.outcomes, ["response-accepted"]);
    const [keepalive] = endpoint.transmits();
    assert.equal(new DataView(keepalive!.buffer).getUint32(4, true), 0x80000001);
    assert.equal(twinOpen(twin.keys.receive, keepalive!).length, 0);
    const message = twinSeal(twin.keys.send, twin.keys.remoteIndex, 0n, new TextEncoder().encode("hi"));
    assert.equal(endpoint.receive(message, 0), 2);
    assert.deepEqual(endpoint.received, ["hi"]);
  });
}

Deno.test("our cookie replies open in the twin, and its mac2 with that cookie is let in", () => {
  const { own, peer, endpoint, random, psk } = setup(undefined, { perSecond: 0 });
  const initiation = (cookie?: Uint8Array) =>
    twinInitiate({
      staticPrivate: peer.privateKey,
      peerPublic: own.publicKey,
      psk,
      ephemeralPrivate: random(32),
      timestamp: LABEL,
      index: 77,
      ...(cookie ? { cookie } : {}),
    }).message;
  const first = initiation();
  endpoint.receive(first, 0);
  const [reply] = endpoint.transmits();
  assert.equal(reply!.length, 64);
  const cookie = twinOpenCookie(reply!, own.publicKey, first);
  endpoint.receive(initiation(cookie), 0, Uint8Array.of(192, 0, 2, 2));
  endpoint.receive(initiation(cookie), 0, SOURCE);
  assert.deepEqual(endpoint.outcomes, ["cookie-required", "cookie-required", "initiation-accepted"]);
});

Deno.test("we take a cookie out of the twin's reply and put the right mac2 on what we send next", () => {
  const { peer, endpoint, random } = setup(undefined);
  endpoint.tunnel.initiate(0);
  const [first] = endpoint.transmits();
  assert.deepEqual(first!.subarray(132), new Uint8Array(16));
  const cookie = random(16);
  endpoint.receive(twinCookieReply(first!, peer.publicKey, cookie, random(24)), 100);
  assert.deepEqual(endpoint.outcomes, ["cookie-accepted"]);
  assert.deepEqual(endpoint.transmits(), [], "a cookie does not hurry the retry");
  endpoint.tunnel.handleTimeout(5000);
  const [second] = endpoint.transmits();
  assert.deepEqual(second!.subarray(132), twinMac2(second!, cookie));
});

Deno.test("an initiation to us names its sender; one with a wrong mac1, for another, or nothing of the kind does not", () => {
  const { own, peer, endpoint, random } = setup(undefined);
  const input = {
    staticPrivate: peer.privateKey,
    peerPublic: own.publicKey,
    psk: new Uint8Array(32),
    ephemeralPrivate: random(32),
    timestamp: LABEL,
    index: 1,
  };
  const { message } = twinInitiate(input);
  assert.deepEqual(senderOf(own, message), peer.publicKey);
  assert.equal(senderOf(peer, message), undefined, "made for another key");
  assert.equal(senderOf(own, message.subarray(1)), undefined);
  assert.equal(senderOf(own, message.with(120, message[120]! ^ 1)), undefined, "mac1");
  endpoint.tunnel.initiate(0);
  assert.equal(senderOf(own, endpoint.transmits()[0]!), undefined);
});

Deno.test("an initiation with a low-order ephemeral key is not authentic", () => {
  const { own, peer, endpoint, random } = setup(undefined);
  const { message } = twinInitiate({
    staticPrivate: peer.privateKey,
    peerPublic: own.publicKey,
    psk: new Uint8Array(32),
    ephemeralPrivate: random(32),
    timestamp: LABEL,
    index: 1,
  });
  message.fill(0, 8, 40);
  assert.equal(endpoint.tunnel.handleAdmitted(message, 0), "forged");
});

Deno.test("the cookie of a reply is bound to the message that it answers", () => {
  const { peer, endpoint, random } = setup(undefined);
  endpoint.tunnel.initiate(0);
  const [first] = endpoint.transmits();
  const cookie = random(16), nonce = random(24);
  const other = first!.with(116, first![116]! ^ 1);
  endpoint.receive(twinCookieReply(other, peer.publicKey, cookie, nonce), 0);
  const good = twinCookieReply(first!, peer.publicKey, cookie, nonce);
  endpoint.receive(good.with(4, good[4]! ^ 1), 0);
  endpoint.receive(good, 0);
  endpoint.receive(good, 0);
  assert.deepEqual(endpoint.outcomes, ["forged", "unknown-index", "cookie-accepted", "unknown-index"]);
});
