import assert from "node:assert/strict";
import fc from "fast-check";
import { formatIp } from "../../mod/packet/address.ts";
import { formatKey } from "../../mod/portal/key.ts";
import { decodeClientEvent, encodeClientCommand } from "../../mod/portal/schema/client.ts";
import type { ClientEvent } from "../../mod/portal/types.ts";
import { clientInit, flowCreated } from "./payloads.ts";
import { GATEWAY_ID, GATEWAY_KEY, PRESHARED_KEY, RESOURCE_ID, SITE_ID } from "./support.ts";

function read<T extends ClientEvent["type"]>(type: T, event: string, payload: unknown) {
  const { value, error } = decodeClientEvent(event, payload);
  assert.ok(value, String(error));
  assert.equal(value.type, type);
  return value as Extract<ClientEvent, { type: T }>;
}

Deno.test("init: interface with resolvers, resources of all kinds, relays", () => {
  const { init } = read("init", "init", clientInit());
  assert.equal(formatIp(init.interface.ipv4), "100.70.12.34");
  assert.deepEqual(init.interface.upstreamDns.map(String), ["1.1.1.1:53"]);
  assert.equal(init.interface.searchDomain, undefined);
  assert.deepEqual(init.resources.map((r) => [r.type, r.name, r.cidr?.text ?? r.pattern]), [
    ["cidr", "Intranet", "10.20.0.0/16"],
    ["dns", "Corp web", "*.corp.example"],
    ["internet", "Internet Resource", undefined],
  ]);
  assert.deepEqual(init.resources[0]!.sites, [{ id: SITE_ID, name: "HQ" }]);
  assert.deepEqual(init.resources[0]!.filters, [{ protocol: "tcp", portStart: 443, portEnd: 443 }]);
  assert.equal(init.relays.length, 1);
});

Deno.test("init: newer portals' resolvers win, and sites may be called sites", () => {
  const payload = clientInit();
  Object.assign(payload.interface as object, { upstream_do53: [{ ip: "9.9.9.9" }, { ip: "2620:fe::fe" }] });
  const resource = (payload.resources as Record<string, unknown>[])[0]!;
  resource.sites = resource.gateway_groups;
  delete resource.gateway_groups;
  const { init } = read("init", "init", payload);
  assert.deepEqual(init.interface.upstreamDns.map(String), ["9.9.9.9:53", "[2620:fe::fe]:53"]);
  assert.equal(init.resources[0]!.sites[0]!.id, SITE_ID);
});

Deno.test("init: a resource that can't be read, of an unknown kind or without sites is skipped alone", () => {
  const payload = clientInit();
  const resources = payload.resources as Record<string, unknown>[];
  resources[0]!.address = "10.20.0.1/16";
  resources[1]!.type = "dynamic_device_pool";
  resources[2]!.gateway_groups = [];
  const { value, skipped } = decodeClientEvent("init", payload);
  assert.ok(value?.type === "init");
  assert.equal(value.init.resources.length, 0);
  assert.deepEqual(skipped.map((e) => e.path), [
    "resources.0.address",
    "resources.1.type",
    "resources.2.sites",
  ]);
});

Deno.test("both dialects' grants mean the same", () => {
  const v2 = { ...flowCreated(), site_id: SITE_ID, use_iceless: false, flow_logs_ingest_token: "a.b.c" };
  delete (v2 as Record<string, unknown>).gateway_group_id;
  const { flow } = read("flow_created", "flow_created", flowCreated());
  assert.deepEqual(flow, read("flow_created", "authorization_created", v2).flow);
  assert.equal(flow.gatewayId, GATEWAY_ID);
  assert.equal(flow.siteId, SITE_ID);
  assert.equal(formatKey(flow.gatewayPublicKey), GATEWAY_KEY);
  assert.equal(formatKey(flow.presharedKey), PRESHARED_KEY);
  assert.deepEqual(flow.clientIce, { ufrag: "zbsy", password: "xxli47zshbmu3ktnzxwx2g" });
});

