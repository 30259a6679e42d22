/** One agent alone: candidates, pairs, what it accepts and what it ignores. */
import assert from "node:assert/strict";
import fc from "fast-check";
import {
  type Candidate,
  CLIENT_ACTIVE,
  CLIENT_IDLE,
  IceAgent,
  type IceTransmit,
  optimisticCandidates,
  parseCandidate,
  relayCandidate,
  serverReflexiveCandidate,
} from "../../mod/ice/mod.ts";
import {
  type CheckRequest,
  encodeCheck,
  encodeCheckSuccess,
  encodeRoleConflict,
} from "../../mod/ice/check_messages.ts";
import { MAX_LOCAL_CANDIDATES } from "../../mod/ice/local_candidates.ts";
import { MAX_REMOTE_CANDIDATES } from "../../mod/ice/remote_candidates.ts";
import {
  decodeStun,
  encodeStun,
  Method,
  shortTermKey,
  StunClass,
  type StunMessage,
  transactionKey,
} from "../../mod/stun/mod.ts";
import { address, CLIENT_CREDENTIALS, GATEWAY_CREDENTIALS, host, seededBytes } from "./duo.ts";

const gatewayKey = shortTermKey(GATEWAY_CREDENTIALS.password);
const clientKey = shortTermKey(CLIENT_CREDENTIALS.password);

function gatewayAgent(): IceAgent {
  return new IceAgent({
    controlling: false,
    local: GATEWAY_CREDENTIALS,
    remote: CLIENT_CREDENTIALS,
    timing: CLIENT_ACTIVE,
    random: seededBytes(7),
    now: 0,
  });
}

function srflx(at: string, base: string): Candidate {
  return serverReflexiveCandidate(address(at), address(base));
}

function signalled(text: string): Candidate {
  return parseCandidate(`candidate:${text}`)!;
}

/** A check as the client would send it. */
function check(change: Partial<CheckRequest> = {}): StunMessage {
  return decodeStun(encodeCheck({
    transactionId: new Uint8Array(12),
    username: "kwe6:w7up",
    controlling: true,
    tieBreaker: 1n,
    priority: 1862270719,
    useCandidate: false,
    key: gatewayKey,
    ...change,
  }))!;
}

function drain(agent: IceAgent): IceTransmit[] {
  const sent: IceTransmit[] = [];
  for (let next = agent.pollTransmit(); next; next = agent.pollTransmit()) sent.push(next);
  return sent;
}

function states(agent: IceAgent): string[] {
  const found: string[] = [];
  for (let event = agent.pollEvent(); event; event = agent.pollEvent()) {
    if (event.type === "state") found.push(event.state);
  }
  return found;
}

function pairNames(agent: IceAgent): string[] {
  return agent.pairs.map((pair) =>
    `${pair.local.kind} ${pair.source} > ${pair.remote.kind} ${pair.destination}`
  );
}

Deno.test("a local candidate with known address and base is refused unless its priority is higher", () => {
  const agent = gatewayAgent();
  assert.ok(agent.addLocalCandidate(srflx("10.0.0.1:1", "10.0.0.1:1")));
  assert.equal(agent.addLocalCandidate(srflx("10.0.0.1:1", "10.0.0.1:1")), undefined);
  assert.ok(agent.addLocalCandidate(host("10.0.0.1:1")));
  assert.equal(agent.addLocalCandidate(relayCandidate(address("10.0.0.1:1"), 4)), undefined);
  assert.deepEqual(agent.localCandidates.map((candidate) => candidate.kind), ["host"]);
});

Deno.test("unusable local candidates are refused: mixed families, unspecified and multicast addresses, port 0", () => {
  const agent = gatewayAgent();
  assert.equal(agent.addLocalCandidate(srflx("203.0.113.1:1", "[2001:db8::1]:1")), undefined);
  for (
    const text of [
      "0.0.0.0:1",
      "224.0.0.1:1",
      "169.254.0.1:1",
      "255.255.255.255:1",
      "10.0.0.1:0",
      "[::]:1",
      "[ff02::1]:1",
    ]
  ) {
    assert.equal(agent.addLocalCandidate(host(text)), undefined, text);
  }
  assert.ok(agent.addLocalCandidate(host("127.0.0.1:1")));
  assert.ok(agent.addLocalCandidate(host("[fe80::1]:1")));
});

