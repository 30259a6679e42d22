import assert from "node:assert/strict";
import fc from "fast-check";
import { formatIp } from "../../mod/packet/address.ts";
import { formatKey } from "../../mod/portal/key.ts";
import { decodeGatewayEvent, encodeGatewayCommand } from "../../mod/portal/schema/gateway.ts";
import type { GatewayEvent } from "../../mod/portal/types.ts";
import {
  allowAccess,
  authorizeFlow,
  cidrResource,
  createAuthorization,
  gatewayInit,
  relayEntry,
  requestConnection,
} from "./payloads.ts";
import { CLIENT_ID, CLIENT_KEY, PRESHARED_KEY, RELAY_ID, RESOURCE_ID } from "./support.ts";

function read<T extends GatewayEvent["type"]>(type: T, event: string, payload: unknown) {
  const { value, error } = decodeGatewayEvent(event, payload);
  assert.ok(value, String(error));
  assert.equal(value.type, type);
  return value as Extract<GatewayEvent, { type: T }>;
}

function errorOf(event: string, payload: unknown): string {
  const { value, error } = decodeGatewayEvent(event, payload);
  assert.equal(value, undefined);
  return `${error!.path}: ${error!.reason}`;
}

/** The payload with one value replaced, or removed when it is undefined. */
function changed(payload: Record<string, unknown>, path: string, value?: unknown): unknown {
  const copy = structuredClone(payload);
  const keys = path.split(".");
  let at = copy as Record<string, unknown>;
  for (const key of keys.slice(0, -1)) at = at[key] as Record<string, unknown>;
  if (value === undefined) delete at[keys.at(-1)!];
  else at[keys.at(-1)!] = value;
  return copy;
}

Deno.test("init: interface, relays merged into dual-stack ones, slug, standing authorizations", () => {
  const { init } = read("init", "init", gatewayInit());
  assert.equal(formatIp(init.interface.ipv4), "100.64.7.9");
  assert.equal(formatIp(init.interface.ipv6), "fd00:2021:1111::709");
  assert.equal(init.accountSlug, "acme");
  assert.equal(init.relays.length, 1);
  const relay = init.relays[0]!;
  assert.deepEqual([relay.id, relay.v4?.key, relay.v6?.key, relay.expiresAt], [
    RELAY_ID,
    "203.0.113.10:3478",
    "[2001:db8::10]:3478",
    1761004800,
  ]);
  assert.deepEqual(init.authorizations, [{
    clientId: CLIENT_ID,
    resourceId: RESOURCE_ID,
    expiresAt: undefined,
  }]);
});

Deno.test("init: no list of authorizations is not an empty list", () => {
  const list = (value?: unknown) =>
    read("init", "init", changed(gatewayInit(), "authorizations", value)).init;
  assert.equal(list().authorizations, undefined);
  assert.equal(list(null).authorizations, undefined);
  assert.deepEqual(list([]).authorizations, []);
});

Deno.test("init: newer portals give each authorization an expiry, and flow-log settings that don't matter", () => {
  const entry = { client_id: CLIENT_ID.toUpperCase(), resource_id: RESOURCE_ID, expires_at: 1753952400 };
  const payload = { ...gatewayInit(), authorizations: [entry], flow_logs: { api_url: "x" } };
  assert.deepEqual(read("init", "init", payload).init.authorizations, [
    { clientId: CLIENT_ID, resourceId: RESOURCE_ID, expiresAt: 1753952400 },
  ]);
});

Deno.test("init: an authorization that can't be read costs itself: it is not in the list, so it is revoked", () => {
  const { authorizations: [good] } = gatewayInit() as { authorizations: unknown[] };
  const bad = { client_id: "x", resource_id: RESOURCE_ID };
  const payload = { ...gatewayInit(), authorizations: [bad, good, 7] };
  const { value, skipped } = decodeGatewayEvent("init", payload);
  assert.ok(value?.type === "init");
  assert.deepEqual(value.init.authorizations!.map(({ clientId }) => clientId), [CLIENT_ID]);
  assert.deepEqual(skipped.map(({ path, reason }) => `${path}: ${reason}`), [
    "authorizations.0.client_id: it is not a UUID",
    "authorizations.2: Object expected",
  ]);
});

Deno.test("relays_presence: an id that can't be read costs itself", () => {
  const payload = { disconnected_ids: ["x", RELAY_ID], connected: [relayEntry("192.0.2.1:3478")] };
  const { value, skipped } = decodeGatewayEvent("relays_presence", payload);
  assert.ok(value?.type === "relays_presence");
  assert.deepEqual(value.presence.disconnectedIds, [RELAY_ID]);
  assert.equal(value.presence.connected.length, 1);
  assert.deepEqual(skipped.map(({ path }) => path), ["disconnected_ids.0"]);
});

