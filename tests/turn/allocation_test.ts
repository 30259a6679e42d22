import { deepEqual, equal, ok } from "node:assert/strict";
import fc from "fast-check";
import { AttributeType as A, Method, verifyIntegrity } from "../../mod/stun/mod.ts";
import {
  address,
  KEY,
  LOCAL,
  MAPPED,
  PASSWORD,
  PEER,
  REALM,
  RELAY,
  RELAYED,
  ScriptedRelay,
  USERNAME,
} from "./scripted_relay.ts";

Deno.test("both sockets of a relay are asked, and the first answer picks the one for everything", () => {
  const relay = new ScriptedRelay();
  const bindings = relay.sent();
  deepEqual(bindings.map((b) => [b.method, b.dst.key]), [[1, RELAY.v4.key], [1, RELAY.v6.key]]);
  equal(bindings[0]!.software, "snownet");
  ok(!bindings[0]!.hasIntegrity);
  equal(String(relay.allocation.activeSocket), "undefined");
  relay.bindingSuccess(bindings[1]!);
  equal(String(relay.allocation.activeSocket), RELAY.v6.key);
  equal(relay.one(Method.ALLOCATE).dst.key, RELAY.v6.key);
});

Deno.test("both server-reflexive addresses and both local ones are reported when both BINDINGs answer", () => {
  const relay = new ScriptedRelay();
  for (const binding of relay.sent()) relay.bindingSuccess(binding);
  deepEqual(relay.told(), [
    `host ${LOCAL.v4}`,
    `server-reflexive ${MAPPED.v4}`,
    `host ${LOCAL.v6}`,
    `server-reflexive ${MAPPED.v6}`,
  ]);
});

Deno.test("an unanswered second BINDING is given up without harm", () => {
  const relay = new ScriptedRelay();
  relay.bindingSuccess(relay.sent()[0]!);
  relay.challenge(relay.one(Method.ALLOCATE), "nonce");
  relay.allocateSuccess(relay.one(Method.ALLOCATE));
  equal(relay.pass(20_000).filter((s) => s.method === Method.BINDING).length, 3, "its retries");
  equal(relay.allocation.relayedAddress(4)?.key, RELAYED.v4.key);
  equal(relay.allocation.freed, undefined);
});

Deno.test("a relay's sockets are matched for v4-only, v6-only and dual relays", () => {
  for (
    const [families, v4, v6] of [["v4", true, false], ["v6", false, true], ["dual", true, true]] as const
  ) {
    const { allocation } = new ScriptedRelay(families);
    equal(allocation.matches(RELAY.v4), v4);
    equal(allocation.matches(RELAY.v6), v6);
    equal(allocation.matches(address("192.0.2.1:3479")), false);
    equal(allocation.matches(address("192.0.2.2:3478")), false);
    equal(allocation.sockets.length, Number(v4) + Number(v6));
  }
});

Deno.test("the first ALLOCATE is signed and carries user and realm but no nonce", () => {
  const relay = new ScriptedRelay("v4");
  relay.bindingSuccess(relay.one(Method.BINDING));
  const first = relay.one(Method.ALLOCATE);
  equal(first.username, USERNAME);
  equal(first.realm, REALM);
  equal(first.nonce, undefined);
  equal(first.requestedTransport, 17);
  equal(first.additionalFamily, 6);
  equal(first.lifetime, undefined);
  ok(verifyIntegrity(first, KEY));
  relay.challenge(first, "nonce-1");
  const second = relay.one(Method.ALLOCATE);
  equal(second.nonce, "nonce-1");
  ok(verifyIntegrity(second, KEY));
});

Deno.test("success reports a candidate for each family that was granted", () => {
  const dual = new ScriptedRelay().allocate();
  deepEqual(dual.told().slice(4), [`relayed ${RELAYED.v4}`, `relayed ${RELAYED.v6}`]);
  equal(dual.allocation.relayedAddress(6)?.key, RELAYED.v6.key);
  const single = new ScriptedRelay().allocate([RELAYED.v4]);
  equal(single.allocation.relayedAddress(6), undefined);
});

Deno.test("a success without LIFETIME or relayed address is no allocation", () => {
  for (const [relayed, lifetime] of [[[], 600], [[RELAYED.v4], 0]] as const) {
    const relay = new ScriptedRelay("v4");
    relay.bindingSuccess(relay.one(Method.BINDING));
    relay.allocateSuccess(relay.one(Method.ALLOCATE), relayed, lifetime);
    relay.sent();
    equal(relay.allocation.relayedAddress(4), undefined);
  }
});