Deno.test("withdrawing a local candidate is exact in kind, and adding it again restores it", () => {
  const agent = gatewayAgent();
  const original = agent.addLocalCandidate(host("10.0.0.1:1"));
  assert.equal(agent.removeLocalCandidate(srflx("10.0.0.1:1", "10.0.0.1:1")), undefined);
  assert.equal(agent.localCandidates.length, 1);
  assert.deepEqual(agent.removeLocalCandidate(host("10.0.0.1:1")), original);
  assert.deepEqual(agent.localCandidates, []);
  assert.equal(agent.removeLocalCandidate(host("10.0.0.1:1")), undefined);
  assert.deepEqual(agent.addLocalCandidate(host("10.0.0.1:1")), original);
});

Deno.test("withdrawing a remote candidate is exact in kind", () => {
  const agent = gatewayAgent();
  agent.addLocalCandidate(host("10.0.0.1:1"));
  agent.addRemoteCandidate(signalled("1 1 udp 99 10.0.0.2 2 typ host"), 0);
  agent.removeRemoteCandidate(signalled("1 1 udp 99 10.0.0.2 2 typ srflx raddr 0.0.0.0 rport 0"), 0);
  assert.equal(agent.pairs.length, 1);
  agent.removeRemoteCandidate(signalled("7 1 udp 5 10.0.0.2 2 typ host"), 0);
  assert.equal(agent.pairs.length, 0);
  assert.deepEqual(agent.remoteCandidates, []);
});

Deno.test("every local candidate is paired with every remote one of its family, once per base", () => {
  const agent = gatewayAgent();
  agent.addRemoteCandidate(host("10.0.0.2:2"), 0);
  agent.addRemoteCandidate(host("[2001:db8::2]:2"), 0);
  agent.addLocalCandidate(srflx("203.0.113.1:9", "10.0.0.1:1"));
  agent.addLocalCandidate(host("10.0.0.1:1"));
  agent.addLocalCandidate(host("[2001:db8::1]:1"));
  agent.addLocalCandidate(relayCandidate(address("198.51.100.2:50000"), 4));
  assert.deepEqual(pairNames(agent), [
    "host [2001:db8::1]:1 > host [2001:db8::2]:2",
    "host 10.0.0.1:1 > host 10.0.0.2:2",
    "relay 198.51.100.2:50000 > host 10.0.0.2:2",
  ]);
});

Deno.test("two remote candidates of one address share a pair, described by the better one", () => {
  const agent = gatewayAgent();
  agent.addLocalCandidate(host("10.0.0.1:1"));
  agent.addRemoteCandidate(srflx("203.0.113.7:2", "203.0.113.7:2"), 0);
  agent.addRemoteCandidate(host("203.0.113.7:2"), 0);
  assert.deepEqual(pairNames(agent), ["host 10.0.0.1:1 > host 203.0.113.7:2"]);
  agent.removeRemoteCandidate(host("203.0.113.7:2"), 0);
  assert.deepEqual(pairNames(agent), ["host 10.0.0.1:1 > srflx 203.0.113.7:2"]);
});

Deno.test("withdrawn candidates are not paired", () => {
  const agent = gatewayAgent();
  agent.addLocalCandidate(host("10.0.0.1:1"));
  agent.removeLocalCandidate(host("10.0.0.1:1"));
  agent.addRemoteCandidate(host("10.0.0.2:2"), 0);
  agent.removeRemoteCandidate(host("10.0.0.2:2"), 0);
  agent.addLocalCandidate(host("10.0.0.3:1"));
  agent.addRemoteCandidate(host("10.0.0.4:2"), 0);
  assert.deepEqual(pairNames(agent), ["host 10.0.0.3:1 > host 10.0.0.4:2"]);
});

