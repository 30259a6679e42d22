import assert from "node:assert/strict";
import {
  type Candidate,
  CLIENT_ACTIVE,
  CLIENT_IDLE,
  GATEWAY_ACTIVE,
  hostCandidate,
  IceAgent,
  parseCandidate,
  relayCandidate,
  serverReflexiveCandidate,
} from "../../mod/ice/mod.ts";
import { SocketAddress } from "../../mod/packet/mod.ts";
import {
  AttributeType as A,
  decodeStun,
  encodeStun,
  Method,
  shortTermKey,
  type StunAttribute,
  type StunClass,
  type StunMessage,
} from "../../mod/stun/mod.ts";
import { seededRandom } from "../embedded/relay_harness.ts";
import corpus from "./corpus/ice.hex" with { type: "text" };
import type { Dice } from "./dice.ts";
import { Feed } from "./feed.ts";
import { type FuzzTarget, join } from "./target.ts";

const address = (text: string) => SocketAddress.parse(text)!;
const OWN = [address("192.0.2.20:52625"), address("[2001:db8::20]:52625"), address("203.0.113.1:50000")];
const NAT = address("203.0.113.99:1024");
const PEERS = [
  "192.0.2.10:52625",
  "198.51.100.9:4000",
  "[2001:db8:9::9]:4000",
  "203.0.113.1:50001",
  "127.0.0.1:1",
  "0.0.0.0:5",
  "192.0.2.10:0",
].map(address);
const LOCAL = { ufrag: "gtwy", password: "gateway-password-00000" };
const REMOTE = { ufrag: "clnt", password: "client-password-000000" };
const LOCAL_KEY = shortTermKey(LOCAL.password), REMOTE_KEY = shortTermKey(REMOTE.password);
const CLASSES: readonly StunClass[] = ["request", "success", "error", "indication"];
/** What a peer may make us remember. */
const MAX_REMOTES = 64, MAX_PAIRS = 64 * 8;

// What the first byte of an input says.
const CHECK = 100, REPLY = 170, SIGNAL = 205, OWN_CANDIDATE = 220;

function generate(dice: Dice): Uint8Array {
  return join([dice.below(256)], dice.bytes(6 + dice.below(16)));
}

/** An agent and a peer who holds the credentials and keeps to no rule. */
class Machine {
  readonly #agent: IceAgent;
  #now = 0;
  #hasBeenControlled = false;
  /** Our checks that may still be answered, newest last. */
  readonly #checks: { readonly message: StunMessage; readonly dst: SocketAddress }[] = [];
  /** Whom the peer gave us reason to send to, and who answered a check with the right key. */
  readonly #named = new Set<string>();
  readonly #answered = new Set<string>();