Deno.test("relays: credentials that have expired by our clock are the relay's business", () => {
  const relays = [{ ...relayEntry("192.0.2.1:3478"), expires_at: 0 }];
  assert.equal(read("init", "init", { ...gatewayInit(), relays }).init.relays[0]!.expiresAt, 0);
});

Deno.test("relays: bad entries, stun entries and unknown kinds are skipped one by one and named", () => {
  const relays = [
    { type: "stun", id: RELAY_ID, addr: "192.0.2.1:3478" },
    { ...relayEntry("relay.example:3478") },
    { ...relayEntry("192.0.2.7:3478"), type: "quic" },
    relayEntry("192.0.2.1:3478"),
    relayEntry("192.0.2.2:3478"),
    { ...relayEntry("[2001:db8::1]:3478"), password: "another" },
  ];
  const { value, skipped } = decodeGatewayEvent("init", { ...gatewayInit(), relays });
  assert.ok(value?.type === "init");
  assert.deepEqual(value.init.relays.map((r) => [r.v4?.key, r.v6?.key]), [["192.0.2.1:3478", undefined]]);
  assert.deepEqual(skipped.map((e) => `${e.path}: ${e.reason}`), [
    "relays.1.addr: it is not an IP address with a port",
    'relays.2.type: ("turn" | "stun") expected instead of "quic"',
    "relays.4.addr: another entry of this relay has another address of this family",
    "relays.5.id: another entry of this relay has other credentials",
  ]);
});

Deno.test("relays: the entries of one relay are found even when another stands between them", () => {
  const other = { ...relayEntry("192.0.2.9:3478"), id: "7d3f0c5e-1111-4222-8333-944455556666" };
  const relays = [relayEntry("192.0.2.1:3478"), other, relayEntry("[2001:db8::1]:3478")];
  const { init } = read("init", "init", { ...gatewayInit(), relays });
  assert.deepEqual(init.relays.map((r) => [r.v4?.key, r.v6?.key]), [
    ["192.0.2.1:3478", "[2001:db8::1]:3478"],
    ["192.0.2.9:3478", undefined],
  ]);
});

Deno.test("both dialects' authorizations mean the same", () => {
  const v1 = read("authorize", "authorize_flow", authorizeFlow()).authorization;
  const v2 = read("authorize", "create_authorization", createAuthorization()).authorization;
  assert.deepEqual(v1, v2);
  assert.equal(v1.ref, "SFMyNTY.g2gDbQAAA");
  assert.equal(v1.client.id, CLIENT_ID);
  assert.equal(formatKey(v1.client.publicKey), CLIENT_KEY);
  assert.equal(formatKey(v1.client.presharedKey), PRESHARED_KEY);
  assert.equal(v1.client.presharedKey.length, 32);
  assert.equal(formatIp(v1.client.ipv4), "100.70.12.34");
  assert.deepEqual(v1.clientIce, { ufrag: "zbsy", password: "xxli47zshbmu3ktnzxwx2g" });
  assert.deepEqual(v1.gatewayIce, { ufrag: "4w4b", password: "puzxwigc5sygzlkdlz3etq" });
  assert.equal(v1.expiresAt, 1753952400);
  assert.ok(v1.resource.type === "cidr");
  assert.equal(v1.resource.address.text, "10.20.0.0/16");
  assert.deepEqual(v1.resource.filters, [{ protocol: "tcp", portStart: 443, portEnd: 443 }, {
    protocol: "icmp",
  }]);
});

Deno.test("expires_at may be null, which is never, but must be there", () => {
  const never = changed(authorizeFlow(), "expires_at", null);
  assert.equal(read("authorize", "authorize_flow", never).authorization.expiresAt, null);
  assert.equal(
    errorOf("authorize_flow", changed(authorizeFlow(), "expires_at")),
    "expires_at: it is missing",
  );
  assert.match(
    errorOf("authorize_flow", changed(authorizeFlow(), "expires_at", 1.5)),
    /^expires_at: .*whole number/,
  );
  assert.match(errorOf("authorize_flow", changed(authorizeFlow(), "expires_at", "1")), /^expires_at: /);
});