Deno.test("remote candidates with a foreign ufrag or an unusable address are ignored", () => {
  const agent = gatewayAgent();
  agent.addRemoteCandidate(signalled("1 1 udp 99 10.0.0.2 2 typ host ufrag kwe6"), 0);
  agent.addRemoteCandidate(host("224.0.0.1:2"), 0);
  assert.deepEqual(agent.remoteCandidates, []);
  agent.addRemoteCandidate(signalled("1 1 udp 99 10.0.0.2 2 typ host ufrag w7up"), 0);
  assert.equal(agent.remoteCandidates.length, 1);
});

Deno.test("state stays bounded whatever is signalled, and the best pairs survive", () => {
  const agent = gatewayAgent();
  for (let i = 1; i <= 2 * MAX_LOCAL_CANDIDATES; i++) agent.addLocalCandidate(host(`10.0.0.${i}:1`));
  for (let i = 1; i <= 2 * MAX_REMOTE_CANDIDATES; i++) agent.addRemoteCandidate(host(`10.1.0.${i}:1`), 0);
  assert.equal(agent.localCandidates.length, MAX_LOCAL_CANDIDATES);
  assert.ok(agent.remoteCandidates.length <= MAX_REMOTE_CANDIDATES);
  assert.equal(agent.pairs.length, 100);
  assert.equal(agent.pairs[0]!.source.key, "10.0.0.1:1");
});

Deno.test("changing relays for ever never exhausts the room for local candidates", () => {
  const agent = gatewayAgent();
  for (let port = 50000; port < 50200; port++) {
    const relay = relayCandidate(address(`198.51.100.2:${port}`), 4);
    assert.ok(agent.addLocalCandidate(relay));
    agent.removeLocalCandidate(relay);
  }
});

Deno.test("checks of the peer are accepted only with both ufrags, PRIORITY and the right password", () => {
  const agent = gatewayAgent();
  assert.ok(agent.accepts(check()));
  assert.ok(!agent.accepts(check({ username: "kwe6:other" })));
  assert.ok(!agent.accepts(check({ username: "other:w7up" })));
  assert.ok(!agent.accepts(check({ username: "kwe6" })));
  assert.ok(!agent.accepts(check({ key: clientKey })));
  const bare = (messageClass: "request" | "indication", method: number, signed = true) =>
    decodeStun(encodeStun({
      class: messageClass,
      method,
      transactionId: new Uint8Array(12),
      attributes: [[0x0006, "kwe6:w7up"], ...(method === Method.BINDING ? [] : [[0x0024, 1] as const])],
      ...(signed ? { integrityKey: gatewayKey } : {}),
    }))!;
  assert.ok(!agent.accepts(bare(StunClass.REQUEST, Method.BINDING)), "no PRIORITY");
  assert.ok(!agent.accepts(bare(StunClass.REQUEST, Method.ALLOCATE)), "no BINDING");
  assert.ok(!agent.accepts(bare(StunClass.REQUEST, Method.BINDING, false)), "no integrity");
  assert.ok(!agent.accepts(bare(StunClass.INDICATION, Method.BINDING)), "indication");
});

Deno.test("a reply is accepted when it answers a remembered check and carries the peer's integrity", () => {
  const agent = gatewayAgent();
  agent.addLocalCandidate(host("10.0.0.1:1"));
  agent.addRemoteCandidate(host("10.0.0.2:2"), 0);
  agent.handleTimeout(0);
  const [sent] = drain(agent);
  const request = decodeStun(sent!.payload)!;
  assert.equal(sent!.transactionKey, transactionKey(request.transactionId));
  const reply = (of: StunMessage, key: Uint8Array) =>
    decodeStun(encodeCheckSuccess(of, address("10.0.0.1:1"), key))!;
  assert.ok(!agent.accepts(reply(request, gatewayKey)));
  assert.ok(!agent.accepts(reply(check(), clientKey)));
  assert.ok(agent.accepts(reply(request, clientKey)));
  assert.ok(agent.handleStun(reply(request, clientKey), address("10.0.0.2:2"), address("10.0.0.1:1"), 20));
  assert.equal(agent.pairs[0]!.succeeded, true);
});

