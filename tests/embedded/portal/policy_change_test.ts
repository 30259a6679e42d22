import assert from "node:assert/strict";
import { authorize, find, POLICY, PortalWorld, publicKey, resourceId } from "./portal_world.ts";

/** A gateway of each site, a laptop with a grant for the intranet, and a phone; all that was said so far is read. */
function household() {
  const world = new PortalWorld();
  const cellar = world.connect("cellar");
  const office = world.connect("office", { publicKey: publicKey(2) });
  const laptop = world.connect("laptop");
  const phone = world.connect("phone", { publicKey: publicKey(3) });
  authorize(world, laptop, cellar);
  const devices = { cellar, office, laptop, phone };
  Object.values(devices).forEach((device) => device.take());
  return {
    world,
    ...devices,
    /** What each device hears of a new policy; those that hear nothing are left out. */
    reload: (text: string) => {
      world.reload(text);
      const heard = Object.entries(devices).map(([name, device]) => [name, device.take()] as const);
      return Object.fromEntries(
        heard.filter(([, messages]) => messages.length > 0)
          .map(([name, messages]) => [name, messages.map((message) => message.event)]),
      );
    },
  };
}

const replace = (from: string, to: string) => {
  assert.ok(POLICY.includes(from));
  return POLICY.replace(from, to);
};

const MOVED = ["resource_deleted", "resource_created_or_updated"];

Deno.test("the same policy again: nobody hears anything", () => {
  assert.deepEqual(household().reload(POLICY), {});
});

Deno.test("a resource taken from a client: its gateway rejects, the client forgets", () => {
  const { world, reload, laptop } = household();
  const heard = reload(replace('allow = ["everyone"]', 'allow = ["phone"]'));
  assert.deepEqual(heard, { cellar: ["reject_access"], laptop: ["resource_deleted"] });
  const answer = laptop.say("create_flow", { resource_id: resourceId(world, "Intranet") });
  assert.equal(find(answer, "flow_creation_failed").reason, "not_found");
});

Deno.test("a resource given to a client: only that client hears of it", () => {
  assert.deepEqual(household().reload(replace('allow = ["laptop"]', 'allow = ["laptop", "phone"]')), {
    phone: ["resource_created_or_updated"],
  });
});

Deno.test("changed filters: the site's gateways and the resource's clients, no grant ends", () => {
  const { world, reload, cellar } = household();
  const heard = reload(replace('filters = ["tcp/443"]', 'filters = ["tcp/443", "icmp"]'));
  assert.deepEqual(heard, {
    cellar: ["resource_updated"],
    laptop: ["resource_created_or_updated"],
    phone: ["resource_created_or_updated"],
  });
  world.reload(POLICY);
  assert.deepEqual(find(cellar.take(), "resource_updated").filters, [
    { protocol: "tcp", port_range_start: 443, port_range_end: 443 },
  ]);
});

Deno.test("a changed address ends the grants and is a new resource for the clients", () => {
  assert.deepEqual(household().reload(replace("10.20.0.0/16", "10.21.0.0/16")), {
    cellar: ["reject_access"],
    laptop: MOVED,
    phone: MOVED,
  });
});

Deno.test("a resource moved to another site ends the grants; the new site's gateway serves it", () => {
  const { world, reload, office, laptop } = household();
  const moved = replace('name = "Intranet"\nsite = "home"', 'name = "Intranet"\nsite = "work"');
  assert.deepEqual(reload(moved), { cellar: ["reject_access"], laptop: MOVED, phone: MOVED });
  assert.deepEqual(authorize(world, laptop, office).map((message) => message.event), ["flow_created"]);
});

Deno.test("a removed token: its device is out at once, for good, and its grants are gone", () => {
  const { world, reload, laptop } = household();
  const text = replace('[[client]]\nname = "laptop"\ntoken = "laptop-token-0123456789"\n', "")
    .replace('allow = ["laptop"]', "allow = []");
  assert.deepEqual(reload(text), { cellar: ["reject_access"], laptop: ["disconnect"] });
  assert.equal(laptop.closedWith, 1000);
  assert.throws(() => world.connect("laptop"), /invalid_token/);
});

Deno.test("a rotated client token: the old one's sessions and grants end, the device stays the same", () => {
  const { world, reload, laptop } = household();
  const text = replace("laptop-token-0123456789", "rotated-token-0123456789");
  assert.deepEqual(reload(text), { cellar: ["reject_access"], laptop: ["disconnect"] });
  assert.throws(() => world.connect("laptop"), /invalid_token/);
  world.reload(POLICY);
  assert.equal(world.connect("laptop").id, laptop.id);
});

Deno.test("a removed gateway token: the gateway is out, and its clients look for another", () => {
  const { world, reload, cellar, laptop } = household();
  const heard = reload(replace("gateway-token-0123456789", "rotated-token-0123456789"));
  assert.deepEqual(heard, { cellar: ["disconnect"], laptop: MOVED });
  assert.equal(cellar.closedWith, 1000);
  const answer = laptop.say("create_flow", { resource_id: resourceId(world, "Intranet") });
  assert.equal(find(answer, "flow_creation_failed").reason, "offline");
});

Deno.test("a gateway whose token moves to another site comes back as a gateway of that site", () => {
  const { world, reload, cellar } = household();
  assert.deepEqual(reload(replace('name = "cellar"\nsite = "home"', 'name = "cellar"\nsite = "work"')), {
    laptop: MOVED,
  });
  assert.equal(cellar.closedWith, 1012);
  assert.notEqual(world.connect("cellar").id, cellar.id);
});

Deno.test("a changed expiry ends the grants, so that gateways learn the new one", () => {
  const { reload } = household();
  const heard = reload(replace('name = "laptop"', 'name = "laptop"\nexpires = 2030-01-01T00:00:00Z'));
  assert.deepEqual(heard, {
    cellar: ["reject_access"],
    laptop: [...MOVED, "relays_presence"],
  });
});

Deno.test("changed resolvers reach the clients, a changed slug the gateways", () => {
  assert.deepEqual(household().reload(`${POLICY}[account]\ndns = ["1.1.1.1"]\n`), {
    laptop: ["config_changed"],
    phone: ["config_changed"],
  });
  assert.deepEqual(household().reload(`${POLICY}[account]\nslug = "acme"\n`), {
    cellar: ["init"],
    office: ["init"],
  });
});

Deno.test("a relay in the policy reaches everybody", () => {
  const text = `${POLICY}[[relay]]\nipv4 = "192.0.2.7"\nsecret = "a secret of sixteen"\n`;
  const presence = ["relays_presence"];
  assert.deepEqual(household().reload(text), {
    cellar: presence,
    office: presence,
    laptop: presence,
    phone: presence,
  });
});

Deno.test("gateways hear of a revocation before the client does", () => {
  const { world, cellar, laptop } = household();
  world.reload(replace('allow = ["everyone"]', 'allow = ["phone"]'));
  const order = [cellar, laptop].map((device) => device.inbox.length);
  assert.deepEqual(order, [1, 1]);
  assert.deepEqual(world.sockets.slice(-2), [cellar.socket, laptop.socket]);
});