Deno.test("each wrong field is named, and never quoted", () => {
  const cases: [path: string, value: unknown, expected: RegExp][] = [
    ["ref", 7, /^ref: string expected$/],
    ["client", undefined, /^client: it is missing$/],
    ["client.id", "secret", /^client\.id: it is not a UUID$/],
    ["client.public_key", "secret", /^client\.public_key: it is not a key of 32 bytes in base64$/],
    ["client.preshared_key", "c2VjcmV0", /^client\.preshared_key: it is not a key/],
    ["client.ipv4", "fd00::1", /^client\.ipv4: it is not an IPv4 address$/],
    ["client.ipv6", "10.0.0.1", /^client\.ipv6: it is not an IPv6 address$/],
    ["client_ice_credentials.password", undefined, /^client_ice_credentials\.password: it is missing$/],
    ["gateway_ice_credentials", "secret", /^gateway_ice_credentials: Object expected$/],
    ["resource.type", "device_pool", /^resource\.type: .* expected instead of "device_pool"$/],
    ["resource.address", "10.20.0.1/16", /^resource\.address: it is not a canonical network$/],
    ["resource.filters", undefined, /^resource\.filters: it is missing$/],
    ["resource.filters.0.protocol", "sctp", /^resource\.filters\.0\.protocol: .*"sctp"$/],
    ["resource.filters.0.port_range_end", 65536, /^resource\.filters\.0\.port_range_end: it is not a port$/],
  ];
  for (const [path, value, expected] of cases) {
    const message = errorOf("authorize_flow", changed(authorizeFlow(), path, value));
    assert.match(message, expected);
    assert.ok(!message.includes("secret"));
  }
});

Deno.test("resources: DNS, Internet, and filters without ports", () => {
  const dns = { ...cidrResource(), type: "dns", address: "*.corp.example", filters: [{ protocol: "tcp" }] };
  assert.deepEqual(read("resource_updated", "resource_updated", dns).resource, {
    type: "dns",
    id: RESOURCE_ID,
    name: "Intranet",
    address: "*.corp.example",
    filters: [{ protocol: "tcp", portStart: 0, portEnd: 65535 }],
  });
  const internet = { type: "internet", id: RESOURCE_ID, address: 7 };
  assert.deepEqual(read("resource_updated", "resource_updated", internet).resource, {
    type: "internet",
    id: RESOURCE_ID,
  });
});

Deno.test("reject_access, expiry updates and relay presence", () => {
  const ids = { client_id: CLIENT_ID, resource_id: RESOURCE_ID };
  assert.deepEqual(read("reject_access", "reject_access", ids), {
    type: "reject_access",
    clientId: CLIENT_ID,
    resourceId: RESOURCE_ID,
  });
  const update = read("expiry_updated", "access_authorization_expiry_updated", { ...ids, expires_at: 5 });
  assert.equal(update.expiresAt, 5);
  const { presence } = read("relays_presence", "relays_presence", {
    disconnected_ids: [RELAY_ID],
    connected: [relayEntry("192.0.2.1:3478")],
  });
  assert.deepEqual(presence.disconnectedIds, [RELAY_ID]);
  assert.equal(presence.connected[0]!.v4!.key, "192.0.2.1:3478");
  assert.equal(errorOf("relays_presence", { connected: [] }), "disconnected_ids: it is missing");
});

Deno.test("request_connection and allow_access of clients older than 1.4", () => {
  const { offer } = read("connection_offered", "request_connection", requestConnection());
  assert.deepEqual([offer.ref, offer.client.id, offer.expiresAt], [
    "SFMyNTY.g2gDbQAAA",
    CLIENT_ID,
    1753952400,
  ]);
  assert.deepEqual([formatKey(offer.client.publicKey), formatKey(offer.client.presharedKey)], [
    CLIENT_KEY,
    PRESHARED_KEY,
  ]);
  assert.deepEqual(offer.clientIce, { ufrag: "zbsy", password: "xxli47zshbmu3ktnzxwx2g" });
  assert.equal(offer.name!.domain, "wiki.corp.example");
  assert.deepEqual(offer.name!.proxyIps.map(formatIp), ["100.96.0.1", "fd00:2021:1111:8000::1"]);
  for (const domain of [null, undefined]) {
    const plain = changed(requestConnection(), "client.payload.domain", domain);
    assert.equal(read("connection_offered", "request_connection", plain).offer.name, undefined);
  }
  const { offer: access } = read("access_offered", "allow_access", allowAccess());
  assert.deepEqual([access.client.id, formatIp(access.client.ipv4), access.expiresAt, access.name], [
    CLIENT_ID,
    "100.70.12.34",
    null,
    undefined,
  ]);
  const named = { ...allowAccess(), payload: { name: "x.corp.example", proxy_ips: ["100.96.0.2", "none"] } };
  const { value, skipped } = decodeGatewayEvent("allow_access", named);
  assert.ok(value?.type === "access_offered");
  assert.deepEqual(value.offer.name!.proxyIps.map(formatIp), ["100.96.0.2"]);
  assert.deepEqual(skipped.map(({ path }) => path), ["payload.proxy_ips.1"]);
});