Deno.test("a message that is not accepted changes nothing", () => {
  const agent = gatewayAgent();
  agent.addLocalCandidate(host("10.0.0.1:1"));
  assert.ok(!agent.handleStun(check({ key: clientKey }), address("10.0.0.2:2"), address("10.0.0.1:1"), 0));
  assert.deepEqual(drain(agent), []);
  assert.deepEqual(agent.remoteCandidates, []);
});

Deno.test("a check to an address that is no candidate is neither answered nor remembered", () => {
  const agent = gatewayAgent();
  agent.addLocalCandidate(host("10.0.0.1:1"));
  agent.handleStun(check(), address("10.0.0.2:2"), address("10.9.9.9:1"), 0);
  assert.deepEqual(drain(agent), []);
  assert.deepEqual(agent.remoteCandidates, []);
});

Deno.test("a check from a withdrawn remote candidate is not answered", () => {
  const agent = gatewayAgent();
  agent.addLocalCandidate(host("10.0.0.1:1"));
  agent.addRemoteCandidate(host("10.0.0.2:2"), 0);
  agent.removeRemoteCandidate(host("10.0.0.2:2"), 0);
  agent.handleStun(check(), address("10.0.0.2:2"), address("10.0.0.1:1"), 0);
  assert.deepEqual(drain(agent), []);
  agent.addRemoteCandidate(host("10.0.0.2:2"), 0);
  agent.handleStun(check(), address("10.0.0.2:2"), address("10.0.0.1:1"), 0);
  assert.equal(drain(agent).length, 1);
});

Deno.test("a check to a server-reflexive candidate's base makes no extra pair", () => {
  const agent = gatewayAgent();
  agent.addLocalCandidate(host("10.0.0.1:1"));
  agent.addLocalCandidate(srflx("10.0.0.1:1", "10.0.0.1:1"));
  agent.addLocalCandidate(srflx("203.0.113.1:7", "10.0.0.1:1"));
  agent.handleStun(check(), address("10.0.0.2:2"), address("10.0.0.1:1"), 0);
  assert.deepEqual(pairNames(agent), ["host 10.0.0.1:1 > prflx 10.0.0.2:2"]);
});

Deno.test("a nomination is used at once and checked in the reverse direction at once, whatever was scheduled", () => {
  const agent = gatewayAgent();
  agent.addLocalCandidate(host("10.0.0.1:1"));
  agent.addRemoteCandidate(host("10.0.0.2:2"), 0);
  for (const now of [0, 250, 750, 1750]) agent.handleTimeout(now);
  drain(agent);
  agent.handleStun(check({ useCandidate: true }), address("10.0.0.2:2"), address("10.0.0.1:1"), 1760);
  assert.equal(agent.selected?.destination.key, "10.0.0.2:2");
  assert.equal(agent.pollTimeout(), 1760);
  agent.handleTimeout(1760);
  assert.deepEqual(drain(agent).map((sent) => decodeStun(sent.payload)!.class), ["success", "request"]);
});

Deno.test("a check triggers one of ours only while the pair is unproven, and not twice in a short time", () => {
  const agent = gatewayAgent();
  agent.addLocalCandidate(host("10.0.0.1:1"));
  const receive = (now: number) => {
    agent.handleStun(check(), address("10.0.0.2:2"), address("10.0.0.1:1"), now);
    agent.handleTimeout(now);
    return drain(agent).filter((sent) => sent.transactionKey !== undefined).length;
  };
  assert.deepEqual([0, 50, 100, 200].map(receive), [1, 0, 0, 0]);
  for (const now of [250, 750, 1750]) agent.handleTimeout(now);
  drain(agent);
  assert.deepEqual([2500, 2600].map(receive), [1, 0]);
});

