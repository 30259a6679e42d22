import { equal, notEqual } from "node:assert/strict";
import { SocketAddress } from "../../mod/packet/address.ts";
import { Channels, FIRST_NUMBER, LAST_NUMBER } from "../../mod/turn/channels.ts";

const MINUTE = 60_000;
const NUMBERS = LAST_NUMBER - FIRST_NUMBER + 1;
const peer = (n: number) => SocketAddress.of("198.51.100.1", 1000 + n)!;

function bind(channels: Channels, n: number, now: number): number {
  const channel = channels.take(peer(n), now)!;
  channels.confirm(channel.number, now);
  return channel.number;
}

Deno.test("the first channel is 0x4000, numbers advance and wrap behind the last one", () => {
  const channels = new Channels();
  equal(bind(channels, 0, 0), 0x4000);
  equal(bind(channels, 1, 0), 0x4001);
  for (let n = 2; n < NUMBERS; n++) bind(channels, n, 0);
  equal(channels.confirmed(LAST_NUMBER)?.peer.key, peer(NUMBERS - 1).key);
  equal(bind(channels, NUMBERS, 15 * MINUTE), 0x4000, "wraps");
});

Deno.test("free numbers are preferred over expired ones, which are recycled when all others are taken", () => {
  const channels = new Channels();
  bind(channels, 0, 0);
  const later = 20 * MINUTE;
  for (let n = 1; n < NUMBERS; n++) notEqual(bind(channels, n, later), FIRST_NUMBER, "still free ones");
  equal(bind(channels, NUMBERS, later), FIRST_NUMBER, "then the expired one");
  equal(channels.take(peer(NUMBERS + 1), later), undefined, "then none");
});

Deno.test("a number is free for another peer at 15 minutes of silence, not before", () => {
  const channels = new Channels();
  for (let n = 0; n < NUMBERS; n++) bind(channels, n, 0);
  equal(channels.take(peer(NUMBERS), 10 * MINUTE), undefined);
  equal(channels.take(peer(NUMBERS), 15 * MINUTE - 1), undefined);
  equal(channels.take(peer(NUMBERS), 15 * MINUTE)?.number, FIRST_NUMBER);
});

Deno.test("an expired number on which data arrived since its bind is not recycled", () => {
  const channels = new Channels();
  for (let n = 0; n < NUMBERS; n++) bind(channels, n, 0);
  channels.noteReceived(channels.confirmed(FIRST_NUMBER)!, MINUTE);
  equal(channels.take(peer(NUMBERS), 15 * MINUTE)?.number, FIRST_NUMBER + 1);
});

Deno.test("a little before 10 minutes a channel is used up, and until 15 the same number is bound again for the same peer", () => {
  const channels = new Channels();
  const number = bind(channels, 0, 0);
  equal(channels.usable(peer(0), 10 * MINUTE - 5001)?.number, number);
  equal(channels.usable(peer(0), 10 * MINUTE - 5000), undefined, "it might arrive too late");
  equal(channels.take(peer(0), 12 * MINUTE)?.number, number);
  equal(channels.usable(peer(0), 12 * MINUTE)?.number, number, "in flight");
  channels.confirm(number, 12 * MINUTE);
  equal(channels.usable(peer(0), 20 * MINUTE)?.number, number);
});

Deno.test("from 15 minutes on a peer gets a new number, and the old one still means it until it is reused", () => {
  const channels = new Channels();
  const old = bind(channels, 0, 0);
  const fresh = bind(channels, 0, 15 * MINUTE);
  notEqual(fresh, old);
  equal(channels.usable(peer(0), 15 * MINUTE)?.number, fresh);
  equal(channels.confirmed(old)?.peer.key, peer(0).key);
});

Deno.test("a channel with inbound data is due for refresh from 5 minutes on, one without is not", () => {
  const channels = new Channels();
  const active = bind(channels, 0, 0);
  bind(channels, 1, 0);
  channels.noteReceived(channels.confirmed(active)!, 1 * MINUTE);
  equal(channels.dueAt, 5 * MINUTE);
  equal(channels.due(5 * MINUTE - 1).length, 0);
  equal(channels.due(5 * MINUTE).map((c) => c.number).join(), String(active));
  equal(channels.due(6 * MINUTE).length, 0, "not twice while in flight");
  channels.confirm(active, 5 * MINUTE);
  equal(channels.dueAt, 10 * MINUTE);
  equal(channels.due(10 * MINUTE).length, 0, "nothing arrived since the refresh");
});

Deno.test("data that arrives after 5 minutes makes a refresh due at once", () => {
  const channels = new Channels();
  const number = bind(channels, 0, 0);
  equal(channels.due(5 * MINUTE).length, 0);
  equal(channels.dueAt, Infinity);
  channels.noteReceived(channels.confirmed(number)!, 7 * MINUTE);
  equal(channels.dueAt, 7 * MINUTE);
  equal(channels.due(7 * MINUTE).length, 1);
});

Deno.test("sending alone keeps no channel alive, unless the relay ties permissions to binds", () => {
  const channels = new Channels();
  const number = bind(channels, 0, 0);
  channels.noteSent(channels.confirmed(number)!, 1 * MINUTE);
  equal(channels.due(9 * MINUTE).length, 0);

  const plain = new Channels();
  plain.refreshesSending = true;
  const other = bind(plain, 0, 0);
  plain.noteSent(plain.confirmed(other)!, 1 * MINUTE);
  equal(plain.due(4 * MINUTE - 1).length, 0);
  equal(plain.due(4 * MINUTE).length, 1, "before the permission's 5 minutes are over");
});

Deno.test("an unconfirmed channel carries data out but none in; a refused one is forgotten", () => {
  const channels = new Channels();
  const { number } = channels.take(peer(0), 0)!;
  equal(channels.usable(peer(0), 0)?.number, number);
  equal(channels.confirmed(number), undefined);
  channels.fail(number);
  equal(channels.usable(peer(0), 0), undefined);
  equal(channels.peerOfNumber(number), undefined);
});

Deno.test("numbers outside the range are nobody's", () => {
  const channels = new Channels();
  bind(channels, 0, 0);
  for (const number of [0, 0x3fff, 0x5000, 0x7fff, 0xffff]) equal(channels.confirmed(number), undefined);
});
