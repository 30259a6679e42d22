/** How gateways leave, over real sockets: what the core makes of a closing code is only right if it gets that code. */
import assert from "node:assert/strict";
import { startPortal } from "../../../../mod/embedded/portal/mod.ts";
import { liveClient, liveGateway } from "../live_device.ts";
import { POLICY, policyOf, resourceIdOf } from "../portal_world.ts";

Deno.test("a gateway that is stopped hands its clients over at once; one that reconnects keeps them", async () => {
  const policy = policyOf(POLICY), resourceId = resourceIdOf(policy, "Intranet");
  const portal = await startPortal({ policy, listen: { hostname: "127.0.0.1", port: 0 }, relays: [] });
  const login = (name: string, n: number) => ({
    apiUrl: portal.url,
    token: name === "laptop" ? "laptop-token-0123456789" : "gateway-token-0123456789",
    id: name,
    publicKey: new Uint8Array(32).fill(n),
  });
  const cellar = liveGateway(login("cellar", 1)), attic = liveGateway(login("attic", 2));
  const laptop = liveClient(login("laptop", 3));
  try {
    for (const { diary } of [cellar, attic]) await diary.next("init");
    await laptop.diary.next("init");
    const ids = new Map(portal.devices().map(({ id, externalId }) => [externalId, id]));
    const connect = async (preferred: string, gateway: typeof cellar) => {
      laptop.connection.send({ type: "request", resourceId, connectedGatewayIds: [ids.get(preferred)!] });
      const { authorization } = await gateway.diary.next("authorize");
      gateway.connection.send({ type: "authorized", ref: authorization.ref });
      return (await laptop.diary.next("flow_created")).flow.gatewayId;
    };
    assert.equal(await connect("cellar", cellar), ids.get("cellar"));
    cellar.connection.reconnect();
    const again = await cellar.diary.next("init");
    assert.equal(again.init.authorizations?.length, 1);

    const start = performance.now();
    await cellar.connection.close();
    await laptop.diary.next("resource_deleted");
    await laptop.diary.next("resource_upserted");
    assert.equal(await connect("cellar", attic), ids.get("attic"));
    assert.ok(performance.now() - start < 2_000);
  } finally {
    for (const { connection } of [cellar, attic, laptop]) await connection.close();
    await portal.stop();
  }
});
