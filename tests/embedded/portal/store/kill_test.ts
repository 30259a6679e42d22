/** `deno test -A <this file> -- 500`: so many rounds. */
import assert from "node:assert/strict";
import { KilledPortal } from "./killed_portal.ts";

const ROUNDS = Number(Deno.args[0] ?? 20);

Deno.test("a portal that is killed again and again loses nothing that it acknowledged", async () => {
  const seed = Number(Deno.args[1] ?? Date.now() % 1_000_000);
  const below = dice(seed);
  using portal = new KilledPortal(below);
  for (let round = 0; round < ROUNDS; round++) {
    await portal.start();
    await portal.check().catch((error) => {
      throw new Error(`Round ${round}, seed ${seed}: ${error.message}`, { cause: error });
    });
    await portal.killAfter(1 + below(30), below(4));
  }
  await portal.start();
  await portal.check();
  assert.ok(portal.acknowledged >= ROUNDS);
  console.log(`${ROUNDS} rounds, ${portal.acknowledged} operations acknowledged, seed ${seed}`);
});

/** Park and Miller's generator: the operations and moments of a failure can be had again, if not their timing. */
function dice(seed: number): (limit: number) => number {
  let state = seed % 2147483646 + 1;
  return (limit) => {
    state = state * 48271 % 2147483647;
    return limit === 0 ? 0 : state % limit;
  };
}
