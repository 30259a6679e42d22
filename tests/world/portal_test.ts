/**
 * The embedded portal through outages, of its own and of others. In all of them:
 *
 *     clients ── portal ── gateways cellar, attic (site home)          what a client may use is what its gateway lets in
 */
import assert from "node:assert/strict";
import type { Dialect } from "../../mod/portal/login_url.ts";
import type { Id } from "../../mod/portal/types.ts";
import { POLICY, policyOf, resourceIdOf } from "../embedded/portal/portal_world.ts";
import { type Answer, SessionWorld } from "./session_world.ts";
import { StockClient, StockGateway } from "./stock_devices.ts";

const INTRANET = resourceIdOf(policyOf(POLICY), "Intranet");
const PRINTER = resourceIdOf(policyOf(POLICY), "Printer");

interface Household {
  readonly world: SessionWorld;
  readonly gateways: readonly StockGateway[];
  readonly clients: readonly StockClient[];
  /** The gateway through which a client reaches a resource; undefined when it doesn't. */
  readonly through: (client: StockClient, resourceId?: Id) => StockGateway | undefined;
}

function household(clientCount: number, dialect: Dialect = "v1", names = ["cellar", "attic"]): Household {
  const world = new SessionWorld(policyOf(POLICY));
  const gateways = names.map((name, n) =>
    new StockGateway(world, { name, token: "gateway-token-0123456789", dialect, key: n + 1 })
  );
  const clients = Array.from(
    { length: clientCount },
    (_, n) =>
      new StockClient(world, {
        name: `laptop ${n}`,
        token: "laptop-token-0123456789",
        dialect,
        key: 100 + n,
      }),
  );
  world.run(1_000);
  const idOf = (name: string) => world.core.online.find((one) => one.name === name)?.id;
  const ids = new Map<StockClient | StockGateway, Id>();
  for (const device of [...gateways, ...clients]) ids.set(device, idOf(device.identity.name)!);
  for (const client of clients) client.use(INTRANET);
  world.run(1_000);
  const through = (client: StockClient, resourceId = INTRANET) => {
    const gatewayId = client.flows.get(resourceId);
    const gateway = gateways.find((one) => ids.get(one) === gatewayId);
    return gateway?.lets(ids.get(client)!, resourceId) ? gateway : undefined;
  };
  for (const client of clients) assert.ok(through(client), "it begins with everybody connected");
  return { world, gateways, clients, through };
}

for (const dialect of ["v1", "v2"] as const) {
  Deno.test(`two gateways, one killed: its ${dialect} clients are on the other within 20 s, the others stay`, () => {
    const { world, gateways: [cellar, attic], clients, through } = household(20, dialect);
    const before = clients.map((client) => through(client));
    assert.ok(before.includes(cellar) && before.includes(attic), "the load is spread");
    cellar!.kill();
    const took = world.until(() => clients.every((client) => through(client) === attic), 20_000);
    assert.ok(took > 5_000, "a hiccup would have moved them, too");
  });

  Deno.test(`two gateways, one stopped gracefully: its ${dialect} clients are on the other within 2 s`, () => {
    const { world, gateways: [cellar, attic], clients, through } = household(20, dialect);
    cellar!.stop();
    world.until(() => clients.every((client) => through(client) === attic), 2_000);
  });

  Deno.test(`two gateways, one host without power: its ${dialect} clients are on the other within 20 s`, () => {
    const { world, gateways: [cellar, attic], clients, through } = household(20, dialect);
    world.run(30_000); // Long enough to know how often it sends heartbeats.
    cellar!.unplug();
    world.until(() => clients.every((client) => through(client) === attic), 20_000);
  });
}

Deno.test("a gateway whose link to the portal breaks, again and again, keeps its clients", () => {
  const { world, gateways: [cellar], clients, through } = household(20);
  const before = clients.map((client) => through(client));
  for (let i = 0; i < 10; i++) {
    cellar!.cut();
    world.run(15_000);
    assert.deepEqual(clients.map((client) => through(client)), before);
  }
});

