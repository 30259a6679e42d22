import assert from "node:assert/strict";
import fc from "fast-check";
import { FAR_FUTURE, type RelayPolicy } from "../../../mod/embedded/portal/policy/policy.ts";
import { SocketAddress } from "../../../mod/packet/address.ts";
import { decodeClientEvent } from "../../../mod/portal/schema/client.ts";
import { decodeGatewayEvent } from "../../../mod/portal/schema/gateway.ts";
import { find, type Message, POLICY, PortalWorld, publicKey, RELAY, resourceId } from "./portal_world.ts";

Deno.test("a join is answered with exactly {} and followed by init", () => {
  const world = new PortalWorld();
  const [reply, init, ...rest] = world.connect("cellar").take();
  assert.deepEqual(reply, {
    topic: "gateway",
    event: "phx_reply",
    payload: { status: "ok", response: {} },
    ref: 0,
  });
  assert.equal(init!.event, "init");
  assert.equal(init!.ref, null);
  assert.deepEqual(rest, []);
});

Deno.test("a gateway's init has everything that both generations require", () => {
  const world = new PortalWorld();
  const init = find(world.connect("cellar").take(), "init");
  assert.match(init.interface.ipv4, /^100\.(6[4-9]|[78]\d|9[0-5])\./);
  assert.match(init.interface.ipv6, /^fd00:2021:1111::/);
  assert.deepEqual(init.config, { ipv4_masquerade_enabled: true, ipv6_masquerade_enabled: true });
  assert.equal(init.account_slug, "postern");
  assert.deepEqual(init.authorizations, []);
  assert.deepEqual(Object.keys(init.flow_logs).sort(), [
    "api_url",
    "upload_batch_size",
    "upload_interval_secs",
  ]);
  assert.deepEqual(init.relays.map((r: { addr: string }) => r.addr), [
    "203.0.113.10:3478",
    "[2001:db8::10]:3478",
  ]);
  assert.equal(init.relays[0]!.expires_at, FAR_FUTURE);
  assert.deepEqual(decodeGatewayEvent("init", init).skipped, []);
});

Deno.test("a client's init has everything that both generations require", () => {
  const text = POLICY + '[account]\ndns = ["1.1.1.1"]\nsearch_domain = "corp.example"\n';
  const world = new PortalWorld({ text });
  const init = find(world.connect("laptop").take(), "init");
  assert.deepEqual(init.interface.upstream_dns, [{ protocol: "ip_port", address: "1.1.1.1:53" }]);
  assert.deepEqual(init.interface.upstream_do53, [{ ip: "1.1.1.1" }]);
  assert.equal(init.interface.search_domain, "corp.example");
  assert.deepEqual(init.authorizations, []);
  assert.ok(init.flow_logs.api_url);
  assert.deepEqual(init.resources[0], {
    type: "cidr",
    id: resourceId(world, "Intranet"),
    name: "Intranet",
    address: "10.20.0.0/16",
    address_description: null,
    gateway_groups: [{ id: world.policy.sites[0]!.id, name: "home" }],
    filters: [{ protocol: "tcp", port_range_start: 443, port_range_end: 443 }],
  });
  assert.equal(init.resources[1]!.address, "10.30.0.9/32");
  assert.equal(init.resources.length, 2);
  const { value, skipped } = decodeClientEvent("init", init);
  assert.ok(value);
  assert.deepEqual(skipped, []);
  assert.equal(find(world.connect("phone", { publicKey: publicKey(7) }).take(), "init").resources.length, 1);
});

Deno.test("refs are echoed as they are, numbers and strings", () => {
  const world = new PortalWorld();
  const device = world.connect("cellar", { join: false });
  const beat = (ref: unknown) =>
    device.sayText(JSON.stringify({ topic: "phoenix", event: "heartbeat", payload: {}, ref }))[0];
  for (const ref of [0, 41, "12", null]) {
    assert.deepEqual(beat(ref), {
      topic: "phoenix",
      event: "phx_reply",
      payload: { status: "ok", response: {} },
      ref,
    });
  }
});

Deno.test("topics: only the own one can be joined, and nothing can be said before", () => {
  const world = new PortalWorld();
  const device = world.connect("cellar", { join: false });
  const error = (messages: Message[]) => messages[0]!.payload;
  const unmatched = { status: "error", response: { reason: "unmatched topic" } };
  assert.deepEqual(error(device.say("phx_join", null, "client")), unmatched);
  assert.deepEqual(error(device.say("no_relays", {})), unmatched);
  assert.deepEqual(error(device.say("nonsense", {}, "phoenix")), unmatched);
  device.join();
  assert.deepEqual(error(device.say("teleport", {})), {
    status: "error",
    response: { reason: "unknown_message" },
  });
});

Deno.test("a second join closes the first channel, a leave closes the socket", () => {
  const world = new PortalWorld();
  const device = world.connect("cellar");
  device.take();
  assert.deepEqual(device.join().map((m) => m.event), ["phx_close", "phx_reply", "init"]);
  assert.deepEqual(device.say("phx_leave", {}).map((m) => m.event), ["phx_reply", "phx_close"]);
  assert.equal(device.closedWith, 1000);
});

