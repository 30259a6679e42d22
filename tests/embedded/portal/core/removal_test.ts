import assert from "node:assert/strict";
import { hashToken } from "../../../../mod/embedded/portal/core/tokens.ts";
import { FAR_FUTURE } from "../../../../mod/embedded/portal/policy/policy.ts";
import { authorize, PortalWorld, publicKey } from "../portal_world.ts";

/** A gateway and a laptop with a grant. */
function household() {
  const world = new PortalWorld();
  const cellar = world.connect("cellar");
  const laptop = world.connect("laptop");
  authorize(world, laptop, cellar);
  return { world, cellar, laptop };
}

Deno.test("a removed client device is out, its gateway rejects it, and nothing of it is kept", () => {
  const { world, cellar, laptop } = household();
  assert.equal(world.core.removeDevice(laptop.id, world.now), true);
  world.drain();
  assert.deepEqual(laptop.heard(), ["disconnect"]);
  assert.equal(laptop.closedWith, 1000);
  assert.deepEqual(cellar.heard(), ["reject_access"]);
  assert.deepEqual(world.core.devices(world.now).map(({ name }) => name), ["cellar"]);
  assert.deepEqual(world.core.grants, []);
  const ends = world.events.filter(({ type }) => type.startsWith("drop_")).map(({ type }) => type);
  assert.deepEqual(ends, ["drop_grant", "drop_device"]);
  assert.equal(world.core.removeDevice(laptop.id, world.now), false);
});

Deno.test("a removed gateway device is out, and its clients look for another", () => {
  const { world, cellar, laptop } = household();
  world.core.removeDevice(cellar.id, world.now);
  world.drain();
  assert.deepEqual(cellar.heard(), ["disconnect"]);
  assert.deepEqual(laptop.heard(), ["resource_deleted", "resource_created_or_updated"]);
  assert.deepEqual(world.core.grants, []);
});

Deno.test("a removed device may come back with a good token, and its addresses may be anybody's", () => {
  const { world, laptop } = household();
  world.core.removeDevice(laptop.id, world.now);
  world.drain();
  assert.doesNotThrow(() => world.connect("laptop"));
});

Deno.test("a token that is to end later lets its devices stay until then, and puts them out within a second", () => {
  const { world } = household();
  world.core.addToken({
    id: "made",
    hash: hashToken("phone-token-0123456789"),
    role: "client",
    owner: "phone",
    providerId: undefined,
    createdAt: world.unixNow(),
    expiresAt: FAR_FUTURE,
  });
  const phone = world.connect("phone", { publicKey: publicKey(3) });
  assert.equal(world.core.expireToken("made", world.unixNow() + 20), true);
  world.drain();
  world.wait(19_000);
  assert.equal(phone.closedWith, undefined);
  world.wait(2_000);
  assert.equal(phone.closedWith, 1000);
  assert.equal(phone.heard().at(-1), "disconnect");
  assert.equal(world.core.expireToken("unknown", 0), false);
});

Deno.test("a client that was away when it was removed is told what has ended when it comes back", () => {
  const { world, laptop } = household();
  laptop.hangUp();
  world.core.removeDevice(laptop.id, world.now);
  world.drain();
  const flap = ["resource_deleted", "resource_created_or_updated"];
  assert.deepEqual(world.connect("laptop").heard(), ["phx_reply", "init", ...flap]);
});