Deno.test("requests are repeated at 1, 2.5 and 4.75 seconds and given up at 8.125", () => {
  const relay = new ScriptedRelay("v4", {}, 0);
  relay.bindingSuccess(relay.one(Method.BINDING));
  const ids = new Set([relay.one(Method.ALLOCATE).transactionId.join()]);
  const times: number[] = [];
  for (let due; (due = relay.allocation.pollTimeout()) !== undefined;) {
    relay.now = due;
    relay.allocation.handleTimeout(due);
    times.push(due);
    for (const sent of relay.sent()) {
      ids.add(sent.transactionId.join());
      ok(verifyIntegrity(sent, KEY));
    }
  }
  deepEqual(times, [1000, 2500, 4750, 8125]);
  equal(ids.size, 4, "each attempt is its own transaction");
  equal(relay.allocation.freed, "no response received");
});

Deno.test("an answer to an earlier attempt is ignored", () => {
  const relay = new ScriptedRelay("v4");
  relay.bindingSuccess(relay.one(Method.BINDING));
  const first = relay.one(Method.ALLOCATE);
  relay.pass(1000);
  equal(relay.allocateSuccess(first), false);
  equal(relay.allocation.relayedAddress(4), undefined);
});

Deno.test("a stale nonce is replaced and the same request sent again", () => {
  const relay = new ScriptedRelay().allocate();
  relay.allocation.bind(PEER.v4, relay.now);
  const first = relay.one(Method.CHANNEL_BIND);
  equal(first.nonce, "nonce-1");
  relay.challenge(first, "nonce-2", 438);
  const second = relay.one(Method.CHANNEL_BIND);
  equal(second.nonce, "nonce-2");
  equal(second.channelNumber, first.channelNumber);
  equal(second.xorPeerAddress?.key, PEER.v4.key);
  ok(verifyIntegrity(second, KEY));
});

Deno.test("a relay that only ever says stale nonce is asked at the pace of the timer, not of its answers", () => {
  const relay = new ScriptedRelay("v4");
  relay.bindingSuccess(relay.one(Method.BINDING));
  relay.challenge(relay.one(Method.ALLOCATE), "n");
  let answered = 0;
  for (let sent = relay.sent(); sent.length > 0; sent = relay.sent()) {
    for (const request of sent) relay.challenge(request, `n${++answered}`, 438);
  }
  ok(answered < 6, `${answered} at once`);
  equal(relay.pass(60_000).length < 10, true);
});

Deno.test("a 401 to a request that had a nonce ends the allocation", () => {
  const relay = new ScriptedRelay().allocate();
  relay.allocation.refresh(relay.now);
  relay.challenge(relay.one(Method.REFRESH), "nonce-2", 401);
  equal(relay.told().at(-1), `invalidated ${RELAYED.v4} ${RELAYED.v6}`);
  equal(relay.allocation.freed, "authentication error");
  deepEqual(relay.pass(600_000), [], "never tried again");
});

Deno.test("a challenge for another realm is not answered", () => {
  const relay = new ScriptedRelay("v4");
  relay.bindingSuccess(relay.one(Method.BINDING));
  relay.error(relay.one(Method.ALLOCATE), 401, [[A.REALM, "elsewhere"], [A.NONCE, "n"]]);
  deepEqual(relay.sent(), []);
});

Deno.test("refresh while allocated sends REFRESH, once", () => {
  const relay = new ScriptedRelay().allocate();
  relay.allocation.refresh(relay.now);
  relay.allocation.refresh(relay.now);
  const request = relay.one(Method.REFRESH);
  equal(request.requestedTransport, 17);
  equal(request.additionalFamily, 6);
  equal(request.lifetime, undefined);
});

Deno.test("refresh does nothing while the allocation is being made", () => {
  const relay = new ScriptedRelay();
  relay.sent();
  relay.allocation.refresh(relay.now);
  deepEqual(relay.sent(), []);
});