Deno.test("a killed gateway that comes back as another process has its clients again at once", () => {
  const { world, gateways: [cellar], clients, through } = household(5, "v1", ["cellar"]);
  cellar!.kill();
  world.run(3_000);
  const again = new StockGateway(world, { ...cellar!.identity, key: 77 });
  world.until(() => again.isJoined, 1_000);
  world.run(500);
  assert.equal(
    [...again.access.values()].filter((resources) => resources.has(INTRANET)).length,
    clients.length,
  );
  assert.equal(clients.filter((client) => through(client)).length, 0, "the dead process lets nobody in");
});

Deno.test("the portal is away for twelve hours: tunnels stay as they are, and everybody is back within two minutes", () => {
  const { world, gateways, clients, through } = household(20);
  const before = clients.map((client) => through(client));
  world.stop();
  world.run(12 * 3_600_000);
  assert.deepEqual(clients.map((client) => through(client)), before);
  world.start();
  world.until(() => [...gateways, ...clients].every((device) => device.isJoined), 120_000);
  world.run(300_000);
  assert.deepEqual(clients.map((client) => through(client)), before, "nobody was moved");
});

const REFUSALS: readonly (readonly [string, Answer])[] = [
  ["429", { status: 429, body: "Too many requests" }],
  ["503", { status: 503, body: '{"code":"unavailable"}' }],
  ["502 with a page", { status: 502, body: "<html>Bad Gateway</html>" }],
  ["200 with garbage", { status: 200, body: "\u0000\ufffd{" }],
  ["nothing at all", "black hole"],
];
for (const [what, answer] of REFUSALS) {
  Deno.test(`the portal answers ${what} for ten minutes: nobody gives up, nobody is moved, everybody comes back`, () => {
    const { world, gateways, clients, through } = household(10, "v2");
    const before = clients.map((client) => through(client));
    const phone = new StockClient(world, { name: "phone", token: "phone-token-0123456789", key: 99 });
    world.run(1_000);
    assert.ok(phone.isJoined, "somebody's connection holds");
    world.answer = answer;
    for (const device of [...gateways, ...clients]) device.cut();
    world.run(600_000);
    assert.deepEqual([...gateways, ...clients].map((device) => device.failure), Array(12).fill(undefined));
    world.answer = "up";
    world.until(() => [...gateways, ...clients].every((device) => device.isJoined), 120_000);
    world.run(300_000);
    assert.deepEqual(clients.map((client) => through(client)), before);
  });
}

for (const seconds of [3, 7, 12, 20, 30, 60, 300]) {
  Deno.test(`the portal's network carries nothing for ${seconds} s: nobody is moved`, () => {
    const { world, gateways, clients, through } = household(10, "v2", ["cellar", "attic", "loft"]);
    world.run(33_000);
    const before = clients.map((client) => through(client));
    world.stall(seconds * 1_000);
    world.run(seconds * 1_000 + 120_000);
    assert.ok([...gateways, ...clients].every((device) => device.isJoined));
    assert.deepEqual(clients.map((client) => through(client)), before);
  });
}

Deno.test("the portal is killed between storing and sending, at any moment: nobody is left with what doesn't work", () => {
  // What happens in this world, one step after the other; the portal is mute from a step on, then killed and restarted.
  const steps: ((home: Household) => void)[] = [
    ({ clients }) => clients[0]!.use(PRINTER),
    ({ world }) => world.reload(policyOf(POLICY.replace("10.30.0.9", "10.30.0.10"))),
    ({ world }) => world.reload(policyOf(POLICY.replace('allow = ["everyone"]', 'allow = ["phone"]'))),
    ({ world }) => world.reload(policyOf(POLICY)),
    ({ gateways }) => gateways[0]!.stop(),
    ({ world }) => world.run(10_000),
  ];
  for (let killedAt = 0; killedAt < steps.length; killedAt++) {
    const home = household(4);
    const { world, gateways: [, attic], clients, through } = home;
    for (const [number, step] of steps.entries()) {
      if (number === killedAt) world.kill();
      step(home);
      world.run(200);
      if (number !== killedAt) continue;
      world.stop();
      world.run(2_000);
      world.start();
      world.until(() => [attic!, ...clients].every((device) => device.isJoined), 120_000);
    }
    world.run(150_000);
    for (const client of clients) assert.equal(through(client), attic, `killed at step ${killedAt}`);
    assert.equal(through(clients[0]!, PRINTER), attic, `killed at step ${killedAt}`);
  }
});