Deno.test("what is no Phoenix frame closes the socket and no other", () => {
  for (
    const text of [
      "",
      "{",
      "[]",
      "null",
      "7",
      '{"topic":"gateway"}',
      '{"topic":"gateway","event":"x","ref":0}',
    ]
  ) {
    const world = new PortalWorld();
    const other = world.connect("laptop"), device = world.connect("cellar");
    device.take();
    assert.deepEqual(device.sayText(text), []);
    assert.equal(device.closedWith, 1003);
    assert.equal(other.closedWith, undefined);
  }
});

Deno.test("no_relays is answered with relays, set_snownet_capabilities with silence", () => {
  const world = new PortalWorld();
  for (const device of [world.connect("cellar"), world.connect("laptop", { dialect: "v2" })]) {
    device.take();
    const [answer, ...rest] = device.say("no_relays", {});
    assert.deepEqual(rest, []);
    assert.equal(answer!.event, "relays_presence");
    assert.deepEqual(answer!.payload.disconnected_ids, []);
    assert.equal(answer!.payload.connected.length, 2);
    assert.deepEqual(device.say("set_snownet_capabilities", { iceless: true }), []);
  }
});

Deno.test("relays that come and go are told as differences, and the others keep their credentials", () => {
  const world = new PortalWorld();
  const gateway = world.connect("cellar");
  const [known] = find(gateway.take(), "init").relays;
  const other = { stampSecret: "the secret of another relay", v4: SocketAddress.parse("192.0.2.7:3478")! };
  const change = (...relays: RelayPolicy[]) => {
    world.core.setRelays(relays);
    world.drain();
    return gateway.take();
  };
  const added = find(change(RELAY, other), "relays_presence");
  assert.deepEqual(added.disconnected_ids, []);
  assert.equal(added.connected.length, 3);
  assert.deepEqual(added.connected.find((one) => one.addr === known!.addr), known);
  assert.deepEqual(change(other, RELAY), []);
  const removed = find(change(other), "relays_presence");
  assert.deepEqual(removed.disconnected_ids, [known!.id]);
  assert.deepEqual(removed.connected.map((one) => one.addr), ["192.0.2.7:3478"]);
});

Deno.test("the newest connection of a device replaces the older one, which may come back", () => {
  const world = new PortalWorld();
  const old = world.connect("laptop");
  old.take();
  const fresh = world.connect("laptop", { publicKey: publicKey(5) });
  assert.equal(old.closedWith, 1012);
  assert.deepEqual(old.heard(), []);
  assert.equal(fresh.id, old.id);
  assert.equal(world.core.online.length, 1);
  old.hangUp();
  assert.equal(world.core.online.length, 1);
});

Deno.test("who says nothing is dropped: gateways after 45 s, old clients after 310 s, new ones after 45 s", () => {
  const lifetime = (who: "cellar" | "laptop", dialect: "v1" | "v2") => {
    const world = new PortalWorld();
    const device = world.connect(who, { dialect });
    while (device.closedWith === undefined) world.wait(1_000);
    return world.now;
  };
  assert.equal(lifetime("cellar", "v1"), 45_000);
  assert.equal(lifetime("cellar", "v2"), 45_000);
  assert.equal(lifetime("laptop", "v1"), 310_000);
  assert.equal(lifetime("laptop", "v2"), 45_000);
});

Deno.test("a socket that never joins is dropped after 30 s, heartbeats or not", () => {
  const world = new PortalWorld();
  const device = world.connect("cellar", { join: false });
  for (let i = 0; i < 3; i++) {
    world.wait(9_000);
    assert.equal(device.say("heartbeat", {}, "phoenix").length, 1);
  }
  world.wait(4_000);
  assert.equal(device.closedWith, 1000);
});

Deno.test("whatever devices say: no throw, and only frames with four keys come back", () => {
  const event = fc.constantFrom(
    "phx_join",
    "phx_leave",
    "heartbeat",
    "flow_authorized",
    "create_flow",
    "broadcast_ice_candidates",
    "new_gateway_ice_candidates",
    "no_relays",
    "__proto__",
  );
  const frame = fc.oneof(
    fc.string(),
    fc.json(),
    fc.record({
      topic: fc.constantFrom("gateway", "client", "phoenix", "x"),
      event,
      payload: fc.oneof(
        fc.jsonValue(),
        fc.record({
          ref: fc.string(),
          client_ids: fc.array(fc.string()),
          candidates: fc.array(fc.jsonValue()),
        }),
      ),
      ref: fc.jsonValue(),
    }).map((value) => JSON.stringify(value)),
  );
  fc.assert(fc.property(fc.array(fc.tuple(fc.boolean(), frame), { maxLength: 20 }), (steps) => {
    const world = new PortalWorld();
    const devices = [world.connect("cellar"), world.connect("laptop")];
    for (const [first, text] of steps) devices[first ? 0 : 1]!.sayText(text);
    world.wait(1_000);
  }));
});