Deno.test("three quick REFRESHes without an answer free the allocation, within a second when the relay is near", () => {
  const relay = new ScriptedRelay().allocate();
  relay.allocation.refresh(relay.now);
  relay.one(Method.REFRESH);
  deepEqual(relay.pass(998).map((s) => s.method), [Method.REFRESH, Method.REFRESH]);
  equal(relay.allocation.freed, undefined);
  relay.pass(1);
  equal(relay.allocation.freed, "no response received");
  equal(relay.told().at(-1), `invalidated ${RELAYED.v4} ${RELAYED.v6}`);
});

Deno.test("one answered REFRESH of three is enough", () => {
  const relay = new ScriptedRelay().allocate();
  relay.allocation.refresh(relay.now);
  relay.sent();
  const [, third] = relay.pass(700);
  relay.answer(third!, "success", [[A.LIFETIME, 600]]);
  relay.pass(10_000);
  equal(relay.allocation.freed, undefined);
});

Deno.test("verify asks a relay that was silent for 3 seconds, and believes one that was heard from", () => {
  const relay = new ScriptedRelay().allocate();
  const channel = relay.bound();
  const verify = () => {
    relay.allocation.verify(relay.now);
    return relay.sent().map((s) => s.method);
  };
  relay.pass(2_999);
  deepEqual(verify(), []);
  relay.allocation.peerOf(channel, relay.now);
  relay.pass(2_999);
  deepEqual(verify(), []);
  relay.pass(1);
  deepEqual(verify(), [Method.REFRESH]);
  deepEqual(verify(), [], "one question at a time");
});

Deno.test("a REFRESH that is refused with 437 invalidates candidates and channels and allocates anew", () => {
  const relay = new ScriptedRelay().allocate();
  const channel = relay.bound();
  relay.allocation.refresh(relay.now);
  relay.error(relay.one(Method.REFRESH), 437);
  const again = relay.one(Method.ALLOCATE);
  equal(relay.told().at(-1), `invalidated ${RELAYED.v4} ${RELAYED.v6}`);
  equal(relay.allocation.relayedAddress(4), undefined);
  equal(relay.allocation.peerOf(channel, relay.now), undefined);
  equal(relay.allocation.channelTo(PEER.v4, relay.now), 0);
  relay.allocateSuccess(again, [address("192.0.2.1:50002")]);
  equal(relay.told().at(-1), "relayed 192.0.2.1:50002");
  deepEqual(relay.pass(0).map((s) => s.method), [Method.BINDING], "perhaps our own address changed");
});

Deno.test("the allocation is refreshed at half of its lifetime, exactly once", () => {
  const relay = new ScriptedRelay().allocate();
  for (let elapsed = 0; elapsed < 299_999; elapsed += 10_000) {
    const step = Math.min(10_000, 299_999 - elapsed);
    for (const sent of relay.pass(step)) {
      equal(sent.method, Method.BINDING);
      relay.bindingSuccess(sent);
    }
  }
  const [refresh, ...rest] = relay.pass(1).filter((s) => s.method !== Method.BINDING);
  equal(refresh?.method, Method.REFRESH);
  deepEqual(rest, []);
  relay.answer(refresh!, "success", [[A.LIFETIME, 600]]);
  deepEqual(relay.pass(10).filter((s) => s.method === Method.REFRESH), []);
});

Deno.test("a refresh answered with lifetime 0 allocates again", () => {
  const relay = new ScriptedRelay().allocate();
  relay.allocation.refresh(relay.now);
  relay.answer(relay.one(Method.REFRESH), "success", [[A.LIFETIME, 0]]);
  relay.one(Method.ALLOCATE);
});

Deno.test("ALLOCATE refused with 437 gives the old allocation back first", () => {
  const relay = new ScriptedRelay("v4");
  relay.bindingSuccess(relay.one(Method.BINDING));
  relay.challenge(relay.one(Method.ALLOCATE), "nonce");
  relay.error(relay.one(Method.ALLOCATE), 437);
  const refresh = relay.one(Method.REFRESH);
  equal(refresh.lifetime, 0);
  relay.answer(refresh, "success", [[A.LIFETIME, 0]]);
  relay.allocateSuccess(relay.one(Method.ALLOCATE));
  equal(relay.told().at(-2), `relayed ${RELAYED.v4}`);
});

Deno.test("a relay that answers everything with 437 is left alone for a while", () => {
  const relay = new ScriptedRelay("v4");
  relay.bindingSuccess(relay.one(Method.BINDING));
  let requests = 0;
  for (let sent = relay.sent(); sent.length > 0; sent = relay.sent()) {
    for (const request of sent) {
      requests++;
      relay.error(request, 437);
    }
  }
  ok(requests <= 5, `${requests} at once`);
  equal(relay.allocation.freed, undefined);
});

