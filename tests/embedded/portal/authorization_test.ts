import assert from "node:assert/strict";
import { pairIceCredentials } from "../../../mod/embedded/portal/core/pair_credentials.ts";
import { FAR_FUTURE } from "../../../mod/embedded/portal/policy/policy.ts";
import { decodeClientEvent } from "../../../mod/portal/schema/client.ts";
import { decodeGatewayEvent } from "../../../mod/portal/schema/gateway.ts";
import { CLIENT_KEY, GATEWAY_KEY } from "../../portal/support.ts";
import {
  authorize,
  type FakeDevice,
  find,
  POLICY,
  PortalWorld,
  publicKey,
  resourceId,
} from "./portal_world.ts";

const CANDIDATE = "candidate:1130928381964183420 1 udp 2130706175 192.0.2.44 52625 typ host";

for (
  const [clientDialect, gatewayDialect] of [["v1", "v1"], ["v1", "v2"], ["v2", "v1"], ["v2", "v2"]] as const
) {
  Deno.test(`a ${clientDialect} client reaches a resource through a ${gatewayDialect} gateway`, () => {
    const world = new PortalWorld();
    const gateway = world.connect("cellar", { dialect: gatewayDialect });
    const client = world.connect("laptop", { dialect: clientDialect });
    gateway.take();
    client.take();
    const request = { resource_id: resourceId(world, "Intranet"), connected_gateway_ids: [] };
    assert.deepEqual(
      client.say(clientDialect === "v1" ? "create_flow" : "request_authorization", request),
      [],
    );

    const [pushed] = gateway.take();
    assert.equal(pushed!.event, gatewayDialect === "v1" ? "authorize_flow" : "create_authorization");
    const told = pushed!.payload;
    assert.equal(told.client.id, client.id);
    assert.equal(told.client.public_key, CLIENT_KEY);
    assert.equal(told.client.version, "1.5.0");
    assert.deepEqual(told.resource, {
      type: "cidr",
      id: request.resource_id,
      name: "Intranet",
      address: "10.20.0.0/16",
      filters: [{ protocol: "tcp", port_range_start: 443, port_range_end: 443 }],
    });
    assert.equal(told.expires_at, FAR_FUTURE);
    assert.equal(told.use_iceless, false);
    const decoded = decodeGatewayEvent(pushed!.event, told);
    assert.ok(decoded.value, String(decoded.error));

    const confirm = gatewayDialect === "v1" ? "flow_authorized" : "authorization_created";
    const [reply] = gateway.say(confirm, { ref: told.ref });
    assert.deepEqual(reply!.payload, { status: "ok", response: {} });
    gateway.say("broadcast_ice_candidates", { client_ids: [client.id], candidates: [CANDIDATE, 7] });

    const [granted, signalled] = client.take();
    assert.equal(granted!.event, clientDialect === "v1" ? "flow_created" : "authorization_created");
    const grant = granted!.payload;
    assert.equal(grant.gateway_id, gateway.id);
    assert.equal(grant.gateway_group_id, world.policy.sites[0]!.id);
    assert.equal(grant.gateway_public_key, GATEWAY_KEY);
    assert.equal(grant.preshared_key, told.client.preshared_key);
    const ice = pairIceCredentials(
      { id: client.id, publicKey: CLIENT_KEY },
      { id: gateway.id, publicKey: GATEWAY_KEY },
    );
    for (const side of [told, grant]) {
      assert.deepEqual(side.client_ice_credentials, ice.client);
      assert.deepEqual(side.gateway_ice_credentials, ice.gateway);
      assert.match(side.flow_logs_ingest_token, /^[\w-]+\.[\w-]+\.[\w-]+$/);
    }
    assert.ok(decodeClientEvent(granted!.event, grant).value);
    assert.deepEqual([signalled!.event, signalled!.payload], [
      "ice_candidates",
      { gateway_id: gateway.id, candidates: [CANDIDATE] },
    ]);

    const [signal, withdrawal] = clientDialect === "v1"
      ? ["broadcast_ice_candidates", "broadcast_invalidated_ice_candidates"]
      : ["new_gateway_ice_candidates", "invalidate_gateway_ice_candidates"];
    const peer = clientDialect === "v1" ? { gateway_ids: [gateway.id] } : { gateway_id: gateway.id };
    for (const event of [signal!, withdrawal!]) {
      assert.deepEqual(client.say(event, { ...peer, candidates: [CANDIDATE] }), []);
    }
    assert.deepEqual(gateway.take().map((m) => [m.event, m.payload]), [
      ["ice_candidates", { client_id: client.id, candidates: [CANDIDATE] }],
      ["invalidate_ice_candidates", { client_id: client.id, candidates: [CANDIDATE] }],
    ]);
  });
}

