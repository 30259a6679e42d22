import assert from "node:assert/strict";
import { Counters } from "../../../../mod/packet/counters.ts";
import { ConnectionTable } from "../../../../mod/embedded/portal/server/connection_table.ts";

class Fake {
  destroyed = false;
  destroy() {
    this.destroyed = true;
  }
}

const LIMITS = { pending: 10, pendingOfSource: 4, sockets: 6, socketsOfSource: 3 };

Deno.test("one source has a few pending connections: its oldest go, nobody else's", () => {
  const counters = new Counters(), table = new ConnectionTable(LIMITS, counters), other = new Fake();
  table.add(other, "other");
  const flood = Array.from({ length: 100 }, () => new Fake());
  for (const one of flood) table.add(one, "attacker");
  assert.equal(flood.filter(({ destroyed }) => !destroyed).length, 4);
  assert.ok(flood.slice(-4).every(({ destroyed }) => !destroyed));
  assert.equal(other.destroyed, false);
  assert.equal(table.pending, 5);
  assert.equal(counters.get("portal_evicted_connections"), 96);
});

Deno.test("many sources together have a bounded number, and a newcomer always has a place", () => {
  const table = new ConnectionTable(LIMITS, new Counters());
  for (let i = 0; i < 1000; i++) {
    const one = new Fake();
    table.add(one, `source-${i}`);
    assert.equal(one.destroyed, false);
    assert.ok(table.pending <= 10);
  }
});

Deno.test("a trusted proxy stands for many: it is not one source", () => {
  const table = new ConnectionTable(LIMITS, new Counters()),
    all = Array.from({ length: 10 }, () => new Fake());
  for (const one of all) table.add(one, undefined);
  assert.ok(all.every(({ destroyed }) => !destroyed));
});

Deno.test("what is closed, or has become a WebSocket, is no longer counted or closed", () => {
  const table = new ConnectionTable(LIMITS, new Counters()), first = new Fake();
  table.add(first, "a");
  table.remove(first);
  table.remove(first);
  for (let i = 0; i < 100; i++) table.add(new Fake(), "a");
  assert.equal(first.destroyed, false);
});

Deno.test("WebSockets beyond a source's share, or beyond all, are refused until one ends", () => {
  const table = new ConnectionTable(LIMITS, new Counters());
  const [end] = [1, 2, 3].map(() => table.open("a")!);
  assert.equal(table.open("a"), undefined);
  for (const source of ["b", "c", "d"]) assert.ok(table.open(source));
  assert.equal(table.open("e"), undefined);
  end!();
  assert.equal(table.sockets, 5);
  assert.ok(table.open("a"));
});
