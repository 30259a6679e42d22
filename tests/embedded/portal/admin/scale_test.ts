/** Pages of a large portal: 1,000 clients, 100 resources, 5,000 grants. */
import assert from "node:assert/strict";
import process from "node:process";
import {
  ADMIN,
  AdminWorld,
  allow,
  device,
  EMPTY_POLICY,
  grant,
  NOW,
  report,
  reported,
  resource,
  site,
  user,
} from "./admin_world.ts";

/** Milliseconds of processor time; pages take 1 to 3 on the machine that this was written on. */
const BUDGET = 50;

function large(): AdminWorld {
  const world = new AdminWorld();
  const actors = Array.from({ length: 1_000 }, (_, i) => user(`user-${i}`, { groups: [`group-${i % 50}`] }));
  const resources = Array.from({ length: 100 }, (_, i) => resource(`resource-${i}`, `10.${i}.0.0/16`));
  world.policy = {
    ...EMPTY_POLICY,
    sites: [site("office")],
    actors: [ADMIN, ...actors],
    resources,
    accessPolicies: resources.flatMap((one, i) => [
      allow(one, [`group-${i % 50}`, `user-${i}`], [{ property: "client_verified" }]),
      allow(one, ["everyone"]),
    ]),
  };
  const gateways = [0, 1, 2].map((i) => device("gateway", site("office").id, `gateway-${i}`));
  const clients = actors.map(({ name }) => device("client", name, `laptop of ${name}`));
  world.deviceList = [...gateways, ...clients];
  world.grantList = clients.flatMap((client, i) =>
    [0, 1, 2, 3, 4].map((n) => grant(client, resources[(i + n) % 100]!, gateways[i % 3]!))
  );
  world.tokenList = actors.map(({ name }, i) => ({
    id: `token-${i}`,
    hash: "",
    role: "client" as const,
    owner: name,
    providerId: "password",
    createdAt: NOW - i,
    expiresAt: NOW + 86_400,
  }));
  for (const at of [NOW - 20, NOW - 10]) {
    for (const gateway of gateways) {
      const events = Array.from({ length: 100 }, (_, i) => ({
        at,
        kind: "denied" as const,
        client_id: clients[i]!.id,
        resource_id: null,
        protocol: "tcp",
        destination: `10.0.0.${i}`,
        port: 22,
      }));
      world.handleReport(gateway, report(clients.map((client) => reported(client)), events), at);
    }
  }
  return world;
}

Deno.test("every page of 1,000 clients and 100 resources takes less than 50 ms of processor time", async () => {
  const world = large();
  const [gateway, client] = [world.deviceList[0]!, world.deviceList.at(-1)!];
  for (
    const path of [
      "",
      "/gateways",
      `/gateways/${gateway.id}`,
      "/people",
      "/people/user-7",
      "/devices",
      "/devices?q=user-77",
      `/devices/${client.id}`,
      "/resources",
      `/resources/${world.policy.resources[7]!.id}`,
      "/activity",
      "/sessions",
    ]
  ) {
    const times: number[] = [];
    let length = 0;
    for (let i = 0; i < 6; i++) {
      const before = process.cpuUsage().user;
      length = (await world.get(`/admin${path}`)).length;
      times.push((process.cpuUsage().user - before) / 1000);
    }
    if (Deno.env.get("POSTERN_TIMES")) console.log(path || "/", Math.min(...times).toFixed(1), "ms", length);
    assert.ok(Math.min(...times) < BUDGET, `${path}: ${times.map((time) => time.toFixed(1))} ms`);
    assert.ok(length < 200_000, `${path}: ${length} characters`);
  }
});