Deno.test("the dialect's own confirmation and request only: the other's are unknown messages", () => {
  const world = new PortalWorld();
  const reason = (device: FakeDevice, event: string) => device.say(event, {}).at(-1)!.payload.response.reason;
  const old = world.connect("cellar");
  old.take();
  assert.equal(reason(old, "authorization_created"), "unknown_message");
  const client = world.connect("laptop", { dialect: "v2" });
  client.take();
  assert.equal(reason(client, "create_flow"), "unknown_message");
  assert.equal(reason(client, "prepare_connection"), "unknown_message");
});

Deno.test("every authorization of a pair has the same credentials, also after a portal that forgot everything", () => {
  const secrets = (world: PortalWorld, name: string) => {
    const gateway = world.connect("cellar"), client = world.connect("laptop");
    gateway.take();
    client.take();
    const grant = find(authorize(world, client, gateway, name), "flow_created");
    return [grant.preshared_key, grant.client_ice_credentials, grant.gateway_id, grant.gateway_ipv4];
  };
  const world = new PortalWorld();
  const first = secrets(world, "Intranet");
  assert.deepEqual(secrets(world, "Printer"), first);
  assert.deepEqual(secrets(new PortalWorld({ forgetful: true }), "Intranet"), first);
});

Deno.test("refusals: unknown resource, not allowed, nobody online, gateway too old", () => {
  const world = new PortalWorld();
  const phone = world.connect("phone", { publicKey: publicKey(7) }),
    laptop = world.connect("laptop", { dialect: "v2" });
  const ask = (device: FakeDevice, id: string) => {
    device.take();
    return device.say(device === laptop ? "request_authorization" : "create_flow", { resource_id: id })
      .map((m) => [m.event, m.payload.reason]);
  };
  const [intranet, printer] = [resourceId(world, "Intranet"), resourceId(world, "Printer")];
  assert.deepEqual(ask(phone, "9d3c7f6a-1d2e-4b8f-a7c6-0e1f2a3b4c5d"), [[
    "flow_creation_failed",
    "not_found",
  ]]);
  assert.deepEqual(ask(phone, printer), [["flow_creation_failed", "not_found"]]);
  assert.deepEqual(ask(laptop, intranet), [["authorization_creation_failed", "offline"]]);
  world.connect("cellar", { userAgent: "Debian/12 connlib/1.3.9" });
  assert.deepEqual(ask(laptop, intranet), [["authorization_creation_failed", "version_mismatch"]]);
  assert.deepEqual(ask(phone, intranet), [["flow_creation_failed", "not_found"]]);
});

Deno.test("a gateway that stays silent for 15 s makes the resource offline, and a late confirmation is void", () => {
  const world = new PortalWorld();
  const gateway = world.connect("cellar"), client = world.connect("laptop");
  gateway.take();
  client.take();
  client.say("create_flow", { resource_id: resourceId(world, "Intranet"), connected_gateway_ids: [] });
  const { ref } = find(gateway.take(), "authorize_flow");
  world.wait(14_900);
  assert.deepEqual(client.heard(), []);
  world.wait(1_100);
  assert.equal(find(client.take(), "flow_creation_failed").reason, "offline");
  assert.equal(gateway.say("flow_authorized", { ref })[0]!.payload.status, "ok");
  assert.deepEqual(client.heard(), []);
});

Deno.test("a confirmation with a ref that is not ours, or not this gateway's, grants nothing", () => {
  const world = new PortalWorld();
  const gateway = world.connect("cellar"),
    other = world.connect("cellar", { externalId: "b", publicKey: publicKey(9) });
  const client = world.connect("laptop");
  client.take();
  gateway.take();
  client.say("create_flow", {
    resource_id: resourceId(world, "Intranet"),
    connected_gateway_ids: ["not an id", gateway.id],
  });
  const { ref } = find(gateway.take(), "authorize_flow");
  other.take();
  for (const bad of ["", "0", `${ref}x`, `1${ref}`, 7]) {
    assert.equal(other.say("flow_authorized", { ref: bad })[0]!.payload.response.reason, "invalid_ref");
  }
  other.say("flow_authorized", { ref });
  assert.deepEqual(client.heard(), []);
  gateway.say("flow_authorized", { ref });
  assert.deepEqual(client.heard(), ["flow_created"]);
});

