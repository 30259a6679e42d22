import assert from "node:assert/strict";
import { DnsCounts, type ExchangeCommand, Forwarder, parseResponse, Upstream } from "../../mod/dns/mod.ts";
import { SocketAddress } from "../../mod/packet/mod.ts";
import { A, OPT, queryBytes, responseBytes } from "./messages.ts";

const SERVER = SocketAddress.of("10.0.0.1", 53)!;
const CLIENT = "100.64.0.5";

function bed() {
  const counts = new DnsCounts();
  const upstream = new Upstream((length) => new Uint8Array(length), counts);
  upstream.setServers([SERVER], 0);
  const forwarder = new Forwarder(upstream, counts);
  const opened = () => {
    const all: (ExchangeCommand & { type: "open" })[] = [];
    for (let c = upstream.pollCommand(); c; c = upstream.pollCommand()) if (c.type === "open") all.push(c);
    return all;
  };
  const settle = () => {
    for (let o = upstream.pollOutcome(); o; o = upstream.pollOutcome()) assert.ok(forwarder.handleOutcome(o));
  };
  return { counts, upstream, forwarder, opened, settle };
}

Deno.test("query and answer go through byte for byte: id, flags and EDNS untouched", () => {
  const { forwarder, upstream, opened, settle, counts } = bed();
  const query = queryBytes({
    id: 0xcafe,
    flags: 0x0130,
    additional: [{ name: "", type: OPT, data: Uint8Array.of(0, 10, 0, 0) }],
  });
  const number = forwarder.handleQuery(query, "udp", CLIENT, 0);
  const [open] = opened();
  assert.equal(open!.payload, query);
  assert.equal(open!.transport, "udp");
  const answer = responseBytes(query, {
    answers: [{ name: "app.example.com", type: A, data: new Uint8Array(4) }],
  });
  upstream.handleAnswer(open!.exchange, SERVER, answer, 1);
  settle();
  assert.deepEqual(forwarder.pollReply(), { number, bytes: answer });
  assert.equal(counts.counters.get("dns_queries_forwarded"), 1);
});

Deno.test("what is no query gets no answer", () => {
  const { forwarder, counts } = bed();
  assert.equal(forwarder.handleQuery(new Uint8Array(11), "udp", CLIENT, 0), undefined);
  assert.equal(forwarder.handleQuery(responseBytes(queryBytes()), "tcp", CLIENT, 0), undefined);
  assert.equal(counts.counters.get("dns_queries_malformed"), 2);
});

Deno.test("no answer within 5 s is SERVFAIL", () => {
  const { forwarder, upstream, settle, counts } = bed();
  const number = forwarder.handleQuery(queryBytes({ id: 9 }), "udp", CLIENT, 0);
  upstream.handleTimeout(2000);
  upstream.handleTimeout(4999);
  settle();
  assert.equal(forwarder.pollReply(), undefined);
  upstream.handleTimeout(5000);
  settle();
  const reply = forwarder.pollReply()!;
  assert.equal(reply.number, number);
  assert.equal(parseResponse(reply.bytes)!.rcode, 2);
  assert.equal(parseResponse(reply.bytes)!.id, 9);
  assert.equal(counts.counters.get("dns_queries_failed"), 1);
});

Deno.test("answers above 1200 bytes are cut over UDP and whole over TCP", () => {
  for (const transport of ["udp", "tcp"] as const) {
    const { forwarder, upstream, opened, settle } = bed();
    const query = queryBytes();
    forwarder.handleQuery(query, transport, CLIENT, 0);
    const answers = Array.from(
      { length: 60 },
      () => ({ name: "app.example.com", type: A, data: new Uint8Array(4) }),
    );
    const [open] = opened();
    assert.equal(open!.transport, transport);
    const long = responseBytes(query, { answers });
    assert.ok(long.length > 1200);
    upstream.handleAnswer(open!.exchange, SERVER, long, 1);
    settle();
    const { bytes } = forwarder.pollReply()!;
    if (transport === "tcp") assert.equal(bytes, long);
    else {
      assert.equal(bytes.length, query.length);
      assert.ok(parseResponse(bytes)!.truncated);
    }
  }
});

Deno.test("beyond a thousand in flight, or 250 of one client, the answer is SERVFAIL at once", () => {
  const { forwarder, upstream, opened, settle, counts } = bed();
  for (let i = 0; i < 251; i++) forwarder.handleQuery(queryBytes({ id: i }), "udp", "greedy", 0);
  assert.equal(counts.counters.get("dns_queries_refused_busy"), 1);
  assert.equal(parseResponse(forwarder.pollReply()!.bytes)!.rcode, 2);
  for (let i = 0; i < 751; i++) forwarder.handleQuery(queryBytes({ id: i }), "udp", `client ${i}`, 0);
  assert.equal(counts.counters.get("dns_queries_refused_busy"), 2);
  assert.equal(parseResponse(forwarder.pollReply()!.bytes)!.id, 750);
  assert.equal(forwarder.pollReply(), undefined);
  // An answered one makes room again.
  const [first] = opened();
  upstream.handleAnswer(first!.exchange, SERVER, responseBytes(first!.payload), 1);
  settle();
  forwarder.pollReply();
  forwarder.handleQuery(queryBytes(), "udp", "greedy", 1);
  assert.equal(counts.counters.get("dns_queries_refused_busy"), 2);
});
