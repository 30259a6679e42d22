import { strict as assert } from "node:assert";
import fc from "fast-check";
import {
  MAX_EXPIRED,
  MAX_SESSIONS,
  NAT_ICMP,
  NAT_TCP,
  NAT_UDP,
  NAT_V6,
  NatTable,
} from "../../mod/policy/nat_table.ts";
import { ACK, FIN, RST, SYN } from "./packets.ts";

const PROXY = Uint32Array.of(0x64600001, 0, 0, 0), PROXY_2 = Uint32Array.of(0x64600002, 0, 0, 0);
const REAL = Uint32Array.of(0xac140064, 0, 0, 0), REAL_2 = Uint32Array.of(0xac140065, 0, 0, 0);
const MINUTE = 60_000;

function open(table: NatTable, key: number, port: number, proxy = PROXY, real = REAL, now = 0): number {
  return table.create(key, port, proxy, 0, real, 0, now);
}

function found(table: NatTable, key: number, port: number, real = REAL): "live" | "expired" | "none" {
  const record = table.findOutside(key, port, real, 0);
  return record < 0 ? "none" : table.isExpired(record) ? "expired" : "live";
}

Deno.test("a session is found from both sides and keeps the client's port", () => {
  const table = new NatTable(1);
  const record = open(table, NAT_TCP, 4000);
  assert.equal(table.findInside(NAT_TCP, 4000, PROXY, 0), record);
  assert.equal(table.findOutside(NAT_TCP, 4000, REAL, 0), record);
  assert.deepEqual([table.insidePort(record), table.outsidePort(record)], [4000, 4000]);
  assert.equal(table.words[table.insideAt(record)], PROXY[0]);
  assert.equal(table.words[table.outsideAt(record)], REAL[0]);
  for (const key of [NAT_UDP, NAT_ICMP, NAT_TCP | NAT_V6]) {
    assert.equal(table.findInside(key, 4000, PROXY, 0), -1);
  }
  assert.equal(table.findOutside(NAT_TCP, 4000, REAL_2, 0), -1);
  assert.equal(table.findInside(NAT_TCP, 4001, PROXY, 0), -1);
});

Deno.test("colliding sources to one real address get distinct ports: the next free ones, cyclically, never 0", () => {
  const table = new NatTable(1);
  const port = (key: number, wanted: number, n: number) =>
    table.outsidePort(open(table, key, wanted, Uint32Array.of(0x64600000 + n, 0, 0, 0)));
  assert.deepEqual([1, 2, 3].map((n) => port(NAT_TCP, 65534, n)), [65534, 65535, 1]);
  assert.equal(port(NAT_TCP, 1, 4), 2);
  assert.equal(port(NAT_UDP, 65534, 1), 65534);
  assert.deepEqual([5, 6].map((n) => port(NAT_TCP, 0, n)), [0, 3], "0 only for a source that is 0");
});

Deno.test("when all ports towards an address are taken, creation fails at once until a session ends", () => {
  const table = new NatTable(1);
  for (let i = 1; i <= 65535; i++) assert.ok(open(table, NAT_UDP, 7, Uint32Array.of(i, 0, 0, 0)) >= 0);
  for (let i = 0; i < 10_000; i++) assert.equal(open(table, NAT_UDP, 7 + i, PROXY_2), -1);
  assert.ok(open(table, NAT_UDP, 7, PROXY_2, REAL_2) >= 0);
  table.noteOut(table.findOutside(NAT_UDP, 500, REAL, 0), 0, MINUTE);
  table.sweep(MINUTE);
  assert.equal(table.size, 1);
  assert.equal(found(table, NAT_UDP, 500), "live");
  assert.equal(table.outsidePort(open(table, NAT_UDP, 500, PROXY_2)), 501);
});

