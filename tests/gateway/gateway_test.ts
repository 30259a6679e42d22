import assert from "node:assert/strict";
import { encodeControl } from "../../mod/policy/mod.ts";
import { UNIX_NOW } from "../embedded/relay_harness.ts";
import { CLIENT_ID, Duo, GATEWAY_ID, RESOURCE_ID } from "./duo.ts";
import { udp } from "./packets.ts";

const REQUEST = udp("100.64.0.5", 40000, "10.0.0.9", 53, "question");
const ANSWER = udp("10.0.0.9", 53, "100.64.0.5", 40000, "answer");

/** A duo whose first packet has made its way. */
function connected(options: ConstructorParameters<typeof Duo>[0] = {}): Duo {
  const duo = new Duo(options);
  duo.advance(1000);
  duo.fromClient(REQUEST);
  duo.advance(3000);
  assert.deepEqual(duo.atGateway.splice(0), [REQUEST]);
  return duo;
}

Deno.test("the first packet to a resource makes a flow and a connection, and arrives exactly once", () => {
  const duo = connected();
  assert.equal(duo.gatewayEnd.node.connection(CLIENT_ID)!.nominated!.kind, "direct");
  duo.fromGateway(ANSWER);
  assert.deepEqual(duo.atClient.splice(0), [ANSWER]);
});

Deno.test("without a direct path packets go through the relay, both ways", () => {
  const duo = connected({ direct: false });
  assert.equal(duo.gatewayEnd.node.connection(CLIENT_ID)!.nominated!.kind, "relayed");
  duo.fromGateway(ANSWER);
  assert.deepEqual(duo.atClient.splice(0), [ANSWER]);
});

Deno.test("a path that dies moves to the relay, and back when it works again", () => {
  const duo = connected();
  duo.direct = false;
  duo.advance(20_000);
  duo.fromClient(REQUEST);
  duo.advance(1000);
  assert.deepEqual(duo.atGateway.splice(0), [REQUEST]);
  assert.equal(duo.clientEnd.node.connection(GATEWAY_ID)!.nominated!.kind, "relayed");
  duo.direct = true;
  duo.advance(30_000);
  duo.fromClient(REQUEST);
  duo.advance(1000);
  assert.deepEqual(duo.atGateway.splice(0), [REQUEST]);
  assert.equal(duo.clientEnd.node.connection(GATEWAY_ID)!.nominated!.kind, "direct");
});

Deno.test("a destination that no resource covers gets the prohibited answer", () => {
  const duo = connected({ filters: [{ protocol: "udp", portStart: 53, portEnd: 53 }] });
  duo.fromClient(udp("100.64.0.5", 40000, "10.0.0.9", 54, "x"));
  assert.equal(duo.atGateway.length, 0);
  const [icmp] = duo.atClient.splice(0);
  assert.deepEqual([...icmp!.subarray(20, 22)], [3, 13]);
});

Deno.test("a spoofed source never reaches TUN", () => {
  const duo = connected();
  duo.fromClient(udp("100.64.0.6", 40000, "10.0.0.9", 53, "x"));
  assert.equal(duo.atGateway.length, 0);
});

Deno.test("rejected access takes the connection along, after a goodbye", () => {
  const duo = connected();
  duo.gateway.handlePortal({ type: "reject_access", clientId: CLIENT_ID, resourceId: RESOURCE_ID }, duo.now);
  duo.settle();
  assert.equal(duo.gatewayEnd.node.connection(CLIENT_ID), undefined);
  assert.equal(duo.clientEnd.node.connection(GATEWAY_ID), undefined, "the client heard the goodbye");
});

Deno.test("an init whose list omits the client revokes it; a missing list revokes nothing", () => {
  const duo = connected();
  duo.initialise();
  duo.settle();
  assert.ok(duo.policy.peerById(CLIENT_ID), "no list, no information");
  duo.gateway.handlePortal({
    type: "init",
    init: {
      interface: {
        ipv4: new Uint8Array([100, 64, 0, 1]),
        ipv6: duo.policy.peerById(CLIENT_ID)!.ipv6.with(15, 1),
      },
      relays: [],
      accountSlug: undefined,
      authorizations: [],
    },
  }, duo.now);
  assert.equal(duo.policy.peerById(CLIENT_ID), undefined);
});