Deno.test("each wrong field of the old messages is named", () => {
  const cases: [event: string, make: () => Record<string, unknown>, path: string, value?: unknown][] = [
    ["request_connection", requestConnection, "ref", 7],
    ["request_connection", requestConnection, "expires_at"],
    ["request_connection", requestConnection, "client.payload.ice_parameters.password"],
    ["request_connection", requestConnection, "client.payload.domain.name", ""],
    ["request_connection", requestConnection, "client.peer.public_key", "x"],
    ["request_connection", requestConnection, "resource.address"],
    ["allow_access", allowAccess, "client_ipv4", "fd00::1"],
    ["allow_access", allowAccess, "client_id"],
    ["allow_access", allowAccess, "resource.type", "pool"],
  ];
  for (const [event, make, path, value] of cases) {
    assert.ok(errorOf(event, changed(make(), path, value)).startsWith(`${path}: `), path);
  }
});

Deno.test("candidates that can't be read are skipped one by one", () => {
  const good = "candidate:7031633958891736544 1 udp 50331391 35.244.108.190 53909 typ relay";
  const payload = {
    client_id: CLIENT_ID,
    candidates: [7, good, "", null, `candidate:${"x".repeat(600)}`, "nonsense"],
  };
  for (const event of ["ice_candidates", "invalidate_ice_candidates"] as const) {
    assert.deepEqual(read(event, event, payload).candidates, [good]);
    assert.equal(decodeGatewayEvent(event, payload).skipped.length, 5);
  }
});

Deno.test("unknown events are named", () => {
  assert.equal(decodeGatewayEvent("teleport", {}).error?.message, "Cannot read teleport: unknown event.");
});

Deno.test("commands in both dialects", () => {
  const lines = (["v1", "v2"] as const).map((dialect) =>
    [
      encodeGatewayCommand(dialect, { type: "authorized", ref: "r" }),
      encodeGatewayCommand(dialect, { type: "candidates", clientId: CLIENT_ID, candidates: ["c"] }),
      encodeGatewayCommand(dialect, {
        type: "invalidated_candidates",
        clientId: CLIENT_ID,
        candidates: ["c"],
      }),
      encodeGatewayCommand(dialect, { type: "no_relays" }),
      encodeGatewayCommand(dialect, { type: "accepted", ref: "r", ice: { ufrag: "u", password: "p" } }),
    ].map(({ event, payload }) => `${event} ${JSON.stringify(payload)}`)
  );
  const common = [
    `broadcast_ice_candidates {"client_ids":["${CLIENT_ID}"],"candidates":["c"]}`,
    `broadcast_invalidated_ice_candidates {"client_ids":["${CLIENT_ID}"],"candidates":["c"]}`,
    "no_relays {}",
    'connection_ready {"ref":"r","gateway_payload":{"ConnectionAccepted":{"ice_parameters":{"username":"u","password":"p"}}}}',
  ];
  assert.deepEqual(lines[0], [`flow_authorized {"ref":"r"}`, ...common]);
  assert.deepEqual(lines[1], [`authorization_created {"ref":"r"}`, ...common]);
});

Deno.test("any JSON under any event name: a value or a named error, never a throw", () => {
  const events = [
    "init",
    "authorize_flow",
    "create_authorization",
    "reject_access",
    "resource_updated",
    "relays_presence",
    "ice_candidates",
    "access_authorization_expiry_updated",
    "request_connection",
    "allow_access",
    "__proto__",
  ];
  fc.assert(fc.property(fc.constantFrom(...events), fc.jsonValue(), (event, payload) => {
    const decoded = decodeGatewayEvent(event, payload);
    assert.equal(decoded.value === undefined, decoded.error !== undefined);
  }));
});

Deno.test("a valid payload with any one value replaced, or any field added: never a throw", () => {
  const payloads: [string, () => Record<string, unknown>][] = [
    ["init", gatewayInit],
    ["create_authorization", createAuthorization],
    ["resource_updated", cidrResource],
    ["request_connection", requestConnection],
    ["allow_access", allowAccess],
  ];
  fc.assert(
    fc.property(fc.constantFrom(...payloads), fc.nat(), fc.jsonValue(), ([event, make], at, value) => {
      const payload = make();
      const places: [Record<string, unknown>, string][] = [];
      const visit = (node: unknown) => {
        if (typeof node !== "object" || node === null) return;
        for (const key of Object.keys(node)) {
          places.push([node as Record<string, unknown>, key]);
          visit((node as Record<string, unknown>)[key]);
        }
      };
      visit(payload);
      const [node, key] = places[at % places.length]!;
      node[key] = value;
      const decoded = decodeGatewayEvent(event, payload);
      assert.equal(decoded.value === undefined, decoded.error !== undefined);
    }),
  );
  assert.ok(decodeGatewayEvent("init", { ...gatewayInit(), future: { a: 1 } }).value);
});
