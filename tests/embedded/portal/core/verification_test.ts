import assert from "node:assert/strict";
import { find, POLICY, PortalWorld, resourceId } from "../portal_world.ts";

const VERIFIED = POLICY.replace('allow = ["laptop"]\n', "") +
  '[[policy]]\nname = "checked"\nresource = "Printer"\nallow = ["laptop"]\n[policy.conditions]\nverified = true\n';
const HARDWARE = { deviceSerial: "C02XL0GYJGH5", deviceUuid: "7A461FF9" };

function verified(world: PortalWorld): boolean | undefined {
  return world.core.devices(world.now).find((device) => device.role === "client")?.verified;
}

Deno.test("a client that somebody has looked at keeps the mark over logins and restarts of the portal", () => {
  const world = new PortalWorld({ text: VERIFIED });
  const laptop = world.connect("laptop", { hardware: HARDWARE });
  assert.equal(verified(world), false);
  assert.equal(world.core.verify(laptop.id, true), true);
  world.drain();
  assert.deepEqual(laptop.heard().slice(-1), ["resource_created_or_updated"]);
  const later = new PortalWorld({ text: VERIFIED, stored: world.stored() });
  const init = find(later.connect("laptop", { hardware: HARDWARE }).take(), "init");
  assert.ok(init.resources.some(({ id }) => id === resourceId(world, "Printer")));
  assert.equal(verified(later), true);
});

for (
  const [what, hardware] of [
    ["another serial number", { ...HARDWARE, deviceSerial: "other" }],
    ["a serial number left out", { deviceUuid: "7A461FF9" }],
  ] as const
) {
  Deno.test(`the mark is gone with ${what}`, () => {
    const world = new PortalWorld({ text: VERIFIED });
    const laptop = world.connect("laptop", { hardware: HARDWARE });
    world.core.verify(laptop.id, true);
    world.drain();
    world.connect("laptop", {
      hardware: { ...HARDWARE, firebaseInstallationId: "what was unknown may come" },
    });
    assert.equal(verified(world), true);
    const init = find(world.connect("laptop", { hardware }).take(), "init");
    assert.equal(verified(world), false);
    assert.ok(!init.resources.some(({ id }) => id === resourceId(world, "Printer")));
  });
}

Deno.test("only clients that have been here can be verified", () => {
  const world = new PortalWorld();
  const cellar = world.connect("cellar");
  assert.equal(world.core.verify(cellar.id, true), false);
  assert.equal(world.core.verify("9d3c7f6a-1d2e-4b8f-a7c6-0e1f2a3b4c5d", true), false);
});

Deno.test("an empty identifier is one that isn't known", () => {
  const world = new PortalWorld({ text: VERIFIED });
  const laptop = world.connect("laptop", { hardware: { deviceSerial: "" } });
  world.core.verify(laptop.id, true);
  world.drain();
  world.connect("laptop", { hardware: { deviceSerial: "C02XL0GYJGH5" } });
  assert.equal(verified(world), true);
});
