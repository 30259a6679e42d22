import assert from "node:assert/strict";
import {
  Dns,
  type ExchangeCommand,
  HOSTS,
  parseQuery,
  RESOLV_CONF,
  SystemConfig,
} from "../../mod/dns/mod.ts";
import { formatIp, SocketAddress } from "../../mod/packet/mod.ts";
import { A, AAAA, aliasData, CNAME, responseBytes, type TestRecord } from "./messages.ts";

type Open = ExchangeCommand & { type: "open" };

class Bed {
  now = 0;
  readonly files = new Map([[RESOLV_CONF, "nameserver 10.0.0.1\nsearch site.test\n"], [HOSTS, ""]]);
  readonly dns: Dns;
  /** Everything that was asked, as `A app.test`. */
  readonly asked: string[] = [];
  /** The servers' knowledge: `A app.test` to records; undefined: silence; a number: an error. */
  answer: (what: string, open: Open) => readonly TestRecord[] | number | "truncated" | undefined = () => 3;

  constructor() {
    let id = 0;
    this.dns = new Dns({
      random: (length) => new Uint8Array(length).fill(++id),
      config: new SystemConfig({
        version: (path) => this.files.get(path),
        read: (path) => this.files.get(path)!,
      }, 0),
      now: 0,
    });
  }

  resolve(name: string): void {
    this.dns.resolve(name, this.now);
    this.serve();
  }

  advance(milliseconds: number): void {
    const end = this.now + milliseconds;
    for (let due = this.dns.pollTimeout(); due !== undefined && due <= end; due = this.dns.pollTimeout()) {
      this.now = Math.max(this.now, due);
      this.dns.handleTimeout(this.now);
      this.serve();
    }
    this.now = end;
  }

  serve(): void {
    for (let command = this.dns.pollCommand(); command; command = this.dns.pollCommand()) {
      if (command.type !== "open") continue;
      const { question } = parseQuery(command.payload)!;
      const what = `${question.type === A ? "A" : "AAAA"} ${question.name}`;
      this.asked.push(command.transport === "tcp" ? `${what} tcp` : what);
      const answer = this.answer(what, command);
      if (answer === undefined) continue;
      const message = answer === "truncated"
        ? { flags: 0x8380 }
        : typeof answer === "number"
        ? { flags: 0x8180 | answer }
        : { answers: answer };
      this.dns.handleAnswer(
        command.exchange,
        command.server,
        responseBytes(command.payload, message),
        this.now,
      );
    }
  }

  get outcome(): string | undefined {
    const resolution = this.dns.pollResolution();
    return resolution &&
      `${resolution.name}: ${resolution.addresses?.map(formatIp).join(" ") ?? "none in time"}`;
  }
}

const a = (name: string, n: number, ttl = 60) => ({ name, type: A, ttl, data: Uint8Array.of(10, 0, 0, n) });
const aaaa = (name: string, n: number, ttl = 60) => {
  const data = new Uint8Array(16);
  data.set([0xfd, 0, n]);
  return { name, type: AAAA, ttl, data };
};

Deno.test("A and AAAA are asked at once, and both families are the outcome", () => {
  const bed = new Bed();
  bed.answer = (what) => what === "A app.test" ? [a("app.test", 1), a("app.test", 2)] : [aaaa("app.test", 1)];
  bed.resolve("App.Test");
  assert.deepEqual(bed.asked, ["A app.test", "AAAA app.test"]);
  assert.equal(bed.outcome, "app.test: 10.0.0.1 10.0.0.2 fd00:100::");
});

Deno.test("a family that the name lacks, or that fails, is no obstacle to the other", () => {
  for (const missing of [[], 3, 2, 5] as const) {
    const bed = new Bed();
    bed.answer = (what) => what === "AAAA app.test" ? [aaaa("app.test", 1)] : missing;
    bed.resolve("app.test");
    assert.equal(bed.outcome, "app.test: fd00:100::");
  }
});

