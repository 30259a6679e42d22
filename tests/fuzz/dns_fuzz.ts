import assert from "node:assert/strict";
import { Dns } from "../../mod/dns/dns.ts";
import { encodeQuery, parseQuery, parseResponse, sameQuestion } from "../../mod/dns/message.ts";
import { SystemConfig } from "../../mod/dns/system_config.ts";
import type { ExchangeCommand } from "../../mod/dns/upstream.ts";
import { SocketAddress } from "../../mod/packet/mod.ts";
import { seededRandom } from "../portal/support.ts";
import corpus from "./corpus/dns.hex" with { type: "text" };
import type { Dice } from "./dice.ts";
import { dnsMessage } from "./dns_packets.ts";
import { Feed } from "./feed.ts";
import { type FuzzTarget, join } from "./target.ts";

const NAMES = ["db.corp.example", "x.corp.example", "db", "a".repeat(63), ""];
const CONFIGS = [
  "nameserver 192.0.2.1\nnameserver 192.0.2.2\nsearch corp.example\n",
  "nameserver 192.0.2.3\n",
  "",
  "nameserver 192.0.2.1\nnameserver 2001:db8::53\noptions ndots:15\nsearch a b c d\n",
];
const STRANGER = SocketAddress.of("198.51.100.66", 53)!;

// What the first byte of an input says.
const QUERY = 60, RESOLVE = 90, ANSWER = 180, FAILURE = 200;

function generate(dice: Dice): Uint8Array {
  const kind = dice.below(256);
  if (kind < QUERY || (kind >= RESOLVE && kind < ANSWER)) {
    return join([kind, dice.below(8), dice.below(256)], dnsMessage(dice));
  }
  return join([kind], dice.bytes(4));
}

/** Forwarder and resolver between clients, names wanted by the policy, and nameservers that say anything. */
class Machine {
  #now = 0;
  #config = CONFIGS[0]!;
  readonly #dns = new Dns({
    random: seededRandom(3),
    config: new SystemConfig({
      version: () => this.#config,
      read: (path) => path === "/etc/hosts" ? "10.9.9.9 host.corp.example\n" : this.#config,
    }, 0),
    now: 0,
  });
  readonly #exchanges = new Map<number, Extract<ExchangeCommand, { type: "open" }>>();
  readonly #queries = new Map<number, Uint8Array>();
  readonly #wanted = new Map<string, number>();

  run(input: Uint8Array): string {
    const feed = new Feed(input);
    const kind = feed.u8();
    if (kind < QUERY) this.#ask(feed);
    else if (kind < RESOLVE) {
      const name = feed.pick(NAMES);
      this.#wanted.set(name.toLowerCase(), this.#now + 10_000);
      this.#dns.resolve(name, this.#now);
    } else if (kind < ANSWER) this.#answer(feed);
    else if (kind < FAILURE) this.#dns.handleFailure(this.#pick(feed)?.exchange ?? 0, this.#now);
    else {
      if (feed.below(8) === 0) this.#config = feed.pick(CONFIGS);
      this.#now += feed.pick([1, 100, 2000, 5000, 61_000]);
      this.#dns.handleTimeout(this.#now);
      assert.ok((this.#dns.pollTimeout() ?? Infinity) > this.#now, "asks to be woken in the past");
    }
    return `${kind < ANSWER ? kind < RESOLVE ? "ask" : "answer" : "other"} ${this.#drain()}`;
  }

  #ask(feed: Feed): void {
    const transport = feed.below(2) ? "tcp" : "udp", client = feed.pick(["100.64.0.5", "100.64.0.6"]);
    const bytes = feed.below(3) === 0 ? encodeQuery(feed.u8(), feed.pick(NAMES), 1)! : feed.rest();
    const number = this.#dns.handleQuery(bytes, transport, client, this.#now);
    assert.equal(number !== undefined, parseQuery(bytes) !== undefined);
    if (number !== undefined) this.#queries.set(number, bytes);
  }

  #pick(feed: Feed) {
    const open = [...this.#exchanges.values()];
    return open.length === 0 ? undefined : feed.pick(open);
  }

  /** The answer to an open question, with its id, perhaps with the question, perhaps from a stranger. */
  #answer(feed: Feed): void {
    const flags = feed.u8(), exchange = this.#pick(feed);
    if (!exchange) return;
    const bytes = feed.rest();
    if (bytes.length > 2) bytes.set(exchange.payload.subarray(0, flags & 1 ? 1 : 2));
    const query = parseQuery(exchange.payload)!;
    const answer = flags & 2 && bytes.length > 12
      ? join(bytes.subarray(0, 12), exchange.payload.subarray(12, query.questionEnd), bytes.subarray(12))
      : bytes;
    if (answer.length > 12 && flags & 2) answer[2]! |= 0x80, answer[5] = 1, answer[4] = 0;
    this.#dns.handleAnswer(exchange.exchange, flags & 4 ? STRANGER : exchange.server, answer, this.#now);
  }

  #drain(): string {
    let outcome = "";
    for (let command = this.#dns.pollCommand(); command; command = this.#dns.pollCommand()) {
      outcome += ` ${command.type}`;
      if (command.type === "open") this.#exchanges.set(command.exchange, command);
      else assert.ok(this.#exchanges.has(command.exchange), `${command.type} of what is not open`);
      if (command.type === "close") this.#exchanges.delete(command.exchange);
    }
    for (let reply = this.#dns.pollReply(); reply; reply = this.#dns.pollReply()) {
      const asked = this.#queries.get(reply.number);
      assert.ok(asked, "a second reply, or one to nothing");
      this.#queries.delete(reply.number);
      const query = parseQuery(asked)!, response = parseResponse(reply.bytes);
      assert.ok(response, "a reply that can't be read");
      assert.equal(response.id, query.id);
      assert.ok(sameQuestion(response.question, query.question), "a reply to another question");
      outcome += ` reply ${response.rcode}`;
    }
    for (let found = this.#dns.pollResolution(); found; found = this.#dns.pollResolution()) {
      assert.ok(this.#wanted.delete(found.name), "a second resolution, or one that nobody wanted");
      for (const address of found.addresses ?? []) assert.ok(address.length === 4 || address.length === 16);
      outcome += ` found ${Math.min(found.addresses?.length ?? -1, 3)}`;
    }
    for (const [name, deadline] of this.#wanted) {
      assert.ok(this.#now <= deadline + 100_000, `${name} is forgotten`);
    }
    assert.ok(this.#exchanges.size <= 2100, "sockets without end");
    return outcome.slice(0, 60);
  }
}

export const target: FuzzTarget = {
  title:
    "every query gets one reply with its id and question, every name one resolution, whatever nameservers say",
  seeds: [
    Uint8Array.of(0, 0, 0, 0, 7, 0),
    Uint8Array.of(70, 0),
    Uint8Array.of(70, 2),
    Uint8Array.of(190, 0),
    Uint8Array.of(255, 1, 2),
  ],
  corpus,
  maxLength: 1500,
  generate,
  lifetime: 300,
  start: () => {
    const machine = new Machine();
    return (input) => machine.run(input);
  },
};
