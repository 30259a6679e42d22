/** What stands and what falls when clocks, addresses, processes and the portal itself change. */
import assert from "node:assert/strict";
import { authorize, find, POLICY, policyOf, PortalWorld, publicKey, resourceId } from "../portal_world.ts";

const FLAP = ["resource_deleted", "resource_created_or_updated"];
const conditional = (condition: string) =>
  POLICY.replace('allow = ["everyone"]\n', "") +
  `[[policy]]\nname = "p"\nresource = "Intranet"\nallow = ["everyone"]\n[policy.conditions]\n${condition}\n`;

Deno.test("a portal that stood still for minutes neither closes nor moves anybody: frames wait to be read", () => {
  const world = new PortalWorld();
  const cellar = world.connect("cellar"),
    attic = world.connect("cellar", { externalId: "b", publicKey: publicKey(9) });
  const laptop = world.connect("laptop");
  authorize(world, laptop, cellar);
  for (let i = 0; i < 3; i++) {
    world.wait(10_000);
    for (const device of [cellar, attic, laptop]) device.say("heartbeat", {}, "phoenix");
  }
  laptop.take();
  world.now += 400_000;
  world.core.handleTimeout(world.now);
  world.drain();
  assert.deepEqual([cellar, attic, laptop].map((device) => device.closedWith), [
    undefined,
    undefined,
    undefined,
  ]);
  assert.deepEqual(laptop.heard(), []);
  world.wait(14_000);
  assert.deepEqual(laptop.heard(), [], "both are silent: nobody is better");
});

Deno.test("a gateway of ours that closes to reconnect is not leaving", () => {
  const world = new PortalWorld();
  const cellar = world.connect("cellar"), laptop = world.connect("laptop");
  world.connect("cellar", { externalId: "b", publicKey: publicKey(9) });
  authorize(world, laptop, cellar);
  cellar.hangUp({ code: 1000, reason: "reconnecting" });
  assert.deepEqual(laptop.heard(), []);
  world.connect("cellar");
  world.wait(20_000);
  assert.deepEqual(laptop.heard(), []);
});

Deno.test("a client that is away is judged by the address of its latest login", () => {
  const text = conditional('remote_ip_in = ["198.51.100.0/24"]');
  const world = new PortalWorld({ text });
  const cellar = world.connect("cellar"), laptop = world.connect("laptop");
  authorize(world, laptop, cellar);
  laptop.hangUp();
  world.reload(`${text}\n# changed`);
  assert.equal(world.storedGrants().length, 1);
  const later = new PortalWorld({ text, stored: world.stored() });
  assert.equal(later.core.grants.length, 1);
  world.reload(conditional('remote_ip_in = ["203.0.113.0/24"]'));
  assert.deepEqual(world.storedGrants(), []);
  assert.ok(cellar.heard().includes("reject_access"));
});

Deno.test("what ended while a client was away is flapped when it is back, and not for another process of it", () => {
  const world = new PortalWorld();
  const cellar = world.connect("cellar"), laptop = world.connect("laptop");
  authorize(world, laptop, cellar);
  laptop.hangUp();
  world.reload(POLICY.replace("10.20.0.0/16", "10.21.0.0/16"));
  assert.deepEqual(world.connect("laptop").heard(), ["phx_reply", "init", ...FLAP]);
  assert.deepEqual(world.connect("laptop", { publicKey: publicKey(5) }).heard(), ["phx_reply", "init"]);
  assert.deepEqual(world.stored().grants, [], "nobody is left who could believe in it");
});

Deno.test("what ended is forgotten when the session is over, too", () => {
  const expires = 'name = "laptop"\nexpires = 2025-07-24T09:05:00Z';
  const world = new PortalWorld({ text: POLICY.replace('name = "laptop"', expires) });
  const cellar = world.connect("cellar"), laptop = world.connect("laptop");
  authorize(world, laptop, cellar);
  for (let i = 0; i < 14; i++) {
    world.wait(30_000);
    cellar.say("heartbeat", {}, "phoenix");
  }
  assert.deepEqual(world.stored().grants, []);
});

