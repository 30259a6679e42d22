import assert from "node:assert/strict";
import { DnsCounts, type ExchangeCommand, parseQuery, Upstream } from "../../mod/dns/mod.ts";
import { SocketAddress } from "../../mod/packet/mod.ts";
import { A, queryBytes, responseBytes } from "./messages.ts";

const [ONE, TWO] = [1, 2].map((n) => SocketAddress.of(`10.0.0.${n}`, 53)!) as [SocketAddress, SocketAddress];
const QUERY = queryBytes();

function bed(...servers: SocketAddress[]) {
  const counts = new DnsCounts();
  const upstream = new Upstream((length) => new Uint8Array(length).fill(7), counts);
  upstream.setServers(servers, 0);
  const commands = () => {
    const all: ExchangeCommand[] = [];
    for (let c = upstream.pollCommand(); c; c = upstream.pollCommand()) all.push(c);
    return all;
  };
  /** Probes are not what most tests look at. */
  const opened = () => commands().filter((c) => c.type === "open" && c.payload === QUERY) as Open[];
  return {
    upstream,
    counts,
    commands,
    opened,
    ask: (now = 0) => upstream.ask(parseQuery(QUERY)!, "udp", now),
  };
}

type Open = ExchangeCommand & { type: "open" };

Deno.test("the answer of the server that was asked is the outcome, byte for byte", () => {
  const { upstream, opened, ask, commands } = bed(ONE);
  const id = ask();
  const [open] = opened();
  assert.equal(open!.server.key, ONE.key);
  assert.equal(open!.payload, QUERY);
  const bytes = responseBytes(QUERY);
  upstream.handleAnswer(open!.exchange, ONE, bytes, 5);
  const outcome = upstream.pollOutcome()!;
  assert.equal(outcome.ask, id);
  assert.equal(outcome.response!.bytes, bytes);
  assert.deepEqual(commands(), [{ type: "close", exchange: open!.exchange }]);
  assert.equal(upstream.pollTimeout(), undefined);
});

Deno.test("no servers: no response, at once, and nothing to wait for", () => {
  const { upstream, ask } = bed();
  const id = ask();
  assert.deepEqual(upstream.pollOutcome(), { ask: id, response: undefined });
  assert.equal(upstream.pollTimeout(), undefined);
});

Deno.test("answers of another source, id or question are ignored and counted; the right one still counts", () => {
  const { upstream, counts, opened, ask } = bed(ONE);
  ask();
  const { exchange } = opened()[0]!;
  upstream.handleAnswer(exchange, TWO, responseBytes(QUERY), 1);
  upstream.handleAnswer(exchange, SocketAddress.of("10.0.0.1", 54)!, responseBytes(QUERY), 1);
  upstream.handleAnswer(exchange, ONE, responseBytes(QUERY, { id: 0x4321 }), 1);
  upstream.handleAnswer(exchange, ONE, responseBytes(queryBytes({ name: "other.example.com" })), 1);
  upstream.handleAnswer(exchange, ONE, responseBytes(queryBytes({ type: 28 })), 1);
  upstream.handleAnswer(exchange, ONE, QUERY, 1);
  upstream.handleAnswer(exchange, ONE, new Uint8Array(3), 1);
  upstream.handleAnswer(999, ONE, responseBytes(QUERY), 1);
  assert.equal(upstream.pollOutcome(), undefined);
  assert.equal(counts.counters.get("dns_answers_ignored"), 7);
  upstream.handleAnswer(exchange, ONE, responseBytes(queryBytes({ name: "APP.example.COM" })), 2);
  assert.ok(upstream.pollOutcome()?.response);
});

Deno.test("a silent server is left for the next after 2 s, in a circle, until 5 s have gone", () => {
  const { upstream, opened, ask, commands } = bed(ONE, TWO);
  upstream.handleTimeout(0);
  commands();
  const id = ask();
  assert.deepEqual(opened().map(({ server }) => server.key), [ONE.key]);
  assert.equal(upstream.pollTimeout(), 2000);
  upstream.handleTimeout(1999);
  assert.deepEqual(opened(), []);
  upstream.handleTimeout(2000);
  assert.deepEqual(opened().map(({ server }) => server.key), [TWO.key]);
  upstream.handleTimeout(4000);
  assert.deepEqual(opened().map(({ server }) => server.key), [ONE.key]);
  assert.equal(upstream.pollTimeout(), 5000);
  upstream.handleTimeout(5000);
  assert.deepEqual(upstream.pollOutcome(), { ask: id, response: undefined });
  assert.equal(upstream.pollTimeout(), 60_000);
});