Deno.test("an unanswered session ends after 60 s, an answered one after its kind's lifetime since the last packet", () => {
  for (const [key, ttl] of [[NAT_TCP, 7_440_000], [NAT_UDP, 120_000], [NAT_ICMP, 120_000]] as const) {
    const table = new NatTable(1);
    open(table, key, 1);
    table.noteIn(open(table, key, 2), 0, 10);
    table.sweep(59_999);
    assert.equal(found(table, key, 1), "live");
    table.sweep(60_000);
    assert.deepEqual([found(table, key, 1), found(table, key, 2)], ["expired", "live"]);
    table.noteOut(table.findInside(key, 2, PROXY, 0), 0, 60_000);
    table.sweep(60_000 + ttl - 1);
    assert.equal(found(table, key, 2), "live");
    table.noteIn(table.findInside(key, 2, PROXY, 0), 0, 60_000 + ttl - 1);
    table.sweep(60_000 + 2 * ttl - 2);
    assert.equal(found(table, key, 2), "live", "packets from outside refresh too");
    table.sweep(60_000 + 2 * ttl - 1);
    assert.equal(found(table, key, 2), "expired");
    assert.equal(table.findInside(key, 2, PROXY, 0), -1);
  }
});

Deno.test("RST in either direction ends a session at the next sweep, FIN in both 5 s after the last packet", () => {
  const table = new NatTable(1);
  const [resetOut, resetIn, half, both] = [1, 2, 3, 4].map((port) => open(table, NAT_TCP, port));
  for (const record of [resetOut!, resetIn!, half!, both!]) table.noteIn(record, SYN | ACK, 0);
  table.noteOut(resetOut!, RST, 0);
  table.noteIn(resetIn!, RST | ACK, 0);
  table.noteIn(half!, FIN | ACK, 0);
  table.noteOut(both!, FIN | ACK, 0);
  table.noteIn(both!, FIN | ACK, 100);
  assert.equal(found(table, NAT_TCP, 1), "live", "until the sweep the last packets still translate");
  table.sweep(1000);
  assert.deepEqual([1, 2, 3, 4].map((port) => found(table, NAT_TCP, port)), [
    "expired",
    "expired",
    "live",
    "live",
  ]);
  table.noteOut(both!, ACK, 1000);
  table.sweep(5999);
  assert.equal(found(table, NAT_TCP, 4), "live");
  table.sweep(6000);
  assert.deepEqual([3, 4].map((port) => found(table, NAT_TCP, port)), ["live", "expired"]);
});

Deno.test("a new SYN on a closed session opens it again", () => {
  const table = new NatTable(1);
  const record = open(table, NAT_TCP, 1);
  table.noteIn(record, FIN, 0);
  table.noteOut(record, FIN, 0);
  table.noteOut(record, SYN, 10);
  table.sweep(30_000);
  assert.equal(found(table, NAT_TCP, 1), "live");
});

Deno.test("the clock may pass 2^32 milliseconds", () => {
  const table = new NatTable(1);
  const start = 2 ** 32 - 1000;
  open(table, NAT_UDP, 1, PROXY, REAL, start);
  table.sweep(start + 59_999);
  assert.equal(found(table, NAT_UDP, 1), "live");
  table.sweep(start + 60_000);
  assert.equal(found(table, NAT_UDP, 1), "expired");
});

Deno.test("an identity session leaves nothing behind, one on another port does", () => {
  const table = new NatTable(1);
  open(table, NAT_UDP, 1, REAL, REAL);
  open(table, NAT_UDP, 2, PROXY, REAL);
  assert.equal(table.outsidePort(open(table, NAT_UDP, 2, REAL, REAL)), 3);
  table.sweep(MINUTE);
  assert.deepEqual([1, 2, 3].map((port) => found(table, NAT_UDP, port)), ["none", "expired", "expired"]);
});

Deno.test("expired records are bounded, the oldest go first, and a new session on the same port replaces one", () => {
  const table = new NatTable(1);
  for (let i = 0; i < MAX_EXPIRED + 10; i++) {
    open(table, NAT_UDP, i + 1, PROXY, REAL, i);
    table.sweep(i + MINUTE);
  }
  assert.equal(table.expired, MAX_EXPIRED);
  table.sweep(10 * MINUTE);
  assert.deepEqual([1, 10, 11].map((port) => found(table, NAT_UDP, port)), ["none", "none", "expired"]);
  const expired = table.expired;
  assert.equal(table.outsidePort(open(table, NAT_UDP, 11, PROXY, REAL, 20 * MINUTE)), 11);
  assert.equal(table.expired, expired - 1);
  assert.equal(found(table, NAT_UDP, 11), "live");
});