Deno.test("the peer's first check on a pair triggers ours even right after one, which its relay may have dropped", () => {
  const agent = gatewayAgent();
  agent.addLocalCandidate(host("10.0.0.1:1"));
  agent.addRemoteCandidate(host("10.0.0.2:2"), 0);
  agent.handleTimeout(0);
  drain(agent);
  agent.handleStun(check(), address("10.0.0.2:2"), address("10.0.0.1:1"), 30);
  agent.handleTimeout(30);
  assert.equal(drain(agent).filter((sent) => sent.transactionKey !== undefined).length, 1);
});

Deno.test("the first check from an address is reported", () => {
  const agent = gatewayAgent();
  agent.addLocalCandidate(host("10.0.0.1:1"));
  for (let i = 0; i < 3; i++) agent.handleStun(check(), address("10.0.0.2:2"), address("10.0.0.1:1"), i);
  const sources: string[] = [];
  for (let event = agent.pollEvent(); event; event = agent.pollEvent()) {
    if (event.type === "discovered") sources.push(event.source.key);
  }
  assert.deepEqual(sources, ["10.0.0.2:2"]);
});

Deno.test("a pair on which the peer's checks still arrive is not dropped", () => {
  const agent = gatewayAgent();
  agent.addLocalCandidate(host("10.0.0.1:1"));
  let next: number | undefined = 0;
  for (let heard = 0; heard <= 60_000; heard += 10_000) {
    agent.handleStun(check(), address("10.0.0.2:2"), address("10.0.0.1:1"), heard);
    while ((next = agent.pollTimeout()) !== undefined && next < heard + 10_000) agent.handleTimeout(next);
  }
  assert.equal(agent.pairs.length, 1);
  while ((next = agent.pollTimeout()) !== undefined) agent.handleTimeout(next);
  assert.equal(agent.pairs.length, 0);
});

Deno.test("nothing is disconnected before both sides have a candidate", () => {
  const agent = gatewayAgent();
  agent.handleTimeout(0);
  agent.addLocalCandidate(host("10.0.0.1:1"));
  agent.handleTimeout(1);
  assert.deepEqual(states(agent), ["checking"]);
});

Deno.test("candidates without a common family disconnect at once, a usable one brings the agent back", () => {
  const agent = gatewayAgent();
  agent.addLocalCandidate(host("10.0.0.1:1"));
  agent.addRemoteCandidate(host("[2001:db8::2]:2"), 0);
  agent.handleTimeout(0);
  assert.deepEqual(states(agent), ["disconnected"]);
  agent.addRemoteCandidate(host("10.0.0.2:2"), 5);
  assert.equal(agent.pollTimeout(), 5);
  agent.handleTimeout(5);
  assert.deepEqual(states(agent), ["checking"]);
});

Deno.test("an agent without pairs needs no wake-up", () => {
  const agent = gatewayAgent();
  assert.equal(agent.pollTimeout(), undefined);
});

Deno.test("a new timing acts on the checks already scheduled", () => {
  const agent = gatewayAgent();
  agent.addLocalCandidate(host("10.0.0.1:1"));
  agent.addRemoteCandidate(host("10.0.0.2:2"), 0);
  agent.setTiming(CLIENT_IDLE, 0);
  agent.handleTimeout(0);
  assert.equal(agent.pollTimeout(), 25_000);
  agent.setTiming(CLIENT_ACTIVE, 10_000);
  assert.equal(agent.pollTimeout(), 10_000);
});

Deno.test("a re-signalled candidate gets its dead pairs back", () => {
  const agent = gatewayAgent();
  agent.addLocalCandidate(host("10.0.0.1:1"));
  agent.addRemoteCandidate(host("10.0.0.2:2"), 0);
  let next: number | undefined;
  while ((next = agent.pollTimeout()) !== undefined) agent.handleTimeout(next);
  assert.deepEqual(states(agent), ["checking", "disconnected"]);
  agent.addRemoteCandidate(host("10.0.0.2:2"), 20_000);
  agent.handleTimeout(20_000);
  assert.deepEqual(states(agent), ["checking"]);
  assert.equal(agent.pairs.length, 1);
});