Deno.test("aliases are followed in the answer, and the shortest TTL on the way counts", () => {
  const bed = new Bed();
  bed.answer = (what) =>
    what.startsWith("AAAA") ? [] : [
      a("unasked.test", 9),
      { name: "two.test", type: CNAME, ttl: 5, data: aliasData("three.test") },
      { name: "app.test", type: CNAME, ttl: 90, data: aliasData("two.test") },
      a("three.test", 3, 60),
    ];
  bed.resolve("app.test");
  assert.equal(bed.outcome, "app.test: 10.0.0.3");
  bed.advance(4999);
  bed.resolve("app.test");
  assert.equal(bed.asked.length, 2);
  bed.advance(1);
  bed.resolve("app.test");
  assert.equal(bed.asked.length, 4);
});

Deno.test("aliases in a circle are no addresses and no hang", () => {
  const bed = new Bed();
  bed.answer = () => [
    { name: "app.test", type: CNAME, data: aliasData("b.test") },
    { name: "b.test", type: CNAME, data: aliasData("app.test") },
  ];
  bed.resolve("app.test");
  assert.equal(bed.outcome, "app.test: ");
});

Deno.test("the cache keeps to the TTL, but a second at least and a day at most", () => {
  const bed = new Bed();
  const ttls: Record<string, number> = { "zero.test": 0, "short.test": 30, "long.test": 999_999 };
  bed.answer = (what) => what.startsWith("AAAA") ? [] : [a(what.slice(2), 1, ttls[what.slice(2)])];
  const isAsked = (name: string) => {
    const before = bed.asked.length;
    bed.resolve(name);
    assert.equal(bed.outcome, `${name}: 10.0.0.1`);
    return bed.asked.length > before;
  };
  for (const name of Object.keys(ttls)) assert.ok(isAsked(name));
  bed.advance(999);
  for (const name of Object.keys(ttls)) assert.ok(!isAsked(name), name);
  bed.advance(1);
  assert.ok(isAsked("zero.test"));
  bed.advance(28_999);
  assert.ok(!isAsked("short.test"));
  bed.advance(1);
  assert.ok(isAsked("short.test"));
  bed.advance(86_400_000 - 30_000);
  assert.ok(isAsked("long.test"));
});

Deno.test("a name that does not exist is tried with the search list, then has no addresses for a second", () => {
  const bed = new Bed();
  bed.resolve("app.test");
  assert.deepEqual(bed.asked, [
    "A app.test",
    "AAAA app.test",
    "A app.test.site.test",
    "AAAA app.test.site.test",
  ]);
  assert.equal(bed.outcome, "app.test: ");
  bed.advance(999);
  bed.resolve("app.test");
  assert.equal(bed.asked.length, 4);
  assert.equal(bed.outcome, "app.test: ");
  bed.advance(1);
  bed.answer = (what) => what === "A app.test.site.test" ? [a("app.test.site.test", 4)] : 3;
  bed.resolve("app.test");
  assert.equal(bed.outcome, "app.test: 10.0.0.4");
});

Deno.test("the hosts file comes first, and nobody is asked", () => {
  const bed = new Bed();
  bed.files.set(HOSTS, "10.0.0.9 App.test\n");
  bed.advance(1000);
  bed.resolve("app.test");
  assert.deepEqual(bed.asked, []);
  assert.equal(bed.outcome, "app.test: 10.0.0.9");
});

Deno.test("who asks for a name that is being looked up shares the outcome", () => {
  const bed = new Bed();
  bed.answer = () => undefined;
  bed.resolve("app.test");
  bed.resolve("APP.test");
  assert.equal(bed.asked.length, 2);
  assert.equal(bed.dns.counts.counters.get("dns_lookups"), 1);
});

Deno.test("a cut answer is fetched whole over TCP", () => {
  const bed = new Bed();
  bed.answer = (what, { transport }) =>
    what !== "A app.test" ? [] : transport === "udp" ? "truncated" : [a("app.test", 7)];
  bed.resolve("app.test");
  assert.deepEqual(bed.asked, ["A app.test", "AAAA app.test", "A app.test tcp"]);
  assert.equal(bed.outcome, "app.test: 10.0.0.7");
});

