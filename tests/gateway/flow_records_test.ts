import assert from "node:assert/strict";
import type { FlowClose, FlowRecord } from "../../mod/flows/mod.ts";
import { CLIENT_ID, DOMAIN, Duo, GATEWAY_ID, openName, PROXY, REAL, RESOURCE_ID } from "./duo.ts";
import { udp } from "./packets.ts";

const REQUEST = udp("100.64.0.5", 40000, "10.0.0.9", 53, "question");
const ANSWER = udp("10.0.0.9", 53, "100.64.0.5", 40000, "an answer");

/** A duo with one recorded flow: a question and its answer. */
function connected(options: ConstructorParameters<typeof Duo>[0] = {}): Duo {
  const duo = new Duo({ ...options, flows: true });
  duo.advance(1000);
  duo.fromClient(REQUEST);
  duo.advance(3000);
  duo.fromGateway(ANSWER);
  assert.equal(duo.atClient.splice(0).length, 1);
  return duo;
}

function records(duo: Duo): FlowRecord[] {
  duo.advance(1000);
  const all: FlowRecord[] = [];
  for (let batch = duo.flows!.pollRecords(); batch; batch = duo.flows!.pollRecords()) all.push(...batch);
  return all;
}

function closed(duo: Duo): FlowClose[] {
  return records(duo).filter((record) => record.record === "close");
}

Deno.test("a flow is recorded with client, resource, addresses and what went each way", () => {
  const duo = connected();
  duo.gateway.shutdown(duo.now);
  const [close] = closed(duo);
  assert.ok(close);
  const { client_id, resource_id, resource_name, end, tx_packets, tx_bytes, rx_packets, rx_bytes } = close;
  assert.deepEqual([client_id, resource_id, resource_name], [CLIENT_ID, RESOURCE_ID, "LAN"]);
  assert.deepEqual([end, tx_packets, tx_bytes, rx_packets, rx_bytes], ["shutdown", 1, 8, 1, 9]);
  assert.deepEqual(
    [close.inner_src_ip, close.inner_src_port, close.inner_dst_ip, close.inner_dst_port],
    ["100.64.0.5", 40000, "10.0.0.9", 53],
  );
});

Deno.test("what the policy refuses, and what goes to the gateway itself, is no flow", () => {
  const duo = connected({ filters: [{ protocol: "udp", portStart: 53, portEnd: 53 }] });
  records(duo);
  duo.fromClient(udp("100.64.0.5", 40001, "10.0.0.9", 54, "x"));
  duo.fromClient(udp("100.64.0.6", 40001, "10.0.0.9", 53, "x"));
  duo.fromClient(udp("100.64.0.5", 40001, "100.64.0.1", 53535, "x"));
  assert.deepEqual(records(duo), []);
  assert.equal(duo.flows!.size, 1);
});

Deno.test("an answer that can't be sealed is not counted", () => {
  const duo = connected();
  duo.gatewayEnd.node.close(CLIENT_ID);
  duo.fromGateway(ANSWER);
  duo.gateway.shutdown(duo.now);
  assert.equal(closed(duo)[0]!.rx_packets, 1);
});

Deno.test("a super-packet counts as the packets that it becomes", () => {
  const duo = connected();
  const payload = "y".repeat(2500), big = udp("10.0.0.9", 53, "100.64.0.5", 40000, payload);
  // virtio-net header: checksum to be completed, UDP segmentation into 1000 bytes.
  const vnet = Uint8Array.of(1, 5, 28, 0, 0xe8, 3, 20, 0, 6, 0);
  duo.fromGateway(big, vnet);
  assert.equal(duo.atClient.splice(0).length, 3);
  duo.gateway.shutdown(duo.now);
  const [close] = closed(duo);
  assert.deepEqual([close!.rx_packets, close!.rx_bytes], [4, 2509]);
});

Deno.test("a flow to a name is told with the name and the real address, and its answers are its own", () => {
  const duo = connected();
  openName(duo);
  const connection = duo.clientEnd.node.connection(GATEWAY_ID)!;
  duo.client.path.send(connection, udp("100.64.0.5", 4000, PROXY, 53, "hello"), duo.now);
  duo.settle();
  duo.fromGateway(udp(REAL, 53, "100.64.0.5", 4000, "hi"));
  assert.equal(duo.atClient.splice(0).length, 1);
  duo.gateway.shutdown(duo.now);
  const close = closed(duo).find((record) => record.inner_dst_ip === REAL);
  assert.deepEqual([close?.domain, close?.resource_name, close?.tx_bytes, close?.rx_bytes], [
    DOMAIN,
    "App",
    5,
    2,
  ]);
});

Deno.test("a change of the path is no change of the flow", () => {
  const duo = connected();
  duo.direct = false;
  duo.advance(20_000);
  duo.fromClient(REQUEST);
  duo.advance(1000);
  assert.equal(duo.gatewayEnd.node.connection(CLIENT_ID)!.nominated!.kind, "relayed");
  assert.equal(records(duo).length, 1, "only that it opened");
  duo.gateway.shutdown(duo.now);
  assert.equal(closed(duo)[0]!.tx_packets, 2);
});

for (
  const [what, end, act] of [
    ["the portal rejects it", "revoked", (duo) => {
      duo.gateway.handlePortal(
        { type: "reject_access", clientId: CLIENT_ID, resourceId: RESOURCE_ID },
        duo.now,
      );
    }],
    ["it expires", "revoked", (duo) => {
      duo.authorize(1_700_000_000 + Math.floor(duo.now / 1000) + 2);
      duo.advance(3000);
    }],
    ["an init leaves it out", "revoked", (duo) => {
      const init = { interface: duo.policy.peerById(CLIENT_ID)!, relays: [], accountSlug: undefined };
      duo.gateway.handlePortal({ type: "init", init: { ...init, authorizations: [] } }, duo.now);
    }],
    ["the client says goodbye", "goodbye", (duo) => {
      duo.client.shutdown(duo.now);
      duo.settle();
    }],
  ] as [string, string, (duo: Duo) => void][]
) {
  Deno.test(`a flow ends with the access: ${what}`, () => {
    const duo = connected();
    act(duo);
    assert.equal(duo.flows!.size, 0);
    assert.equal(closed(duo)[0]!.end, end);
  });
}
