import assert from "node:assert/strict";
import { MAX_WARNINGS, WarningFilter } from "../../mod/portal/warning_filter.ts";

const HOUR = 3_600_000;

Deno.test("the same warning is passed on once an hour", () => {
  const filter = new WarningFilter();
  assert.equal(filter.pass("a", 0), "a");
  assert.equal(filter.pass("b", 1), "b");
  assert.equal(filter.pass("a", HOUR - 1), undefined);
  assert.equal(filter.pass("a", HOUR), "a");
  assert.equal(filter.pass("b", HOUR), undefined);
});

Deno.test("ever new warnings end in silence for up to an hour, and say so", () => {
  const filter = new WarningFilter();
  for (let i = 0; i < MAX_WARNINGS; i++) assert.equal(filter.pass(`w${i}`, i), `w${i}`);
  assert.match(filter.pass("more", 100)!, /^Further warnings/);
  assert.equal(filter.pass("still more", 101), undefined);
  assert.equal(filter.pass("later", HOUR), "later");
});