Deno.test("a gateway that the client is connected to is preferred; else the load is spread", () => {
  const world = new PortalWorld();
  const gateways = [1, 2, 3].map((n) =>
    world.connect("cellar", { externalId: `g${n}`, publicKey: publicKey(n) })
  );
  const chosen = (client: FakeDevice, ids: string[]) => {
    gateways.forEach((gateway) => gateway.take());
    client.say("create_flow", { resource_id: resourceId(world, "Intranet"), connected_gateway_ids: ids });
    return gateways.findIndex((gateway) => gateway.heard().includes("authorize_flow"));
  };
  const clients = Array.from(
    { length: 9 },
    (_, n) => world.connect("laptop", { externalId: `c${n}`, publicKey: publicKey(100 + n) }),
  );
  const counts = [0, 0, 0];
  for (const client of clients) counts[chosen(client, [])]!++;
  assert.deepEqual(counts, [3, 3, 3]);
  world.wait(2_000);
  for (const [n, gateway] of gateways.entries()) {
    const client = world.connect("laptop", { externalId: `d${n}`, publicKey: publicKey(120 + n) });
    assert.equal(chosen(client, ["5a3d2f80-6a52-4e0b-9e0e-0c7a4b2f1c11", gateway.id]), n);
  }
});

Deno.test("a repeated request within a second is noise, later it is asked again", () => {
  const world = new PortalWorld();
  const gateway = world.connect("cellar"), client = world.connect("laptop");
  gateway.take();
  const ask = () => {
    client.say("create_flow", { resource_id: resourceId(world, "Intranet"), connected_gateway_ids: [] });
    return gateway.heard().length;
  };
  assert.deepEqual([ask(), ask(), ask()], [1, 0, 0]);
  world.wait(2_000);
  assert.equal(ask(), 1);
});

for (const dialect of ["v1", "v2"] as const) {
  const way = dialect === "v1" ? "is made to forget the resource first" : "is simply granted it anew";
  Deno.test(`a ${dialect} client whose gateway is gone ${way}`, () => {
    const world = new PortalWorld();
    const first = world.connect("cellar", { externalId: "a" });
    const client = world.connect("laptop", { dialect });
    const ask = () =>
      client.say(dialect === "v1" ? "create_flow" : "request_authorization", {
        resource_id: resourceId(world, "Intranet"),
        connected_gateway_ids: [first.id],
      }).map((message) => message.event);
    ask();
    first.say("flow_authorized", { ref: find(first.take(), "authorize_flow").ref });
    first.hangUp();
    const second = world.connect("cellar", { externalId: "b", publicKey: publicKey(9) });
    client.take();
    second.take();
    if (dialect === "v1") {
      assert.deepEqual(ask(), ["resource_deleted", "resource_created_or_updated"]);
      assert.deepEqual(second.heard(), []);
    }
    assert.deepEqual(ask(), []);
    second.say("flow_authorized", { ref: find(second.take(), "authorize_flow").ref });
    assert.equal(client.take()[0]!.payload.gateway_id, second.id);
    const back = world.connect("cellar", { externalId: "a" });
    assert.deepEqual(find(back.take(), "init").authorizations, []);
  });
}

Deno.test("candidates between devices without a grant go nowhere", () => {
  const world = new PortalWorld();
  const gateway = world.connect("cellar"), client = world.connect("laptop");
  gateway.take();
  client.take();
  client.say("broadcast_ice_candidates", { gateway_ids: [gateway.id], candidates: [CANDIDATE] });
  gateway.say("broadcast_ice_candidates", { client_ids: [client.id], candidates: [CANDIDATE] });
  assert.deepEqual([...gateway.heard(), ...client.heard()], []);
});

Deno.test("grants outlive a portal with a store: gateways find them in init, and the client isn't bothered", () => {
  const world = new PortalWorld();
  const gateway = world.connect("cellar"), client = world.connect("laptop");
  authorize(world, client, gateway);
  const later = new PortalWorld({ stored: world.stored() });
  assert.deepEqual(find(later.connect("cellar").take(), "init").authorizations, [
    { client_id: client.id, resource_id: resourceId(world, "Intranet"), expires_at: FAR_FUTURE },
  ]);
  assert.deepEqual(later.connect("laptop").heard(), ["phx_reply", "init"]);
});

Deno.test("a portal without a store makes clients ask again, once per process", () => {
  const world = new PortalWorld({ forgetful: true });
  const flap = ["resource_deleted", "resource_created_or_updated"];
  assert.deepEqual(world.connect("laptop").heard(), ["phx_reply", "init", ...flap, ...flap]);
  assert.deepEqual(world.connect("laptop").heard(), ["phx_reply", "init"]);
});

Deno.test("stored grants that the policy no longer allows are not told to anybody", () => {
  const world = new PortalWorld();
  authorize(world, world.connect("laptop"), world.connect("cellar"));
  const text = POLICY.replace('allow = ["everyone"]', 'allow = ["phone"]');
  const later = new PortalWorld({ stored: world.stored(), text });
  assert.deepEqual(find(later.connect("cellar").take(), "init").authorizations, []);
});