Deno.test("a session costs at most 100 bytes at any size, and the memory of a burst comes back", () => {
  const table = new NatTable(1);
  let worst = 0;
  for (let i = 0; i < MAX_SESSIONS; i++) {
    const real = Uint32Array.of(1 + (i >> 15), 0, 0, 0);
    assert.ok(open(table, NAT_UDP, i & 0xffff, Uint32Array.of(i, 0, 0, 0), real) >= 0);
    if (i > 1000) worst = Math.max(worst, table.byteLength / (i + 1));
  }
  assert.ok(worst <= 100, `${worst} bytes`);
  assert.equal(open(table, NAT_UDP, 1, PROXY, REAL_2), -1, "full");
  table.sweep(MINUTE);
  assert.equal(table.size, 0);
  assert.ok(table.byteLength < 500_000, `${table.byteLength} bytes`);
});

interface Session {
  readonly key: number;
  readonly inside: string;
  readonly outside: string;
}

Deno.test("creation, expiry, forgetting and shrinking agree with two plain maps", () => {
  const word = fc.constantFrom(1, 2, 3);
  const action = fc.record({
    type: fc.constantFrom("create", "create", "create", "age", "forget", "burst"),
    key: fc.constantFrom(NAT_TCP, NAT_UDP, NAT_UDP | NAT_V6),
    port: fc.constantFrom(0, 1, 2, 3, 65534, 65535),
    proxy: word,
    real: word,
  });
  fc.assert(
    fc.property(fc.array(action, { maxLength: 80 }), fc.integer(), (actions, seed) => {
      const table = new NatTable(seed);
      let now = 0;
      const live = new Map<string, Session>(),
        outside = new Map<string, string>(),
        expired = new Set<string>();
      const add = (key: number, port: number, proxy: number, real: number) => {
        const inside = `${key} ${port} ${proxy}`;
        const insideWords = Uint32Array.of(9, 9, 9, proxy), realWords = Uint32Array.of(8, real, 8, 8);
        assert.equal(table.findInside(key, port, insideWords, 0) >= 0, live.has(inside));
        if (live.has(inside)) return;
        let expected = port;
        while (outside.has(`${key} ${expected} ${real}`)) expected = expected % 65535 + 1;
        assert.equal(table.outsidePort(table.create(key, port, insideWords, 0, realWords, 0, now)), expected);
        const name = `${key} ${expected} ${real}`;
        live.set(inside, { key, inside, outside: name });
        outside.set(name, inside);
        expired.delete(name);
      };
      for (const { type, key, port, proxy, real } of actions) {
        if (type === "create") add(key, port, proxy, real);
        else if (type === "burst") { for (let i = 0; i < 1100; i++) add(key, 1000 + i, proxy, real); }
        else if (type === "forget") {
          const record = table.findOutside(key, port, Uint32Array.of(8, real, 8, 8), 0);
          if (record >= 0 && table.isExpired(record)) {
            table.forget(record);
            assert.ok(expired.delete(`${key} ${port} ${real}`));
          }
        } else {
          now += MINUTE;
          table.sweep(now);
          for (const { outside: name } of live.values()) expired.add(name);
          live.clear();
          outside.clear();
        }
        while (expired.size > MAX_EXPIRED) expired.delete(expired.values().next().value!);
        assert.deepEqual([table.size, table.expired], [live.size, expired.size]);
      }
      for (const name of [...outside.keys(), ...expired]) {
        const [key, port, real] = name.split(" ").map(Number);
        const record = table.findOutside(key!, port!, Uint32Array.of(8, real!, 8, 8), 0);
        assert.ok(record >= 0);
        assert.equal(table.isExpired(record), expired.has(name));
        if (!expired.has(name)) {
          assert.equal(
            `${key} ${table.insidePort(record)} ${table.words[table.insideAt(record) + 3]}`,
            outside.get(name),
          );
        }
      }
    }),
    { numRuns: 25 },
  );
});