Deno.test("a refused ALLOCATE suspends: the queue is dropped, refresh() starts over with BINDING", () => {
  for (const code of [400, 403, 440, 441, 442, 443, 486, 500, 508, 600]) {
    const relay = new ScriptedRelay("v4");
    relay.bindingSuccess(relay.one(Method.BINDING));
    relay.allocation.bind(PEER.v4, relay.now);
    relay.error(relay.one(Method.ALLOCATE), code);
    deepEqual(relay.sent(), []);
    equal(relay.allocation.freed, undefined, "it still serves BINDINGs");
    relay.allocation.bind(PEER.v4, relay.now);
    relay.allocation.refresh(relay.now);
    relay.bindingSuccess(relay.one(Method.BINDING));
    relay.allocateSuccess(relay.one(Method.ALLOCATE));
    deepEqual(relay.sent(), [], "neither peer was kept");
  }
});

Deno.test("a suspended allocation starts over by itself, ever more seldom", () => {
  const relay = new ScriptedRelay("v4");
  const starts: number[] = [];
  relay.bindingSuccess(relay.one(Method.BINDING));
  relay.error(relay.one(Method.ALLOCATE), 508);
  for (let i = 0; i < 9; i++) {
    const from = relay.now;
    relay.now = relay.allocation.pollTimeout()!;
    relay.allocation.handleTimeout(relay.now);
    starts.push(relay.now - from);
    relay.bindingSuccess(relay.one(Method.BINDING));
    relay.error(relay.one(Method.ALLOCATE), 508);
  }
  [5, 10, 20, 40, 80, 160, 300, 300, 300].forEach((seconds, i) => {
    ok(starts[i]! >= seconds * 1000 && starts[i]! <= seconds * 1250, `pause ${i}: ${starts[i]} ms`);
  });
  relay.now = relay.allocation.pollTimeout()!;
  relay.allocation.handleTimeout(relay.now);
  relay.bindingSuccess(relay.one(Method.BINDING));
  relay.allocateSuccess(relay.one(Method.ALLOCATE));
  equal(relay.told().at(-2), `relayed ${RELAYED.v4}`);
});

Deno.test("an unanswered keepalive invalidates, and the allocation is freed", () => {
  const relay = new ScriptedRelay().allocate();
  relay.pass(25_000 + 8_124);
  equal(relay.allocation.relayedAddress(4)?.key, RELAYED.v4.key);
  relay.pass(1);
  equal(relay.allocation.relayedAddress(4), undefined);
  equal(relay.allocation.freed, "no response received");
});

Deno.test("an expired lifetime invalidates", () => {
  const relay = new ScriptedRelay().allocate([RELAYED.v4, RELAYED.v6], 20);
  relay.error(relay.pass(10_000).find((s) => s.method === Method.REFRESH)!, 500);
  relay.pass(9_999);
  equal(relay.allocation.relayedAddress(4)?.key, RELAYED.v4.key);
  relay.pass(1);
  equal(relay.allocation.relayedAddress(4), undefined);
});

Deno.test("an allocation is not freed while it starts, and freed when everything has timed out", () => {
  const relay = new ScriptedRelay();
  equal(relay.allocation.freed, undefined);
  relay.pass(8_124);
  equal(relay.allocation.freed, undefined);
  relay.pass(1);
  equal(relay.allocation.freed, "no response received");
  equal(relay.allocation.pollTimeout(), undefined);
});

Deno.test("a keepalive BINDING is sent every 25 seconds on the chosen socket", () => {
  const relay = new ScriptedRelay().allocate();
  for (let i = 0; i < 4; i++) {
    const sent = relay.pass(25_000);
    deepEqual(sent.map((s) => [s.method, s.dst.key]), [[Method.BINDING, RELAY.v4.key]]);
    relay.bindingSuccess(sent[0]!);
  }
});

Deno.test("what is sent does not postpone the keepalive, what arrives does", () => {
  const relay = new ScriptedRelay().allocate();
  const channel = relay.bound();
  relay.pass(20_000);
  equal(relay.allocation.channelTo(PEER.v4, relay.now), channel);
  const [keepalive] = relay.pass(5_000);
  equal(keepalive?.method, Method.BINDING);
  relay.bindingSuccess(keepalive!);
  for (let i = 0; i < 5; i++) {
    deepEqual(relay.pass(20_000), []);
    relay.allocation.peerOf(channel, relay.now);
  }
  deepEqual(relay.pass(25_000).map((s) => s.method), [Method.BINDING]);
});