Deno.test("clocks that are a day wrong, of the portal or of a gateway, don't break sessions of machines", () => {
  for (const skew of [86_400, -86_400]) {
    const { world, gateways: [cellar, attic], clients, through } = household(10);
    const before = clients.map((client) => through(client));
    world.skew = skew;
    cellar!.skew = -skew;
    world.run(300_000);
    attic!.cut();
    clients[0]!.cut();
    world.run(10_000);
    world.skew = 0;
    world.run(300_000);
    assert.deepEqual(clients.map((client) => through(client)), before);
    clients[1]!.use(PRINTER);
    world.run(1_000);
    assert.ok(through(clients[1]!, PRINTER));
  }
});

Deno.test("what runs out by the portal's clock ends at a gateway whose clock is a day behind", () => {
  const hours = POLICY.replace('allow = ["everyone"]\n', "") +
    '[[policy]]\nname = "hours"\nresource = "Intranet"\nallow = ["everyone"]\n[policy.conditions]\ntime = ["thu 08:00-09:10 UTC"]\n';
  const { world, gateways: [cellar], clients, through } = household(2, "v1", ["cellar"]);
  cellar!.skew = -86_400;
  world.reload(policyOf(hours));
  world.run(1_000);
  assert.ok(clients.every((client) => through(client)));
  world.run(11 * 60_000);
  assert.ok(clients.every((client) => !through(client)));
  assert.ok(clients.every((client) => !client.resources.has(INTRANET)));
});

Deno.test("a revoked token: its gateways and clients are out within a second", () => {
  const { world, gateways, clients, through } = household(10);
  const rotate = (token: string) => policyOf(POLICY.replace(token, token.replace("token", "other")));
  world.reload(rotate("laptop-token-0123456789"));
  world.run(100);
  for (const client of clients) {
    assert.match(client.failure ?? "", /token is expired or revoked/);
    assert.equal(through(client), undefined);
  }
  world.reload(rotate("gateway-token-0123456789"));
  world.run(100);
  for (const gateway of gateways) assert.match(gateway.failure ?? "", /token is expired or revoked/);
});

Deno.test("candidates that are announced while the other side is away arrive when it is back", () => {
  const { world, gateways: [cellar], clients: [laptop] } = household(1, "v2", ["cellar"]);
  const gatewayId = laptop!.flows.get(INTRANET)!;
  const candidate = (n: number) => `candidate:${n} 1 udp 2130706431 192.0.2.${n} 52625 typ host`;
  cellar!.cut();
  laptop!.session.send({ type: "candidates", gatewayId, candidates: [candidate(1), candidate(2)] });
  laptop!.session.send({ type: "invalidated_candidates", gatewayId, candidates: [candidate(1)] });
  laptop!.drain();
  world.run(20_000);
  assert.deepEqual([...cellar!.candidates.values()].flat(), [candidate(2)]);
});

Deno.test("a thousand clients reconnect at once: all are back within 30 s", () => {
  const { world, gateways, clients, through } = household(1_000);
  const before = clients.map((client) => through(client));
  world.stop();
  world.run(500);
  world.start();
  world.cpu = 0;
  world.until(() => [...gateways, ...clients].every((device) => device.isJoined), 30_000);
  assert.deepEqual(clients.map((client) => through(client)), before);
  assert.ok(world.cpu < 5_000, `the portal computed for ${world.cpu} ms`);
});

Deno.test("whenever a session of ours hangs up it says whether it comes back, so that no hiccup looks like a farewell", () => {
  const { world, gateways: [cellar], clients, through } = household(4);
  const before = clients.map((client) => through(client));
  const farewells: string[] = [];
  const spy = new SessionWorld(policyOf(POLICY));
  const gateway = new StockGateway(spy, { ...cellar!.identity, key: 50 });
  gateway.onHangUp = (reason) => farewells.push(reason);
  spy.run(1_000);
  gateway.session.handleText('{"topic":"gateway","event":"phx_close","payload":{},"ref":null}', spy.now);
  gateway.drain();
  spy.run(5_000);
  gateway.session.reconnect(spy.now);
  gateway.drain();
  spy.run(5_000);
  gateway.stop();
  assert.deepEqual(farewells, ["reconnecting", "reconnecting", "shutting down"]);
  cellar!.session.reconnect(world.now);
  cellar!.drain();
  world.run(30_000);
  assert.deepEqual(clients.map((client) => through(client)), before);
});
