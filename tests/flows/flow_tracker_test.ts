import assert from "node:assert/strict";
import { ACK, FIN, icmp, PSH, RST, SYN, udp } from "../policy/packets.ts";
import { ABOUT, FlowBed, PAIR, UNIX_START } from "./flow_bed.ts";

const iso = (ms: number) => new Date(UNIX_START + ms).toISOString();

/** What distinguishes records at a glance: `open`, or how they ended. */
function told(bed: FlowBed): string[] {
  return bed.records().map((record) => record.record === "close" ? record.end : record.record);
}

/** Handshake, a request, an answer of three segments. */
function converse(bed: FlowBed): void {
  bed.sendTcp(SYN);
  bed.answerTcp(SYN | ACK);
  bed.sendTcp(ACK);
  bed.sendTcp(PSH | ACK, 100);
  bed.answerTcp(ACK, 3000, PAIR, 3);
}

Deno.test("a TCP connection is told when it opens and when both sides have closed it, with all that it carried", () => {
  const bed = new FlowBed();
  converse(bed);
  bed.now += 200;
  bed.answerTcp(FIN | ACK);
  bed.sendTcp(FIN | ACK);
  bed.now += 10;
  bed.answerTcp(ACK);
  const whose = {
    protocol: "tcp",
    client_id: ABOUT.clientId,
    resource_id: ABOUT.resourceId,
    resource_name: "LAN",
    inner_src_ip: "100.64.0.5",
    inner_src_port: 40000,
    inner_dst_ip: "10.0.0.9",
    inner_dst_port: 443,
    flow_start: iso(500),
  };
  assert.deepEqual(bed.records(), [
    { record: "open", ...whose },
    {
      record: "close",
      ...whose,
      end: "fin",
      flow_end: iso(710),
      last_packet: iso(710),
      rx_packets: 6,
      tx_packets: 4,
      rx_bytes: 3000,
      tx_bytes: 100,
    },
  ]);
  assert.equal(bed.tracker.size, 0);
  bed.advance(1000);
  assert.equal(bed.tracker.pollTimeout(), undefined, "nothing is left to wait for");
});

Deno.test("FIN on one side only leaves the flow open", () => {
  const bed = new FlowBed();
  converse(bed);
  bed.sendTcp(FIN | ACK);
  bed.sendTcp(FIN | ACK);
  assert.deepEqual(told(bed), ["open"]);
  bed.advance(100_000);
  assert.equal(bed.tracker.size, 1);
});

Deno.test("a reset of either side closes the flow at once", () => {
  const bed = new FlowBed();
  converse(bed);
  bed.sendTcp(RST);
  assert.equal(bed.tracker.size, 0);
  converse(bed);
  bed.answerTcp(RST | ACK);
  assert.equal(bed.tracker.size, 0);
  assert.deepEqual(told(bed), ["open", "rst", "open", "rst"]);
});

Deno.test("a reset behind the FINs of both sides doesn't make an orderly end a reset", () => {
  const bed = new FlowBed();
  for (const reset of [() => bed.sendTcp(RST), () => bed.answerTcp(RST | ACK)]) {
    converse(bed);
    bed.sendTcp(FIN | ACK);
    bed.answerTcp(FIN | ACK);
    reset();
    assert.equal(bed.tracker.size, 0);
  }
  assert.deepEqual(told(bed), ["open", "fin", "open", "fin"]);
});

Deno.test("neither FIN, RST nor an empty ACK of the client starts a flow; data does", () => {
  const bed = new FlowBed();
  for (const flags of [FIN | ACK, RST, RST | ACK, ACK]) bed.sendTcp(flags);
  assert.equal(bed.tracker.size, 0);
  assert.equal(bed.answerTcp(ACK, 10), false, "nor does anything that the resource sends");
  bed.sendTcp(ACK, 1);
  assert.deepEqual(told(bed), ["open"]);
});