Deno.test("the grant of a process that is gone ends without a word to the one that took its place", () => {
  const world = new PortalWorld();
  const cellar = world.connect("cellar"), laptop = world.connect("laptop");
  authorize(world, laptop, cellar);
  const fresh = world.connect("laptop", { publicKey: publicKey(5) });
  fresh.take();
  cellar.take();
  world.connect("cellar", { publicKey: publicKey(6) });
  assert.deepEqual(fresh.heard(), []);
});

Deno.test("a clock that is set back ends a grant before its hours", () => {
  const world = new PortalWorld({ text: conditional('time = ["thu 08:00-18:00 UTC"]') });
  const cellar = world.connect("cellar"), laptop = world.connect("laptop");
  authorize(world, laptop, cellar);
  world.skew = -7_200;
  world.wait(2_000);
  assert.deepEqual(cellar.heard(), ["reject_access"]);
  assert.deepEqual(laptop.heard(), ["resource_deleted"]);
});

Deno.test("a session that lasts longer than thought disturbs nobody: the grant is renewed when it runs out", () => {
  const until = (text: string) => POLICY.replace('name = "laptop"', `name = "laptop"\nexpires = ${text}`);
  const world = new PortalWorld({ text: until("2025-07-24T09:01:00Z") });
  const cellar = world.connect("cellar"), laptop = world.connect("laptop");
  authorize(world, laptop, cellar);
  world.reload(until("2025-07-24T10:00:00Z"));
  assert.ok(!cellar.heard().includes("reject_access"));
  laptop.take();
  for (let i = 0; i < 3; i++) {
    world.wait(20_000);
    for (const device of [cellar, laptop]) device.say("heartbeat", {}, "phoenix");
  }
  const told = world.core.grants;
  assert.deepEqual(told, []);
  assert.deepEqual(find(authorize(world, laptop, cellar), "flow_created").gateway_id, cellar.id);
  assert.equal(world.core.grants[0]!.expiresAt, 1_753_347_600 + 3_600);
});

Deno.test("a device that is asked to reconnect may come back at once; one that isn't there can't be asked", () => {
  const world = new PortalWorld();
  const laptop = world.connect("laptop");
  assert.equal(world.core.disconnect(laptop.id, world.now), true);
  world.drain();
  assert.equal(laptop.closedWith, 1012);
  assert.equal(world.core.disconnect(laptop.id, world.now), false);
  world.connect("laptop");
});

Deno.test("two gateways that present one id and different keys: the newer one stays, and somebody is told", () => {
  const world = new PortalWorld();
  const cellar = world.connect("cellar");
  world.connect("cellar", { publicKey: publicKey(9) });
  assert.equal(cellar.closedWith, 1012);
  assert.ok(
    world.events.some((one) => one.type === "log" && one.level === "warning" && /there twice/.test(one.text)),
  );
});

Deno.test("a thousand resources with conditions cost a client's request no more than one", () => {
  let text = POLICY;
  for (let i = 0; i < 1_000; i++) {
    text += `[[resource]]\nname = "r${i}"\nsite = "home"\naddress = "10.${40 + (i >> 8)}.${i & 255}.0/24"\n` +
      `[[policy]]\nname = "p${i}"\nresource = "r${i}"\nallow = ["everyone"]\n[policy.conditions]\nregion_in = ["DE"]\n`;
  }
  const policy = policyOf(text);
  let read = 0;
  const counted = policy.accessPolicies.map((one) =>
    new Proxy(one, { get: (target, key) => (read++, Reflect.get(target, key)) })
  );
  const world = new PortalWorld({ text });
  world.core.setPolicy({ ...policy, accessPolicies: counted });
  world.drain();
  const laptop = world.connect("laptop");
  read = 0;
  laptop.say("create_flow", { resource_id: resourceId(world, "r7") });
  assert.ok(read < 20, `${read} reads of policies`);
});

