import assert from "node:assert/strict";
import { type Circumstances, readinessOf } from "../../mod/runtime/readiness.ts";

const WELL: Circumstances = {
  dataIsAlive: true,
  isConfigured: true,
  isJoined: true,
  portalTrouble: "The portal is out of reach: no route to host",
  relays: { ready: 2, trouble: undefined },
};

Deno.test("ready: joined, with an interface and a relay", () => {
  assert.equal(readinessOf(WELL).ready, true);
  assert.match(readinessOf(WELL).reason, /2 relays are ready/);
  assert.match(readinessOf({ ...WELL, relays: { ready: 1, trouble: undefined } }).reason, /a relay is ready/);
});

Deno.test("not ready, and why: the data thread, the interface, the portal", () => {
  const reason = (changes: Partial<Circumstances>) => {
    const { ready, reason } = readinessOf({ ...WELL, ...changes });
    assert.equal(ready, false);
    return reason;
  };
  assert.match(reason({ dataIsAlive: false, isJoined: false }), /data thread has ended/);
  assert.equal(reason({ isConfigured: false }), WELL.portalTrouble);
  assert.equal(reason({ isJoined: false }), WELL.portalTrouble);
});

Deno.test("joined but without a relay is not ready: before the first has answered, and when the last is lost", () => {
  const before = readinessOf({ ...WELL, relays: undefined });
  assert.equal(before.ready, false);
  assert.match(before.reason, /^No relay has answered yet\./);
  const lost = readinessOf({ ...WELL, relays: { ready: 0, trouble: "no response received" } });
  assert.equal(lost.ready, false);
  assert.match(lost.reason, /^The last relay is lost: no response received\./);
  const forgotten = readinessOf({ ...WELL, relays: { ready: 0, trouble: undefined } });
  assert.match(forgotten.reason, /does not know us/);
});