  constructor(controlling: boolean) {
    this.#agent = new IceAgent({
      controlling,
      local: LOCAL,
      remote: REMOTE,
      timing: controlling ? CLIENT_ACTIVE : GATEWAY_ACTIVE,
      random: seededRandom(5),
      now: 0,
    });
    this.#agent.addLocalCandidate(hostCandidate(OWN[0]!));
    this.#agent.addLocalCandidate(hostCandidate(OWN[1]!));
    this.#settle();
  }

  run(input: Uint8Array): string {
    const feed = new Feed(input);
    const kind = feed.u8();
    if (kind < CHECK) this.#check(feed);
    else if (kind < REPLY) this.#reply(feed);
    else if (kind < SIGNAL) this.#signal(feed);
    else if (kind < OWN_CANDIDATE) this.#own(feed);
    else {
      this.#now += feed.pick([1, 50, 250, 1500, 15_000, 60_000]);
      const news = feed.below(16);
      if (news === 0) this.#agent.setTiming(feed.pick([CLIENT_IDLE, GATEWAY_ACTIVE]), this.#now);
      else if (news === 1) this.#agent.doubt(feed.pick([undefined, OWN[0], OWN[1]]), this.#now);
      else if (news === 2) this.#agent.suspect(this.#now);
      else if (news === 3) this.#agent.noteHandshake(feed.pick(PEERS), feed.pick(OWN), this.#now);
    }
    return this.#settle();
  }

  #attributes(feed: Feed): StunAttribute[] {
    const flags = feed.u8();
    const tieBreaker = feed.pick([0n, 1n, 2n ** 63n, 2n ** 64n - 1n]);
    const attributes: StunAttribute[] = [];
    if (flags & 1) attributes.push([A.ICE_CONTROLLING, tieBreaker]);
    if (flags & 2) attributes.push([A.ICE_CONTROLLED, tieBreaker]);
    if (!(flags & 4)) attributes.push([A.PRIORITY, feed.pick([0, 1, 2130706431, 0xffffffff])]);
    if (flags & 8) attributes.push([A.USE_CANDIDATE]);
    if (flags & 16) attributes.push([A.ERROR_CODE, { code: feed.pick([487, 400, 401, 500]), reason: "" }]);
    if (flags & 32) attributes.push([A.XOR_MAPPED_ADDRESS, feed.pick([...OWN, NAT])]);
    return attributes;
  }

  #handle(bytes: Uint8Array, source: SocketAddress, destination: SocketAddress): boolean {
    const message = decodeStun(bytes);
    return message !== undefined && this.#agent.handleStun(message, source, destination, this.#now);
  }

  #check(feed: Feed): void {
    const source = this.#source(feed), destination = feed.pick(OWN);
    const attributes = this.#attributes(feed);
    const isSigned = feed.below(8) !== 1;
    const request = encodeStun({
      class: feed.below(16) === 1 ? feed.pick(CLASSES) : "request",
      method: feed.below(16) === 1 ? Method.ALLOCATE : Method.BINDING,
      transactionId: new Uint8Array(12).fill(feed.u8()),
      attributes: [[A.USERNAME, `${LOCAL.ufrag}:${REMOTE.ufrag}`], ...attributes],
      ...(isSigned ? { integrityKey: LOCAL_KEY } : {}),
      fingerprint: true,
    });
    if (this.#handle(request, source, destination)) {
      assert.ok(isSigned, "a check without integrity was taken");
      this.#named.add(source.key);
    }
  }

  /** A few addresses again and again, and some of a great many. */
  #source(feed: Feed): SocketAddress {
    if (feed.below(4) !== 0) return feed.pick(PEERS);
    return SocketAddress.of(`198.51.${feed.u8()}.1`, 1 + feed.u16() % 65535)!;
  }

  #reply(feed: Feed): void {
    if (this.#checks.length === 0) return;
    const { message, dst } = this.#checks[this.#checks.length - 1 - feed.u8() % this.#checks.length]!;
    const isOther = feed.below(4) === 0;
    const source = isOther ? feed.pick(PEERS) : dst;
    const isSigned = feed.below(8) !== 1;
    const reply = encodeStun({
      class: feed.pick(["success", "success", "error"] as const),
      method: Method.BINDING,
      transactionId: message.transactionId,
      attributes: this.#attributes(feed),
      integrityKey: isSigned ? REMOTE_KEY : LOCAL_KEY,
      fingerprint: true,
    });
    if (!this.#handle(reply, source, feed.pick(OWN))) return;
    assert.ok(isSigned, "an answer with the wrong key was taken");
    this.#answered.add(dst.key);
  }

  #signal(feed: Feed): void {
    const source = this.#source(feed);
    const kind = feed.pick(["host", "srflx", "relay", "prflx"]);
    const ufrag = feed.pick(["", "", " ufrag clnt", " ufrag othr"]);
    const text = `candidate:1 1 udp ${feed.u16()} ${source.ip} ${source.port} typ ${kind}${ufrag}`;
    const candidate = parseCandidate(text);
    if (!candidate) return;
    if (feed.below(4) === 0) return this.#agent.removeRemoteCandidate(candidate, this.#now);
    this.#agent.addRemoteCandidate(candidate, this.#now);
    if (ufrag !== " ufrag othr") this.#named.add(source.key);
  }

  #own(feed: Feed): void {
    const candidate: Candidate = feed.pick([
      hostCandidate(OWN[0]!),
      hostCandidate(OWN[1]!),
      serverReflexiveCandidate(NAT, OWN[0]!),
      relayCandidate(OWN[2]!, 4),
    ]);
    if (feed.below(3) === 0) this.#agent.removeLocalCandidate(candidate);
    else this.#agent.addLocalCandidate(candidate);
  }

  #settle(): string {
    this.#hasBeenControlled ||= !this.#agent.controlling;
    // A nomination at the end of a pass is checked in the next one, at once, which may show that the pair is silent
    // and lead to the next nomination; but each pair is nominated once.
    for (let passes = 0; passes === 0 || (this.#agent.pollTimeout() ?? Infinity) <= this.#now; passes++) {
      assert.ok(passes < 4 + this.#agent.pairs.length, "never comes to rest");
      this.#agent.handleTimeout(this.#now);
    }
    let outcome = this.#agent.state as string;
    let sent = 0;
    for (let out = this.#agent.pollTransmit(); out; out = this.#agent.pollTransmit()) {
      sent++;
      assert.ok(OWN.some((one) => one.equals(out!.src)), `sent from ${out.src}`);
      assert.ok(this.#named.has(out.dst.key), `sent to ${out.dst}, which nobody named`);
      const message = decodeStun(out.payload)!;
      if (message.class === "request") this.#checks.push({ message, dst: out.dst });
      if (this.#checks.length > 64) this.#checks.shift();
    }
    for (let event = this.#agent.pollEvent(); event; event = this.#agent.pollEvent()) {
      outcome += ` ${event.type}`;
      if (event.type !== "nominated") continue;
      // The controlled side believes the peer at once (spec snownet §2.7), the controlling one only an answer.
      const believed = this.#hasBeenControlled ? this.#named : this.#answered;
      assert.ok(believed.has(event.destination.key), `nominated ${event.destination} without a reason`);
    }
    assert.ok(this.#agent.remoteCandidates.length <= MAX_REMOTES, "remembers candidates without end");
    const pairs = this.#agent.pairs.length;
    assert.ok(pairs <= MAX_PAIRS, "remembers pairs without end");
    assert.ok(sent <= MAX_PAIRS + 8, `${sent} datagrams at once`);
    return `${outcome} ${Math.min(pairs, 5)} ${Math.min(sent, 5)} ${this.#agent.controlling}`;
  }
}

export const target: FuzzTarget = {
  title:
    "a peer with the right keys can't make us send to whom it did not name, nominate without a reason, or hoard",
  seeds: [
    Uint8Array.of(0, 1, 0, 0, 0, 9, 0, 0, 0, 7),
    Uint8Array.of(0, 1, 0, 0, 1, 0, 0, 0, 0, 7),
    Uint8Array.of(101, 0, 1, 0, 1, 32, 0),
    Uint8Array.of(171, 1, 0, 0, 0, 0, 9, 1),
    Uint8Array.of(206, 3, 1),
    Uint8Array.of(221, 2, 1),
  ],
  corpus,
  maxLength: 64,
  generate,
  lifetime: 300,
  start: () => {
    const [gateway, client] = [new Machine(false), new Machine(true)];
    return (input) => (input[0]! & 1 ? client : gateway).run(input);
  },
};