Deno.test("candidates that waited are nobody's when the grant is gone meanwhile", () => {
  const world = new PortalWorld();
  const cellar = world.connect("cellar"), laptop = world.connect("laptop");
  authorize(world, laptop, cellar);
  cellar.hangUp();
  const candidates = ["candidate:1 1 udp 1 192.0.2.1 5000 typ host"];
  laptop.say("broadcast_ice_candidates", { gateway_ids: [cellar.id], candidates });
  world.reload(POLICY.replace('allow = ["everyone"]', 'allow = ["phone"]'));
  assert.deepEqual(world.connect("cellar").heard(), ["phx_reply", "init"]);
});

Deno.test("a portal without any relay says so when somebody joins, once", () => {
  const world = new PortalWorld();
  const warnings = () =>
    world.events.filter((one) => one.type === "log" && one.level === "warning" && /no relay/.test(one.text))
      .length;
  world.connect("cellar");
  assert.equal(warnings(), 0);
  world.core.setRelays([]);
  world.connect("laptop");
  world.connect("phone", { publicKey: publicKey(3) });
  assert.equal(warnings(), 1);
});

Deno.test("a gateway that reconnected while the portal stood still has not been away", () => {
  const world = new PortalWorld();
  const cellar = world.connect("cellar"), laptop = world.connect("laptop");
  world.connect("cellar", { externalId: "b", publicKey: publicKey(9) });
  authorize(world, laptop, cellar);
  world.wait(2_000);
  cellar.hangUp();
  world.now += 60_000;
  world.core.handleTimeout(world.now);
  world.drain();
  world.connect("cellar");
  world.wait(10_000);
  assert.deepEqual(laptop.heard(), []);
});

Deno.test("a clock that jumps is told of, one that is adjusted isn't", () => {
  const world = new PortalWorld();
  world.connect("cellar");
  const told = () =>
    world.events.filter((one) => one.type === "log" && /clock was set/.test(one.text)).map((one) =>
      one.type === "log" ? one.text.slice(0, 37) : ""
    );
  world.wait(5_000);
  world.skew += 20;
  world.wait(5_000);
  assert.deepEqual(told(), []);
  world.skew += 86_400;
  world.wait(5_000);
  world.skew = 0;
  world.wait(5_000);
  assert.deepEqual(told(), [
    "The clock was set forward by 86400 s,",
    "The clock was set back by 86420 s, or",
  ]);
});

Deno.test("a client that asks for what it has costs no write", () => {
  const world = new PortalWorld();
  const cellar = world.connect("cellar"), laptop = world.connect("laptop");
  authorize(world, laptop, cellar);
  const writes = world.events.length;
  for (let i = 0; i < 10; i++) authorize(world, laptop, cellar);
  assert.equal(world.events.length, writes);
});

Deno.test("whichever way a resource comes to another gateway, the one that had it is told", () => {
  const world = new PortalWorld();
  const cellar = world.connect("cellar"),
    attic = world.connect("cellar", { externalId: "b", publicKey: publicKey(9) });
  const laptop = world.connect("laptop", { userAgent: "Debian/12 connlib/1.3.6" });
  const ask = (gateway: typeof cellar) =>
    laptop.say("request_connection", {
      gateway_id: gateway.id,
      resource_id: resourceId(world, "Intranet"),
      client_payload: {},
      client_preshared_key: publicKey(1),
    });
  ask(cellar);
  assert.ok(cellar.heard().includes("request_connection"));
  ask(attic);
  assert.deepEqual(cellar.heard(), ["reject_access"]);
  assert.ok(attic.heard().includes("request_connection"));
  assert.equal(world.core.grants.length, 1);
});
