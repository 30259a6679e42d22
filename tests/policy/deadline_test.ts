import { strict as assert } from "node:assert";
import { deadlineOf, NEVER } from "../../mod/policy/deadline.ts";

const WALL = 1_700_000_000_250;

Deno.test("a time stamp becomes the monotonic instant at which the wall clock reaches it", () => {
  assert.equal(deadlineOf(1_700_000_010, 5000, WALL), 5000 + 9750);
  assert.equal(deadlineOf(null, 5000, WALL), NEVER);
});

Deno.test("a past time stamp has expired already", () => {
  for (const past of [1_700_000_000, 0, -1, -Infinity, NaN]) assert.equal(deadlineOf(past, 5000, WALL), 5000);
});

Deno.test("an absurdly large time stamp gives one day, not eternity", () => {
  for (const absurd of [1e13, 2 ** 63, Infinity]) {
    assert.equal(deadlineOf(absurd, 5000, WALL), 5000 + 86_400_000);
  }
});
