import { deepEqual, equal, notEqual } from "node:assert/strict";
import { Method } from "../../mod/stun/mod.ts";
import { address, MAPPED, PEER, RELAYED, ScriptedRelay } from "./scripted_relay.ts";

/** A relay whose ALLOCATE is still unanswered. */
function allocating(): ScriptedRelay {
  const relay = new ScriptedRelay("v4");
  relay.bindingSuccess(relay.one(Method.BINDING));
  return relay;
}

Deno.test("binds that are asked for before the allocation exists are sent after it, once per peer", () => {
  const relay = allocating();
  const other = address("198.51.100.8:4000");
  for (const peer of [PEER.v4, other, PEER.v4]) relay.allocation.bind(peer, relay.now);
  relay.allocateSuccess(relay.one(Method.ALLOCATE));
  deepEqual(relay.sent().map((s) => [s.method, s.xorPeerAddress!.key]), [
    [Method.CHANNEL_BIND, PEER.v4.key],
    [Method.CHANNEL_BIND, other.key],
  ]);
});

Deno.test("the queue holds the latest hundred peers", () => {
  const relay = allocating();
  for (let n = 0; n < 101; n++) relay.allocation.bind(address(`198.51.100.8:${2000 + n}`), relay.now);
  relay.allocateSuccess(relay.one(Method.ALLOCATE));
  const ports = relay.sent().map((s) => s.xorPeerAddress!.port);
  equal(ports.length, 100);
  equal(ports[0], 2001);
});

Deno.test("no second bind while one to that peer is in flight, but one to another peer", () => {
  const relay = new ScriptedRelay().allocate();
  relay.allocation.bind(PEER.v4, relay.now);
  const first = relay.one(Method.CHANNEL_BIND);
  equal(first.channelNumber, 0x4000);
  relay.allocation.bind(PEER.v4, relay.now);
  deepEqual(relay.sent(), []);
  relay.allocation.bind(PEER.v6, relay.now);
  equal(relay.one(Method.CHANNEL_BIND).channelNumber, 0x4001);
});

Deno.test("binding a bound peer sends nothing", () => {
  const relay = new ScriptedRelay().allocate();
  relay.bound();
  relay.allocation.bind(PEER.v4, relay.now);
  deepEqual(relay.sent(), []);
});

Deno.test("no bind to a family that we have no relayed address of, neither now nor from the queue", () => {
  for (const [granted, refused] of [[RELAYED.v4, PEER.v6], [RELAYED.v6, PEER.v4]] as const) {
    const relay = new ScriptedRelay().allocate([granted]);
    relay.allocation.bind(refused, relay.now);
    equal(relay.allocation.channelTo(refused, relay.now), 0);
    deepEqual(relay.sent(), []);

    const queued = allocating();
    queued.allocation.bind(refused, queued.now);
    queued.allocateSuccess(queued.one(Method.ALLOCATE), [granted]);
    deepEqual(queued.sent(), []);
  }
});

Deno.test("data goes out on a confirmed channel and on one in flight, and comes in on a confirmed one only", () => {
  const relay = new ScriptedRelay().allocate();
  equal(relay.allocation.channelTo(PEER.v4, relay.now), 0x4000, "the bind it starts leaves first");
  const request = relay.one(Method.CHANNEL_BIND);
  equal(relay.allocation.peerOf(0x4000, relay.now), undefined);
  relay.answer(request, "success", []);
  equal(relay.allocation.channelTo(PEER.v4, relay.now), 0x4000);
  equal(relay.allocation.peerOf(0x4000, relay.now)?.key, PEER.v4.key);
  equal(relay.allocation.peerOf(0x4001, relay.now), undefined);
  deepEqual(relay.sent(), []);
});

Deno.test("without an allocation nothing is sent and the peer waits", () => {
  const relay = allocating();
  equal(relay.allocation.channelTo(PEER.v4, relay.now), 0);
  relay.allocateSuccess(relay.one(Method.ALLOCATE));
  equal(relay.one(Method.CHANNEL_BIND).xorPeerAddress?.key, PEER.v4.key);
});

Deno.test("a refused bind forgets the channel, and the next packet asks again", () => {
  for (const code of [400, 403, 443, 500]) {
    const relay = new ScriptedRelay().allocate();
    equal(relay.allocation.channelTo(PEER.v4, relay.now), 0x4000);
    relay.error(relay.one(Method.CHANNEL_BIND), code);
    deepEqual(relay.pass(1), []);
    equal(relay.allocation.peerOf(0x4000, relay.now), undefined);
    relay.allocation.bind(PEER.v4, relay.now);
    relay.one(Method.CHANNEL_BIND);
  }
});

Deno.test("437 to a bind invalidates, allocates anew and then binds that peer", () => {
  const relay = new ScriptedRelay().allocate();
  relay.bound(PEER.v6);
  relay.allocation.bind(PEER.v4, relay.now);
  relay.error(relay.one(Method.CHANNEL_BIND), 437);
  const again = relay.one(Method.ALLOCATE);
  equal(relay.told().at(-1), `invalidated ${RELAYED.v4} ${RELAYED.v6}`);
  relay.allocateSuccess(again);
  equal(relay.one(Method.CHANNEL_BIND).xorPeerAddress?.key, PEER.v4.key);
});

Deno.test("a channel with inbound data is bound again at 5 minutes, a silent one is left to run out", () => {
  const relay = new ScriptedRelay().allocate([RELAYED.v4], 3600);
  const number = relay.bound();
  const silent = relay.bound(MAPPED.v4);
  keepAlive(relay, 60_000);
  equal(relay.allocation.peerOf(number, relay.now)?.key, PEER.v4.key);
  keepAlive(relay, 239_999);
  const due = keepAlive(relay, 1);
  deepEqual(due.map((s) => [s.method, s.channelNumber]), [[Method.CHANNEL_BIND, number]]);
  relay.answer(due[0]!, "success", []);
  deepEqual(keepAlive(relay, 294_000), []);
  equal(relay.allocation.channelTo(PEER.v4, relay.now), number);
  equal(relay.allocation.channelTo(MAPPED.v4, relay.now), silent, "still within its 10 minutes");
  deepEqual(keepAlive(relay, 1_000), []);
  equal(relay.allocation.channelTo(MAPPED.v4, relay.now), silent, "in flight again under the same number");
  equal(relay.one(Method.CHANNEL_BIND).channelNumber, silent);
});

Deno.test("after 15 minutes of silence a peer is bound under a new number", () => {
  const relay = new ScriptedRelay().allocate([RELAYED.v4], 3600);
  const number = relay.bound();
  keepAlive(relay, 900_000);
  relay.allocation.bind(PEER.v4, relay.now);
  notEqual(relay.one(Method.CHANNEL_BIND).channelNumber, number);
});

/** Lets time pass, answering keepalives and refreshes; the other requests. */
function keepAlive(relay: ScriptedRelay, ms: number) {
  const others = [];
  for (const end = relay.now + ms; relay.now < end;) {
    const due = Math.min(end, relay.allocation.pollTimeout() ?? end);
    for (const sent of relay.pass(due - relay.now)) {
      if (sent.method === Method.BINDING) relay.bindingSuccess(sent);
      else others.push(sent);
    }
  }
  return others;
}
