/** What a gateway tells a portal that asks for reports. */
import assert from "node:assert/strict";
import { Reporter } from "../../mod/gateway/mod.ts";
import type { NodeStatus } from "../../mod/node/mod.ts";
import { decodeGatewayReport } from "../../mod/portal/schema/report.ts";
import { gatewayCodec } from "../../mod/portal/schema/gateway.ts";
import { type GatewayReport, MAX_REPORTED_CLIENTS } from "../../mod/portal/types.ts";
import { UNIX_NOW } from "../embedded/relay_harness.ts";
import { CLIENT_ID, DOMAIN, Duo, GATEWAY_ID, openName, PROXY, RELAY_ID, RESOURCE_ID } from "./duo.ts";
import { udp } from "./packets.ts";

const REQUEST = udp("100.64.0.5", 40000, "10.0.0.9", 53, "question");
const ANSWER = udp("10.0.0.9", 53, "100.64.0.5", 40000, "an answer");
const DNS_ONLY = { filters: [{ protocol: "udp", portStart: 53, portEnd: 53 }] } as const;

/** A duo whose portal wants a report every 10 s, with one flow. */
function reporting(options: ConstructorParameters<typeof Duo>[0] = {}): Duo {
  const duo = new Duo(options);
  duo.initialise(10);
  duo.advance(1000);
  duo.fromClient(REQUEST);
  duo.advance(3000);
  duo.fromGateway(ANSWER);
  return duo;
}

/** Whatever the client's own routing says. */
function force(duo: Duo, packet: Uint8Array): void {
  duo.client.path.send(duo.clientEnd.node.connection(GATEWAY_ID)!, packet, duo.now);
  duo.settle();
}

function reports(duo: Duo): GatewayReport[] {
  return duo.commands.splice(0).flatMap((command) => (command.type === "report" ? [command.report] : []));
}

Deno.test("a portal that does not ask gets no report, and nothing is followed for it", () => {
  const duo = new Duo();
  duo.advance(1000);
  duo.fromClient(REQUEST);
  duo.advance(60_000);
  assert.deepEqual(reports(duo), []);
  assert.equal(duo.madeFlows, 0);
  assert.equal(duo.gatewayEnd.counters.get("flow_opened"), 0);
});

Deno.test("a report tells each client's path, round trip, bytes and last handshake, and the relays", () => {
  const duo = reporting();
  duo.advance(7000);
  const [report, ...more] = reports(duo);
  assert.deepEqual(more, []);
  assert.deepEqual([report!.uptime_secs, report!.version], [10, "1.2.3"]);
  const [client] = report!.clients;
  assert.deepEqual([client!.client_id, client!.path], [CLIENT_ID, "direct"]);
  assert.ok(client!.rtt_ms !== null && client!.rtt_ms >= 0);
  assert.ok(client!.bytes_in >= REQUEST.length && client!.bytes_out >= ANSWER.length);
  assert.ok(client!.last_handshake_secs! >= 5 && client!.last_handshake_secs! <= 9);
  assert.deepEqual(report!.relays.map(({ id, ready }) => [id, ready]), [[RELAY_ID, true]]);
  assert.deepEqual(report!.events, [], "the flow is not over");
});

Deno.test("reports come every interval, follow a change of it at the next init, and end when it ends", () => {
  const duo = reporting();
  duo.initialise(10); // Again, as after any reconnect: it changes nothing.
  duo.advance(57_000);
  assert.equal(reports(duo).length, 6);
  duo.initialise(20);
  duo.advance(60_000);
  assert.equal(reports(duo).length, 3);
  duo.initialise();
  duo.advance(60_000);
  assert.equal(reports(duo).length, 0);
  duo.fromGateway(ANSWER);
  assert.equal(duo.atClient.length, 2, "packets go on");
});

Deno.test("a flow that is over is told once, with what went each way", () => {
  for (const flows of [false, true]) {
    const duo = reporting({ flows });
    duo.advance(140_000);
    const events = reports(duo).flatMap((report) => report.events);
    assert.equal(events.length, 1);
    const { at, ...event } = events[0]!;
    assert.ok(at > UNIX_NOW + 120 && at < UNIX_NOW + 140);
    assert.deepEqual(event, {
      kind: "flow",
      client_id: CLIENT_ID,
      resource_id: RESOURCE_ID,
      protocol: "udp",
      destination: "10.0.0.9",
      port: 53,
      bytes_in: 8,
      bytes_out: 9,
    });
    assert.equal(duo.madeFlows, flows ? 0 : 1, "the flow log's tracker serves both");
  }
});