Deno.test("an answer that is cut over TCP as well is not fetched again", () => {
  const bed = new Bed();
  bed.files.set(RESOLV_CONF, "nameserver 10.0.0.1\n");
  bed.advance(1000);
  bed.answer = () => "truncated";
  bed.resolve("app.test");
  assert.equal(bed.asked.length, 4);
  assert.equal(bed.outcome, "app.test: ");
});

Deno.test("no nameserver answers: no addresses after 5 s; what was known before stands in", () => {
  const bed = new Bed();
  bed.answer = (what) =>
    what === "A app.test" ? [a("app.test", 1, 1)] : what === "AAAA app.test" ? [] : undefined;
  bed.resolve("new.test");
  bed.advance(4999);
  assert.equal(bed.outcome, undefined);
  bed.advance(1);
  assert.equal(bed.outcome, "new.test: ");
  assert.equal(bed.dns.counts.counters.get("dns_lookups_failed"), 1);
  bed.resolve("app.test");
  assert.equal(bed.outcome, "app.test: 10.0.0.1");
  bed.answer = () => undefined;
  bed.advance(2000);
  bed.resolve("app.test");
  bed.advance(5000);
  assert.equal(bed.outcome, "app.test: 10.0.0.1");
  assert.equal(bed.dns.counts.counters.get("dns_lookups_stale"), 1);
});

Deno.test("a look-up that takes longer than 10 s has no outcome, and leaves no socket open", () => {
  const bed = new Bed();
  bed.files.set(RESOLV_CONF, "nameserver 10.0.0.1\nsearch a.test b.test c.test\n");
  bed.advance(1000);
  // Each candidate's answer comes late, and over TCP again.
  const open = new Set<number>();
  bed.dns.resolve("app.test", bed.now);
  const drain = (): Open[] => {
    const opened: Open[] = [];
    for (let c = bed.dns.pollCommand(); c; c = bed.dns.pollCommand()) {
      if (c.type === "open") {
        opened.push(c);
        open.add(c.exchange);
      } else if (c.type === "close") open.delete(c.exchange);
    }
    return opened;
  };
  let pending = drain();
  for (let i = 0; i < 6; i++) {
    bed.now += 1900;
    bed.dns.handleTimeout(bed.now);
    for (const { exchange, server, payload } of pending) {
      bed.dns.handleAnswer(
        exchange,
        server,
        responseBytes(payload, { flags: i % 2 ? 0x8183 : 0x8380 }),
        bed.now,
      );
    }
    pending = drain();
  }
  assert.equal(bed.outcome, "app.test: none in time");
  assert.equal(open.size, 0);
  assert.equal(bed.dns.pollTimeout(), undefined);
});

Deno.test("two hundred look-ups run at once, the others wait their turn and end in time, too", () => {
  const bed = new Bed();
  bed.answer = () => undefined;
  for (let i = 0; i < 201; i++) bed.resolve(`n${i}.test`);
  assert.equal(bed.asked.length, 400);
  bed.advance(5000);
  assert.equal(bed.asked.length, 402);
  bed.advance(5000);
  let outcomes = 0;
  while (bed.outcome) outcomes++;
  assert.equal(outcomes, 201);
  assert.equal(bed.dns.pollTimeout(), undefined);
});

Deno.test("no nameservers: no addresses at once", () => {
  const bed = new Bed();
  bed.files.set(RESOLV_CONF, "");
  bed.advance(1000);
  bed.resolve("app.test");
  assert.equal(bed.outcome, "app.test: ");
});

Deno.test("a changed resolv.conf is followed by look-ups and by forwarded queries", () => {
  const bed = new Bed();
  const servers = new Set<string>();
  bed.answer = (_, { server }) => {
    servers.add(server.ip);
    return 3;
  };
  bed.resolve("one.test");
  bed.files.set(RESOLV_CONF, "nameserver 10.0.0.2\n");
  bed.advance(1000);
  bed.resolve("two.test");
  assert.deepEqual([...servers], ["10.0.0.1", "10.0.0.2"]);
  assert.deepEqual(bed.dns.servers.map(({ key }) => key), [SocketAddress.of("10.0.0.2", 53)!.key]);
});
