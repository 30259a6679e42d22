import assert from "node:assert/strict";
import fc from "fast-check";
import {
  type Candidate,
  CLIENT_ACTIVE,
  formatCandidate,
  hostCandidate,
  IceAgent,
  matchesRemoval,
  parseCandidate,
  relayCandidate,
  serverReflexiveCandidate,
} from "../../mod/ice/mod.ts";
import { SocketAddress } from "../../mod/packet/address.ts";
import { address, CLIENT_CREDENTIALS, GATEWAY_CREDENTIALS, host, seededBytes } from "./duo.ts";

function parsed(text: string): Candidate {
  const candidate = parseCandidate(text);
  assert.ok(candidate, text);
  return candidate;
}

Deno.test("a host candidate is written without related address, with our ufrag when given", () => {
  const candidate = host("10.1.2.3:52625");
  assert.match(
    formatCandidate(candidate),
    /^candidate:[0-9a-f]{8} 1 udp 2130706175 10\.1\.2\.3 52625 typ host$/,
  );
  assert.match(formatCandidate(candidate, "kwe6"), / typ host ufrag kwe6$/);
});

Deno.test("server-reflexive and relay candidates hide their base behind an unspecified related address", () => {
  const reflexive = serverReflexiveCandidate(address("203.0.113.7:5"), address("10.0.0.1:52625"));
  assert.match(formatCandidate(reflexive), / 203\.0\.113\.7 5 typ srflx raddr 0\.0\.0\.0 rport 0$/);
  const relay = relayCandidate(address("[2001:db8::9]:50000"), 6);
  assert.match(formatCandidate(relay, "kwe6"), / 2001:db8::9 50000 typ relay raddr :: rport 0 ufrag kwe6$/);
});

Deno.test("what is written is read back as the same candidate", () => {
  const ip = fc.oneof(fc.ipV4(), fc.ipV6());
  fc.assert(
    fc.property(ip, fc.integer({ min: 1, max: 65535 }), fc.integer({ min: 0, max: 2 }), (ip, port, kind) => {
      const at = SocketAddress.of(ip, port);
      fc.pre(at !== undefined);
      const candidate = [
        hostCandidate(at),
        serverReflexiveCandidate(at, at),
        relayCandidate(at, at.family),
      ][kind]!;
      const back = parseCandidate(formatCandidate(candidate, "abcd"));
      if (!back) return; // multicast and the like
      const { base: _, ...rest } = back;
      const { base: __, ...expected } = { ...candidate, ufrag: "abcd" };
      assert.deepEqual(rest, expected);
      assert.ok(matchesRemoval(back, candidate));
    }),
  );
});

Deno.test("strings of other agents are read: options in any order, any case, opaque foundations", () => {
  const plain = parsed("candidate:1 1 udp 5 1.2.3.4 5 typ host");
  assert.equal(plain.address.key, "1.2.3.4:5");
  assert.equal(plain.priority, 5);
  const werift = parsed(
    "candidate:842163049 1 UDP 1677729535 198.51.100.4 4321 TYP SRFLX RADDR 10.0.0.1 RPORT 9",
  );
  assert.equal(werift.kind, "srflx");
  assert.equal(werift.relatedAddress?.key, "10.0.0.1:9");
  const chrome = parsed(
    "a=candidate:4057633102 1 udp 2122262783 2001:db8::1 5 typ host generation 0 ufrag EEtu network-id 2 network-cost 10",
  );
  assert.equal(chrome.ufrag, "EEtu");
  const mixed = parsed(
    "candidate:0123456789abcdef0123456789abcdef 1 udp 7 1.2.3.4 5 typ relay ufrag x rport 4 raddr 9.9.9.9",
  );
  assert.equal(mixed.relatedAddress?.key, "9.9.9.9:4");
  assert.equal(mixed.ufrag, "x");
  assert.equal(parsed("candidate:1 1 udp 4294967295 1.2.3.4 5 typ prflx trailing").priority, 0xffffffff);
  assert.equal(
    parsed("candidate:1 1 udp 5 1.2.3.4 5 typ srflx raddr nonsense rport 1").relatedAddress,
    undefined,
  );
});