Deno.test("refusals name the resource and an open-ended reason", () => {
  const payload = { resource_id: RESOURCE_ID, reason: "forbidden", violated_properties: ["remote_ip"] };
  for (const event of ["flow_creation_failed", "authorization_creation_failed"]) {
    assert.deepEqual(read("flow_failed", event, payload).failure, {
      resourceId: RESOURCE_ID,
      reason: "forbidden",
      violatedProperties: ["remote_ip"],
    });
  }
});

Deno.test("resources come, change and go; a deletion is a bare id", () => {
  const resource = (clientInit().resources as unknown[])[1];
  assert.equal(
    read("resource_upserted", "resource_created_or_updated", resource).resource.pattern,
    "*.corp.example",
  );
  assert.equal(read("resource_deleted", "resource_deleted", RESOURCE_ID).resourceId, RESOURCE_ID);
  assert.equal(decodeClientEvent("resource_deleted", { id: RESOURCE_ID }).error?.reason, "string expected");
  const { interface: changed } = read("config_changed", "config_changed", {
    interface: clientInit().interface,
  });
  assert.deepEqual(changed.upstreamDns.map(String), ["1.1.1.1:53"]);
});

Deno.test("candidates under the names of both dialects", () => {
  const payload = { gateway_id: GATEWAY_ID, candidates: ["candidate:1 1 udp 1 192.0.2.1 1 typ host", 3] };
  for (const event of ["ice_candidates", "gateway_ice_candidates"]) {
    assert.equal(read("ice_candidates", event, payload).candidates.length, 1);
  }
  for (const event of ["invalidate_ice_candidates", "invalidate_gateway_ice_candidates"]) {
    assert.equal(read("invalidate_ice_candidates", event, payload).gatewayId, GATEWAY_ID);
  }
});

Deno.test("commands in both dialects", () => {
  const lines = (["v1", "v2"] as const).map((dialect) =>
    [
      encodeClientCommand(dialect, {
        type: "request",
        resourceId: RESOURCE_ID,
        connectedGatewayIds: [GATEWAY_ID],
      }),
      encodeClientCommand(dialect, { type: "candidates", gatewayId: GATEWAY_ID, candidates: ["c"] }),
      encodeClientCommand(dialect, {
        type: "invalidated_candidates",
        gatewayId: GATEWAY_ID,
        candidates: ["c"],
      }),
      encodeClientCommand(dialect, { type: "no_relays" }),
    ].map(({ event, payload }) => `${event} ${JSON.stringify(payload)}`)
  );
  const request = `{"resource_id":"${RESOURCE_ID}","connected_gateway_ids":["${GATEWAY_ID}"]}`;
  assert.deepEqual(lines, [
    [
      `create_flow ${request}`,
      `broadcast_ice_candidates {"gateway_ids":["${GATEWAY_ID}"],"candidates":["c"]}`,
      `broadcast_invalidated_ice_candidates {"gateway_ids":["${GATEWAY_ID}"],"candidates":["c"]}`,
      "no_relays {}",
    ],
    [
      `request_authorization ${request}`,
      `new_gateway_ice_candidates {"gateway_id":"${GATEWAY_ID}","candidates":["c"]}`,
      `invalidate_gateway_ice_candidates {"gateway_id":"${GATEWAY_ID}","candidates":["c"]}`,
      "no_relays {}",
    ],
  ]);
});

Deno.test("any JSON under any event name: a value or a named error, never a throw", () => {
  const events = [
    "init",
    "flow_created",
    "config_changed",
    "resource_created_or_updated",
    "resource_deleted",
    "x",
  ];
  fc.assert(fc.property(fc.constantFrom(...events), fc.jsonValue(), (event, payload) => {
    const decoded = decodeClientEvent(event, payload);
    assert.equal(decoded.value === undefined, decoded.error !== undefined);
  }));
});
