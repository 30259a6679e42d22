import assert from "node:assert/strict";
import { ConnectionLimits, NameCache } from "../../mod/dns/mod.ts";

Deno.test("a client has at most 32 connections, all together 512; one that leaves makes room", () => {
  const limits = new ConnectionLimits();
  for (let i = 0; i < 32; i++) assert.ok(limits.enter("greedy"));
  assert.ok(!limits.enter("greedy"));
  for (let i = 0; i < 480; i++) assert.ok(limits.enter(`client ${i % 16}`));
  assert.ok(!limits.enter("another"));
  limits.leave("greedy");
  assert.ok(limits.enter("greedy"));
  assert.ok(!limits.enter("greedy"));
});

Deno.test("the cache holds 512 names and forgets the least recently used", () => {
  const cache = new NameCache();
  const address = [Uint8Array.of(10, 0, 0, 1)];
  for (let i = 0; i < 512; i++) cache.set(`n${i}`, address, 60_000, 0);
  assert.equal(cache.fresh("n0", 1), address);
  cache.set("another", address, 60_000, 1);
  assert.equal(cache.size, 512);
  assert.equal(cache.fresh("n1", 1), undefined);
  assert.equal(cache.fresh("n0", 1), address);
  cache.set("n0", address, 1000, 1);
  assert.equal(cache.size, 512);
});

Deno.test("what has expired stands in for an hour, not longer", () => {
  const cache = new NameCache();
  cache.set("app", [], 1000, 0);
  assert.equal(cache.fresh("app", 1000), undefined);
  assert.deepEqual(cache.stale("app", 3_600_999), []);
  assert.equal(cache.stale("app", 3_601_000), undefined);
  assert.equal(cache.stale("other", 0), undefined);
});