Deno.test("an authorisation that can't be granted costs no connection that serves another resource", () => {
  const duo = connected();
  const resource = duo.resource();
  assert.ok(resource.type === "cidr");
  duo.authorize(null, {
    ...resource,
    id: "55555555-5555-4555-8555-555555555555",
    address: { ...resource.address, prefix: 99 },
  });
  duo.settle();
  assert.ok(duo.outputs.some((output) => output.type === "refused"));
  duo.fromGateway(ANSWER);
  assert.deepEqual(duo.atClient.splice(0), [ANSWER]);
});

Deno.test("authorisations outlive a lost connection: the client comes back to them", () => {
  const duo = connected();
  duo.gatewayEnd.node.close(CLIENT_ID);
  duo.authorize();
  duo.advance(30_000);
  duo.fromClient(REQUEST);
  duo.advance(3000);
  assert.deepEqual(duo.atGateway.splice(0), [REQUEST]);
});

Deno.test("the client's goodbye removes its connection and its access", () => {
  const duo = connected();
  duo.client.path.send(
    duo.clientEnd.node.connection(GATEWAY_ID)!,
    encodeControl({ type: "goodbye" }),
    duo.now,
  );
  duo.settle();
  assert.equal(duo.gatewayEnd.node.connection(CLIENT_ID), undefined);
  assert.equal(duo.policy.peerById(CLIENT_ID), undefined);
});

Deno.test("a shutdown says goodbye and frees the allocation at the relay", () => {
  const duo = connected({ direct: false });
  assert.equal(duo.relay.server.allocations, 2);
  duo.gateway.shutdown(duo.now);
  duo.settle();
  assert.equal(duo.relay.server.allocations, 1);
  assert.equal(duo.clientEnd.node.connection(GATEWAY_ID), undefined);
  assert.equal(duo.commands.some((command) => command.type === "no_relays"), false, "we don't want new ones");
});

Deno.test("ECN goes both ways: the inner mark shows outside, congestion outside shows inside", () => {
  const duo = connected();
  const ECT0 = 2;
  duo.wire.length = 0;
  duo.fromClient(udp("100.64.0.5", 40000, "10.0.0.9", 53, "marked", ECT0));
  assert.equal(duo.wire.at(-1)!.ecn, ECT0);
  duo.atGateway.length = 0;
  duo.congested = true;
  duo.fromClient(udp("100.64.0.5", 40000, "10.0.0.9", 53, "marked", ECT0));
  duo.fromClient(udp("100.64.0.5", 40000, "10.0.0.9", 53, "unmarked"));
  assert.deepEqual(duo.atGateway.map((packet) => packet[1]! & 3), [3, 0]);
});

Deno.test("an expired grant ends access within a second and says goodbye", () => {
  const duo = new Duo();
  duo.advance(1000);
  duo.authorize(1_700_000_000 + 10);
  duo.settle();
  assert.ok(duo.policy.peerById(CLIENT_ID));
  duo.advance(10_000);
  assert.equal(duo.policy.peerById(CLIENT_ID), undefined);
  assert.equal(duo.gatewayEnd.node.connection(CLIENT_ID), undefined);
});

Deno.test("a client that is granted access in the moment in which its last grant has run out keeps its connection", () => {
  const duo = connected();
  duo.authorize(UNIX_NOW + Math.ceil(duo.now / 1000) + 2);
  const connection = duo.gatewayEnd.node.connection(CLIENT_ID);
  duo.now += 10_000; // Nothing has looked at the clock since.
  duo.authorize();
  duo.settle();
  assert.equal(duo.gatewayEnd.node.connection(CLIENT_ID), connection);
  duo.fromClient(REQUEST);
  assert.deepEqual(duo.atGateway.splice(0), [REQUEST]);
});

Deno.test("twelve quiet minutes in between cost nothing: the next packet arrives", () => {
  for (const direct of [true, false]) {
    const duo = connected({ direct });
    duo.advance(12 * 60_000);
    duo.fromClient(REQUEST);
    duo.advance(5000);
    assert.deepEqual(duo.atGateway.splice(0), [REQUEST], direct ? "direct" : "relayed");
  }
});