Deno.test("a single server gets the datagram again on the same socket, and its late answer counts", () => {
  const { upstream, opened, ask, commands } = bed(ONE);
  ask();
  const { exchange } = opened()[0]!;
  upstream.handleTimeout(2000);
  assert.deepEqual(commands(), [{ type: "repeat", exchange, payload: QUERY }]);
  upstream.handleAnswer(exchange, ONE, responseBytes(QUERY), 4900);
  assert.ok(upstream.pollOutcome()?.response);
});

Deno.test("a server that refuses is left for the next at once; all refused: no response at once", () => {
  const { upstream, opened, ask } = bed(ONE, TWO);
  const id = ask();
  upstream.handleFailure(opened()[0]!.exchange, 1);
  const [second] = opened();
  assert.equal(second!.server.key, TWO.key);
  upstream.handleFailure(second!.exchange, 2);
  assert.deepEqual(upstream.pollOutcome(), { ask: id, response: undefined });
});

Deno.test("an unreadable answer of the server itself is a failure of that server", () => {
  const { upstream, opened, ask } = bed(ONE, TWO);
  ask();
  const broken = responseBytes(QUERY);
  broken[5] = 0;
  upstream.handleAnswer(opened()[0]!.exchange, ONE, broken, 1);
  assert.equal(opened()[0]?.server.key, TWO.key);
});

Deno.test("over TCP a wrong answer is a failure: nobody else could have sent it", () => {
  const { upstream, opened } = bed(ONE);
  upstream.ask(parseQuery(QUERY)!, "tcp", 0);
  const [open] = opened();
  assert.equal(open!.transport, "tcp");
  upstream.handleAnswer(open!.exchange, ONE, responseBytes(QUERY, { id: 1 }), 1);
  assert.equal(upstream.pollOutcome()?.response, undefined);
});

Deno.test("a cancelled ask closes its socket and has no outcome", () => {
  const { upstream, opened, ask, commands } = bed(ONE);
  const id = ask();
  const { exchange } = opened()[0]!;
  upstream.cancel(id);
  assert.deepEqual(commands(), [{ type: "close", exchange }]);
  upstream.handleAnswer(exchange, ONE, responseBytes(QUERY), 1);
  upstream.handleTimeout(9000);
  assert.equal(upstream.pollOutcome(), undefined);
});

Deno.test("a server that was silent once is asked last, until it answers again", () => {
  const { upstream, opened, ask } = bed(ONE, TWO);
  ask();
  upstream.handleTimeout(2000);
  upstream.handleAnswer(opened()[1]!.exchange, TWO, responseBytes(QUERY), 2001);
  ask(2002);
  assert.equal(opened()[0]!.server.key, TWO.key);
});

Deno.test("several servers are probed at once and every minute over both transports; one alone never", () => {
  assert.equal(bed(ONE).upstream.pollTimeout(), undefined);
  const { upstream, commands, opened, ask } = bed(ONE, TWO);
  assert.equal(upstream.pollTimeout(), 0);
  upstream.handleTimeout(0);
  const probes = commands() as Open[];
  assert.deepEqual(probes.map(({ server, transport }) => `${server.ip} ${transport}`), [
    "10.0.0.1 udp",
    "10.0.0.1 tcp",
    "10.0.0.2 udp",
    "10.0.0.2 tcp",
  ]);
  assert.equal(parseQuery(probes[0]!.payload)!.question.name, "firezone.dev");
  assert.equal(upstream.pollTimeout(), 2000);
  // The second answers faster, if only that it knows no such name; the first is silent.
  upstream.handleAnswer(probes[2]!.exchange, TWO, responseBytes(probes[2]!.payload, { flags: 0x8183 }), 10);
  upstream.handleTimeout(2000);
  assert.equal(commands().filter(({ type }) => type === "close").length, 4);
  ask(2000);
  assert.equal(opened()[0]!.server.key, TWO.key);
  assert.equal(upstream.pollOutcome(), undefined);
  upstream.handleTimeout(60_000);
  assert.equal(
    commands().filter((c) => c.type === "open" && parseQuery(c.payload)!.question.type === A).length,
    4,
  );
});

Deno.test("of very many servers at most twenty probes are under way", () => {
  const many = Array.from({ length: 50 }, (_, i) => SocketAddress.of(`10.0.1.${i}`, 53)!);
  const { upstream, commands } = bed(...many);
  upstream.handleTimeout(0);
  assert.equal(commands().length, 20);
});