Deno.test("a changed server-reflexive address makes sure that the relay still knows us", () => {
  const relay = new ScriptedRelay().allocate();
  const [keepalive] = relay.pass(25_000);
  relay.bindingSuccess(keepalive!, address("203.0.113.5:60000"));
  relay.one(Method.REFRESH);
  equal(relay.told().at(-1), "server-reflexive 203.0.113.5:60000");
});

Deno.test("420 frees the allocation as a protocol failure", () => {
  const relay = new ScriptedRelay("v4");
  relay.bindingSuccess(relay.one(Method.BINDING));
  relay.error(relay.one(Method.ALLOCATE), 420);
  equal(relay.allocation.freed, "protocol failure");
  equal(relay.allocation.pollTimeout(), undefined);
});

Deno.test("the round-trip time starts with the first sample and is smoothed by an eighth", () => {
  const relay = new ScriptedRelay("v4");
  equal(relay.allocation.rtt, undefined);
  const binding = relay.one(Method.BINDING);
  relay.now += 80;
  relay.bindingSuccess(binding);
  equal(relay.allocation.rtt, 80);
  const allocate = relay.one(Method.ALLOCATE);
  relay.now += 160;
  relay.challenge(allocate, "n");
  equal(relay.allocation.rtt, 90);
});

Deno.test("release gives the allocation back with lifetime 0 and stays silent afterwards", () => {
  const relay = new ScriptedRelay().allocate();
  relay.bound();
  relay.allocation.release(relay.now);
  const request = relay.one(Method.REFRESH);
  equal(request.lifetime, 0);
  equal(relay.allocation.freed, undefined);
  relay.answer(request, "success", [[A.LIFETIME, 0]]);
  equal(relay.allocation.freed, "released");
  deepEqual(relay.pass(100_000), []);
});

Deno.test("an unanswered release is over after a second", () => {
  const relay = new ScriptedRelay().allocate();
  relay.allocation.release(relay.now);
  relay.one(Method.REFRESH);
  deepEqual(relay.pass(1000), []);
  equal(relay.allocation.freed, "released");
});

Deno.test("a relay without addresses or with a username that no message holds is freed at once", () => {
  equal(new ScriptedRelay("v4", { addresses: {} }).allocation.freed, "unusable description");
  const relay = new ScriptedRelay("v4", { username: "x".repeat(600), password: PASSWORD });
  equal(relay.allocation.freed, "unusable description");
  deepEqual(relay.sent(), []);
});

Deno.test("answers from other sockets, to unknown transactions or of another method are not handled", () => {
  const relay = new ScriptedRelay();
  const [v4] = relay.sent();
  equal(
    relay.answer(v4!, "success", [[A.XOR_MAPPED_ADDRESS, MAPPED.v4]], null, address("192.0.2.9:3478")),
    false,
  );
  equal(relay.answer(v4!, "success", [[A.XOR_MAPPED_ADDRESS, MAPPED.v4]], null, RELAY.v6), false);
  equal(relay.answer({ ...v4!, transactionId: new Uint8Array(12) }, "success", [], null), false);
  equal(relay.answer({ ...v4!, method: Method.ALLOCATE }, "success", []), false);
  equal(relay.allocation.handleDatagram(RELAY.v4, LOCAL.v4, new Uint8Array(3), relay.now), false);
  equal(relay.bindingSuccess(v4!), true);
  equal(relay.bindingSuccess(v4!), false, "not twice");
});

Deno.test("any bytes from the relay are survived, at any point of the exchange", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 120 }), fc.integer({ min: 0, max: 3 }), (bytes, stage) => {
    const relay = new ScriptedRelay();
    if (stage > 0) { for (const binding of relay.sent()) relay.bindingSuccess(binding); }
    if (stage > 1) relay.challenge(relay.one(Method.ALLOCATE), "n");
    if (stage > 2) relay.allocateSuccess(relay.one(Method.ALLOCATE));
    relay.allocation.handleDatagram(RELAY.v4, LOCAL.v4, bytes, relay.now);
    relay.pass(1000);
  }));
});