Deno.test("a SYN is a retransmission until the client has sent anything else, then it is a new connection", () => {
  const bed = new FlowBed();
  bed.sendTcp(SYN);
  bed.sendTcp(SYN);
  bed.answerTcp(SYN | ACK);
  bed.sendTcp(SYN);
  assert.equal(bed.tracker.size, 1);
  assert.deepEqual(told(bed), ["open"]);
  bed.sendTcp(ACK);
  bed.sendTcp(SYN);
  const [closed, opened] = bed.records();
  assert.ok(closed?.record === "close" && closed.end === "replaced");
  assert.equal(closed.tx_packets, 4);
  assert.equal(opened?.record, "open");
});

Deno.test("ports used again right after both FINs: the old connection ended by them", () => {
  const bed = new FlowBed();
  converse(bed);
  bed.sendTcp(FIN | ACK);
  bed.answerTcp(FIN | ACK);
  bed.sendTcp(SYN);
  assert.deepEqual(told(bed), ["open", "fin", "open"]);
});

Deno.test("UDP flows end when they were silent for more than two minutes; answers keep them open too", () => {
  const bed = new FlowBed();
  bed.sendUdp(10);
  bed.advance(100_000);
  assert.ok(bed.answerUdp(20));
  const silentSince = bed.now;
  assert.deepEqual(told(bed), ["open"]);
  bed.advance(silentSince + 120_000 - bed.now);
  assert.equal(bed.tracker.size, 1, "exactly two minutes are not more");
  bed.advance(1000);
  const [record] = bed.records();
  assert.ok(record?.record === "close" && record.end === "idle");
  assert.equal(record.last_packet, iso(silentSince));
  assert.ok(Date.parse(record.flow_end) > Date.parse(record.last_packet) + 120_000);
  assert.deepEqual([record.tx_packets, record.tx_bytes, record.rx_packets, record.rx_bytes], [1, 10, 1, 20]);
  assert.equal(bed.answerUdp(5), false);
});

Deno.test("flows are told apart by client, ports, addresses, protocol and family", () => {
  const bed = new FlowBed(256);
  const pairs = [
    PAIR,
    { ...PAIR, client: "100.64.0.6" },
    { ...PAIR, clientPort: 40001 },
    { ...PAIR, remote: "10.0.0.10" },
    { ...PAIR, remotePort: 444 },
    { client: "fd00:2021:1111::5", clientPort: 40000, remote: "fd50::9", remotePort: 443 },
    { client: "fd00:2021:1111::5", clientPort: 40000, remote: "fd50:0:1::9", remotePort: 443 },
    { client: "fd00:2021:1111::5", clientPort: 40000, remote: "fd50:0:0:1::9", remotePort: 443 },
  ];
  for (const pair of pairs) bed.sendUdp(1, pair);
  for (const pair of pairs) bed.sendTcp(SYN, 0, pair);
  assert.equal(bed.tracker.size, 2 * pairs.length);
  for (const pair of pairs) assert.ok(bed.answerUdp(7, pair));
  bed.tracker.shutdown(bed.now);
  const closed = bed.records().filter((record) => record.record === "close");
  assert.equal(closed.length, 2 * pairs.length);
  assert.ok(closed.every((record) => record.rx_bytes === (record.protocol === "udp" ? 7 : 0)));
  assert.ok(closed.every((record) => record.tx_packets === 1 && record.end === "shutdown"));
});

Deno.test("the same packets by way of another resource or of another client are another flow", () => {
  const bed = new FlowBed();
  bed.sendUdp(1);
  bed.sendUdp(1, PAIR, { ...ABOUT, resourceId: "55555555-5555-4555-8555-555555555555" });
  bed.sendUdp(1, PAIR, { ...ABOUT, clientId: "66666666-6666-4666-8666-666666666666" });
  assert.deepEqual(told(bed), ["open", "replaced", "open", "replaced", "open"]);
});