Deno.test("denied packets are told with the resource that covers them, once each, and not without end", () => {
  const duo = reporting(DNS_ONLY);
  openName(duo);
  const deny = (dst: string, port: number) => force(duo, udp("100.64.0.5", 40000, dst, port, "x"));
  for (let i = 0; i < 5; i++) deny("10.0.0.9", 54);
  deny("192.0.2.77", 53);
  duo.advance(10_000);
  const events = reports(duo).flatMap((report) => report.events);
  assert.deepEqual(events.map(({ at: _at, ...event }) => event), [
    {
      kind: "denied",
      client_id: CLIENT_ID,
      protocol: "udp",
      port: 54,
      resource_id: RESOURCE_ID,
      destination: "10.0.0.9",
    },
    {
      kind: "denied",
      client_id: CLIENT_ID,
      protocol: "udp",
      port: 53,
      resource_id: null,
      destination: "192.0.2.77",
    },
  ]);
  for (let second = 0; second < 9; second++) {
    for (let i = 0; i < 100; i++) deny("10.0.0.9", 1000 + 100 * second + i);
    duo.advance(1000);
  }
  duo.advance(1000);
  const flood = reports(duo).flatMap((report) => report.events);
  assert.equal(flood.length, 50);
});

Deno.test("a denied packet to a name is told by the name", () => {
  const duo = reporting(DNS_ONLY);
  openName(duo);
  const peer = duo.policy.peerById(CLIENT_ID)!;
  const [id] = [...peer.grants.keys()].filter((id) => id !== RESOURCE_ID);
  duo.gateway.handlePortal({
    type: "resource_updated",
    resource: { type: "dns", id: id!, name: "App", address: "*.example.com", filters: DNS_ONLY.filters },
  }, duo.now);
  force(duo, udp("100.64.0.5", 40000, PROXY, 54, "x"));
  duo.advance(10_000);
  const [event] = reports(duo).flatMap((report) => report.events);
  assert.deepEqual([event?.kind, event?.destination, event?.resource_id], ["denied", DOMAIN, id]);
});

const uuid = (i: number) => `66666666-6666-4666-8666-${String(i).padStart(12, "0")}`;

Deno.test("of very many clients the busiest are told, and the report stays below 256 KiB and readable", () => {
  const reporter = new Reporter({
    version: "1.2.3",
    startedAt: 0,
    unixNow: () => UNIX_NOW * 1000,
    makeFlows: () => {
      throw new Error("not wanted");
    },
  });
  const status: NodeStatus = {
    connections: Array.from({ length: 5000 }, (_, i) => ({
      peerId: uuid(i),
      state: "connected",
      path: "none",
      remote: "192.0.2.1:1",
      rtt: 123.456,
      sentBytes: 1e15 + i,
      receivedBytes: 1e15,
      lastHandshakeAt: 0,
    })),
    relays: Array.from({ length: 300 }, (_, i) => ({ id: uuid(i), ready: true, rtt: undefined })),
  };
  const report = reporter.take(status, 1e9);
  const event = {
    at: UNIX_NOW,
    kind: "flow",
    client_id: uuid(1),
    resource_id: uuid(2),
    protocol: "icmp",
    destination: "x".repeat(253),
    port: 65535,
    bytes_in: 1e15,
    bytes_out: 1e15,
  } as const;
  const full = { ...report, events: Array.from({ length: 100 }, () => event) };
  assert.equal(report.clients.length, MAX_REPORTED_CLIENTS);
  assert.ok(report.clients.every(({ client_id }) => client_id >= uuid(4000)));
  const { event: name, payload } = gatewayCodec("v1").encode({ type: "report", report: full });
  assert.equal(name, "postern_report");
  const text = JSON.stringify(payload);
  assert.ok(text.length <= 256 * 1024, `${text.length}`);
  assert.deepEqual(decodeGatewayReport(JSON.parse(text)).value, full);
});
