/** Asking a relay where we are now, because the host's network has changed. */
import { deepEqual, equal, ok } from "node:assert/strict";
import { Method } from "../../mod/stun/mod.ts";
import { address, RELAY, ScriptedRelay } from "./scripted_relay.ts";

const ELSEWHERE = address("203.0.113.99:40000");

function allocated(families: "v4" | "dual" = "v4"): ScriptedRelay {
  const relay = new ScriptedRelay(families);
  relay.allocate();
  relay.sent();
  return relay;
}

Deno.test("a probe asks each socket of the relay once, and an unchanged answer is all", () => {
  const relay = allocated("dual");
  relay.allocation.probe(relay.now);
  const asked = relay.sent();
  deepEqual(asked.map(({ method, dst }) => [method, dst.key]), [
    [Method.BINDING, RELAY.v4.key],
    [Method.BINDING, RELAY.v6.key],
  ]);
  for (const one of asked) relay.bindingSuccess(one);
  deepEqual(relay.sent(), []);
});

Deno.test("a probe that finds us at another address has the relay say whether it still knows us", () => {
  const relay = allocated();
  relay.allocation.probe(relay.now);
  relay.bindingSuccess(relay.one(Method.BINDING), ELSEWHERE);
  relay.one(Method.REFRESH);
});

Deno.test("what was refused to the old address is asked for from the new one at once", () => {
  const relay = new ScriptedRelay("v4");
  relay.bindingSuccess(relay.one(Method.BINDING));
  relay.error(relay.one(Method.ALLOCATE), 508);
  deepEqual(relay.sent(), []);
  relay.allocation.probe(relay.now);
  relay.bindingSuccess(relay.one(Method.BINDING), ELSEWHERE);
  relay.one(Method.ALLOCATE);
});

Deno.test("probes without end keep a dead relay alive no longer than one would", () => {
  const relay = allocated();
  let sent = 0, died: number | undefined;
  for (let ms = 0; ms < 30_000 && died === undefined; ms += 100) {
    relay.allocation.probe(relay.now);
    sent += relay.pass(100).length;
    if (relay.allocation.freed) died = ms;
  }
  equal(relay.allocation.freed, "no response received");
  ok(died! >= 8_000 && died! <= 10_000, `${died} ms`);
  ok(sent <= 100, `${sent} datagrams`);
});

Deno.test("a probe in the middle of a start starts over at once, without waiting for the timer", () => {
  const relay = new ScriptedRelay("v4");
  relay.one(Method.BINDING);
  relay.pass(500);
  relay.allocation.probe(relay.now);
  relay.bindingSuccess(relay.one(Method.BINDING));
  relay.one(Method.ALLOCATE);
});