Deno.test("optimistic candidates combine the reflexive IP with the host port, IPv4 only, at most two", () => {
  const known = [
    srflx("203.0.113.7:40001", "203.0.113.7:40001"),
    srflx("[2001:db8::7]:40001", "[2001:db8::7]:40001"),
    host("10.0.0.1:52625"),
    host("[2001:db8::1]:52625"),
  ];
  assert.deepEqual(
    optimisticCandidates(known).map((guess) => `${guess.kind} ${guess.address} ${guess.priority}`),
    [
      "srflx 203.0.113.7:52625 1694498559",
    ],
  );
  const many = [...known, host("10.0.0.2:52626"), host("10.0.0.3:52627"), host("10.0.0.4:52628")];
  const guesses = optimisticCandidates(many);
  assert.equal(guesses.length, 2);
  assert.equal(
    optimisticCandidates([...many, ...guesses]).some((guess) => guess.address.port === 52625),
    false,
  );
  assert.deepEqual(optimisticCandidates([host("10.0.0.1:52625")]), []);
});

Deno.test("any sequence of candidates, checks and time keeps the agent within its bounds", () => {
  const action = fc.record({
    kind: fc.integer({ min: 0, max: 6 }),
    host: fc.integer({ min: 1, max: 12 }),
    port: fc.integer({ min: 1, max: 40 }),
    wait: fc.integer({ min: 0, max: 20_000 }),
    useCandidate: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(action, { maxLength: 150, size: "max" }), (actions) => {
      const agent = gatewayAgent();
      let now = 0;
      for (const { kind, host: ip, port, wait, useCandidate } of actions) {
        const own = host(`10.0.0.${ip}:1`), other = host(`10.1.0.${ip}:${port}`);
        if (kind === 0) agent.addLocalCandidate(own);
        else if (kind === 1) agent.removeLocalCandidate(own);
        else if (kind === 2) agent.addRemoteCandidate(other, now);
        else if (kind === 3) agent.removeRemoteCandidate(other, now);
        else if (kind === 4) agent.setTiming(useCandidate ? CLIENT_IDLE : CLIENT_ACTIVE, now);
        else agent.handleStun(check({ useCandidate }), other.address, own.address, now);
        agent.handleTimeout(now);
        const next = agent.pollTimeout();
        assert.ok(next === undefined || next >= now);
        now += wait;
        agent.handleTimeout(now);
        drain(agent);
        states(agent);
        assert.ok(agent.pairs.length <= 100 && agent.remoteCandidates.length <= MAX_REMOTE_CANDIDATES);
      }
      for (let i = 0; i < 20_000; i++) {
        const next = agent.pollTimeout();
        if (next === undefined) return;
        agent.handleTimeout(next);
        drain(agent);
      }
      assert.fail("the pairs never die");
    }),
    { numRuns: 30 },
  );
});

Deno.test("a stale role conflict is ignored: the role has changed since the check was sent", () => {
  const agent = gatewayAgent();
  agent.addLocalCandidate(host("10.0.0.1:1"));
  agent.addRemoteCandidate(host("10.0.0.2:2"), 0);
  agent.addRemoteCandidate(host("10.0.0.3:2"), 0);
  agent.handleTimeout(0);
  const conflicts = drain(agent).map((sent) =>
    decodeStun(encodeRoleConflict(decodeStun(sent.payload)!, clientKey))!
  );
  for (const conflict of conflicts) {
    agent.handleStun(conflict, address("10.0.0.2:2"), address("10.0.0.1:1"), 10);
  }
  assert.equal(agent.controlling, true);
  agent.handleTimeout(10);
  const [retried] = drain(agent);
  assert.notEqual(decodeStun(retried!.payload)!.iceControlling, undefined);
});