Deno.test("what is no usable candidate is refused", () => {
  for (
    const text of [
      "",
      "candidate:",
      "nonsense",
      "candidate:1 2 udp 5 1.2.3.4 5 typ host",
      "candidate:1 1 tcp 5 1.2.3.4 5 typ host tcptype active",
      "candidate:1 1 udp -5 1.2.3.4 5 typ host",
      "candidate:1 1 udp 4294967296 1.2.3.4 5 typ host",
      "candidate:1 1 udp 5 1.2.3.4 65536 typ host",
      "candidate:1 1 udp 5 1.2.3.4 0 typ host",
      "candidate:1 1 udp 5 1.2.3 5 typ host",
      "candidate:1 1 udp 5 0.0.0.0 5 typ host",
      "candidate:1 1 udp 5 224.0.0.1 5 typ host",
      "candidate:1 1 udp 5 169.254.1.1 5 typ host",
      "candidate:1 1 udp 5 255.255.255.255 5 typ host",
      "candidate:1 1 udp 5 :: 5 typ host",
      "candidate:1 1 udp 5 ff02::1 5 typ host",
      "candidate:1 1 udp 5 1.2.3.4 5 typ magic",
      "candidate:1 1 udp 5 1.2.3.4 5 host",
      "candidate:1 1 udp 5 6b1c2b7e-6f1c-4a3e-9d8f-1c2b3d4e5f60.local 5 typ host",
      `candidate:${"x".repeat(2000)} 1 udp 5 1.2.3.4 5 typ host`,
    ]
  ) assert.equal(parseCandidate(text), undefined, text);
});

Deno.test("any text is read without throwing", () => {
  const token = fc.oneof(
    fc.string(),
    fc.constantFrom("candidate:1", "1", "udp", "typ", "host", "raddr", "rport", "::1"),
  );
  fc.assert(fc.property(fc.array(token), (tokens) => void parseCandidate(tokens.join(" "))));
  fc.assert(fc.property(fc.string(), (text) => void parseCandidate(`candidate:${text}`)));
});

Deno.test("a removal is matched by address, kind and related address, not by priority, foundation or ufrag", () => {
  const announced = parsed(
    "candidate:aa 1 udp 37748479 1.2.3.4 5 typ relay raddr 0.0.0.0 rport 0 ufrag w7up",
  );
  assert.ok(
    matchesRemoval(
      announced,
      parsed("candidate:bb 1 udp 50331391 1.2.3.4 5 typ relay raddr 0.0.0.0 rport 0"),
    ),
  );
  assert.ok(
    !matchesRemoval(
      announced,
      parsed("candidate:aa 1 udp 37748479 1.2.3.4 6 typ relay raddr 0.0.0.0 rport 0"),
    ),
  );
  assert.ok(
    !matchesRemoval(
      announced,
      parsed("candidate:aa 1 udp 37748479 1.2.3.4 5 typ srflx raddr 0.0.0.0 rport 0"),
    ),
  );
  assert.ok(!matchesRemoval(announced, parsed("candidate:aa 1 udp 37748479 1.2.3.4 5 typ relay")));
});

Deno.test("candidates are listed best first: host, server-reflexive, relay", () => {
  const agent = new IceAgent({
    controlling: false,
    local: GATEWAY_CREDENTIALS,
    remote: CLIENT_CREDENTIALS,
    timing: CLIENT_ACTIVE,
    random: seededBytes(1),
    now: 0,
  });
  agent.addLocalCandidate(relayCandidate(address("198.51.100.2:50000"), 4));
  agent.addLocalCandidate(serverReflexiveCandidate(address("203.0.113.7:5"), address("10.0.0.1:52625")));
  agent.addLocalCandidate(host("10.0.0.1:52625"));
  assert.deepEqual(agent.localCandidates.map((candidate) => candidate.kind), ["host", "srflx", "relay"]);
});
