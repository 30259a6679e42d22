import assert from "node:assert/strict";
import { Turnstile } from "../../../../mod/embedded/portal/sign_in/turnstile.ts";

Deno.test("of a thousand at once two run, sixteen wait, and the rest is turned away at once", async () => {
  const turnstile = new Turnstile({ running: 2, waiting: 16 });
  const gates: (() => void)[] = [];
  let running = 0, most = 0;
  const work = async () => {
    most = Math.max(most, ++running);
    await new Promise<void>((resolve) => gates.push(resolve));
    running--;
    return true;
  };
  const all = Array.from({ length: 1000 }, () => turnstile.pass(work));
  const turnedAway = (await Promise.all(all.slice(18))).filter((one) => one === undefined).length;
  assert.equal(turnedAway, 982);
  for (let i = 0; i < 18; i++) {
    while (gates.length === 0) await Promise.resolve();
    gates.shift()!();
  }
  assert.deepEqual(await Promise.all(all.slice(0, 18)), Array(18).fill(true));
  assert.equal(most, 2);
});

Deno.test("work that fails lets the next one in", async () => {
  const turnstile = new Turnstile({ running: 1, waiting: 1 });
  const first = turnstile.pass(() => Promise.reject(new Error("broken")));
  const second = turnstile.pass(() => Promise.resolve("fine"));
  await assert.rejects(first, /broken/);
  assert.equal(await second, "fine");
  assert.equal(await turnstile.pass(() => Promise.resolve("again")), "again");
});