Deno.test("access that ends takes its flows along, and only them", () => {
  const bed = new FlowBed();
  bed.sendUdp(1);
  bed.sendUdp(1, { ...PAIR, clientPort: 1 }, { ...ABOUT, resourceId: "other" });
  bed.tracker.closeUnless((_client, resource) => resource === "other", "revoked", bed.now);
  assert.equal(bed.tracker.size, 1);
  assert.deepEqual(told(bed), ["open", "open", "revoked"]);
});

Deno.test("ICMP is no flow", () => {
  const bed = new FlowBed();
  const echo = icmp("100.64.0.5", "10.0.0.9", 8, 0, [1, 2, 3, 4], new Uint8Array(8));
  assert.equal(bed.tracker.sent(bed.place(echo), ABOUT.clientId, ABOUT.resourceId, 0), true);
  assert.equal(bed.tracker.find(bed.place(echo)), -1);
  assert.equal(bed.tracker.size, 0);
});

Deno.test("one client can't take the room of the others; what finds none is said", () => {
  const bed = new FlowBed(64);
  for (let port = 1; port <= 20; port++) bed.sendUdp(1, { ...PAIR, clientPort: port });
  assert.equal(bed.tracker.size, 8, "an eighth of the table");
  bed.sendUdp(1, { ...PAIR, client: "100.64.0.6" }, { ...ABOUT, clientId: "another" });
  assert.equal(bed.tracker.size, 9);
  const losses = bed.records().filter((record) => record.record === "lost");
  assert.deepEqual(losses.map((record) => record.untracked_packets), [12]);
  assert.equal(bed.counters.get("flow_untracked_packets"), 12);
});

Deno.test("records that nobody fetches are lost in number, not in memory, and the loss is told where it is", () => {
  const bed = new FlowBed(1024);
  for (let round = 0; round < 3000; round++) {
    bed.sendTcp(SYN, 0, { ...PAIR, clientPort: 1 + round });
    bed.sendTcp(RST, 0, { ...PAIR, clientPort: 1 + round });
  }
  const lost = bed.counters.get("flow_records_lost");
  assert.equal(lost, 6000 - 4096);
  const records = bed.records();
  assert.equal(records.length, 4097);
  const last = records.at(-1)!;
  assert.ok(last.record === "lost" && last.records === lost);
  bed.sendTcp(SYN);
  assert.deepEqual(told(bed), ["open"], "and it is told once");
});

Deno.test("records go in batches: at once when they are many, with the next tick when they are few", () => {
  const bed = new FlowBed(1024);
  bed.sendUdp(1);
  assert.equal(bed.tracker.pollRecords(), undefined);
  for (let port = 1; port <= 64; port++) bed.sendUdp(1, { ...PAIR, clientPort: port });
  assert.equal(bed.tracker.pollRecords()?.length, 65);
  assert.equal(bed.tracker.pollRecords(), undefined);
});

Deno.test("a shutdown tells everything, whatever the limits", () => {
  const bed = new FlowBed(65_536);
  for (let client = 0; client < 8; client++) {
    for (let i = 0; i < 1000; i++) {
      bed.sendUdp(1, { ...PAIR, client: `100.64.0.${client + 2}`, clientPort: 1 + i }, {
        ...ABOUT,
        clientId: `${client}`,
      });
    }
    bed.records();
  }
  bed.tracker.shutdown(bed.now);
  const closed = bed.records();
  assert.equal(closed.length, 8000);
  assert.equal(bed.counters.get("flow_records_lost"), 0);
});

Deno.test("a packet of a known flow is counted without a new object", () => {
  const bed = new FlowBed();
  bed.sendUdp(10);
  const header = bed.place(udp(PAIR.client, PAIR.clientPort, PAIR.remote, PAIR.remotePort, "x"));
  const run = (packets: number) => {
    for (let i = 0; i < packets; i++) bed.tracker.sent(header, ABOUT.clientId, ABOUT.resourceId, 600);
  };
  run(200_000);
  const before = Deno.memoryUsage().heapUsed;
  run(1_000_000);
  const growth = Deno.memoryUsage().heapUsed - before;
  assert.ok(growth < 1024 * 1024, `the heap grew by ${growth} bytes`);
});
