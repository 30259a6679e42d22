import assert from "node:assert/strict";
import fc from "fast-check";
import {
  candidateKey,
  CandidateOutbox,
  CONFIRMATION_TIMEOUT,
  MAX_HELD,
  type Signal,
} from "../../mod/portal/candidate_outbox.ts";

const host = (n: number, priority = 1) =>
  `candidate:f${priority} 1 udp ${priority} 192.0.2.${n} 52625 typ host`;
const add = (peerId: string, ...candidates: string[]): Signal => ({ peerId, kind: "add", candidates });
const remove = (peerId: string, ...candidates: string[]): Signal => ({ peerId, kind: "remove", candidates });

Deno.test("with the link up candidates leave at once, in batches as they come", () => {
  const outbox = new CandidateOutbox();
  outbox.open();
  assert.deepEqual(outbox.push(add("a", host(1), host(2))), [add("a", host(1), host(2))]);
});

Deno.test("with the link down they wait, per peer, and leave together: additions, then removals", () => {
  const outbox = new CandidateOutbox();
  assert.deepEqual(outbox.push(remove("a", host(9))), []);
  assert.deepEqual(outbox.push(add("a", host(1))), []);
  assert.deepEqual(outbox.push(add("b", host(3))), []);
  assert.deepEqual(outbox.push(add("a", host(2))), []);
  assert.deepEqual(outbox.open(), [add("a", host(1), host(2)), remove("a", host(9)), add("b", host(3))]);
  assert.deepEqual(outbox.open(), []);
});

Deno.test("the last word about a candidate counts, whatever priority and foundation it has", () => {
  const outbox = new CandidateOutbox();
  outbox.push(add("a", host(1, 5), host(2)));
  outbox.push(remove("a", host(1, 7)));
  outbox.push(remove("a", host(2)));
  outbox.push(add("a", host(2, 9)));
  assert.deepEqual(outbox.open(), [add("a", host(2, 9)), remove("a", host(1, 7))]);
});

Deno.test("candidates of a peer wait for the confirmation of its authorization, those of others don't", () => {
  const outbox = new CandidateOutbox();
  outbox.open();
  outbox.awaitConfirmation("a", "ref", 0);
  assert.deepEqual(outbox.push(add("a", host(1))), []);
  assert.deepEqual(outbox.push(add("b", host(2))), [add("b", host(2))]);
  assert.deepEqual(outbox.confirm("another"), []);
  assert.deepEqual(outbox.confirm("ref"), [add("a", host(1))]);
  assert.deepEqual(outbox.push(add("a", host(3))), [add("a", host(3))]);
});

Deno.test("an authorization that is never confirmed holds nothing back for longer than two seconds", () => {
  const outbox = new CandidateOutbox();
  outbox.open();
  outbox.awaitConfirmation("a", "ref", 100);
  outbox.push(add("a", host(1)));
  assert.equal(outbox.pollTimeout(), 100 + CONFIRMATION_TIMEOUT);
  assert.deepEqual(outbox.handleTimeout(99 + CONFIRMATION_TIMEOUT), []);
  assert.deepEqual(outbox.handleTimeout(100 + CONFIRMATION_TIMEOUT), [add("a", host(1))]);
  assert.equal(outbox.pollTimeout(), undefined);
});

Deno.test("an outage ends the wait for confirmations, and keeps the candidates", () => {
  const outbox = new CandidateOutbox();
  outbox.open();
  outbox.awaitConfirmation("a", "ref", 0);
  outbox.push(add("a", host(1)));
  outbox.close();
  assert.equal(outbox.pollTimeout(), undefined);
  assert.deepEqual(outbox.open(), [add("a", host(1))]);
});

Deno.test("a long outage keeps the newest candidates, a bounded number of them", () => {
  const outbox = new CandidateOutbox();
  for (let port = 1; port <= 10_000; port++) {
    outbox.push(add("a", `candidate:1 1 udp 1 192.0.2.1 ${port} typ relay raddr 0.0.0.0 rport 0`));
  }
  const [signal] = outbox.open();
  assert.equal(signal!.candidates.length, MAX_HELD);
  assert.match(signal!.candidates.at(-1)!, / 10000 typ /);
});

Deno.test("candidates are told apart by address, kind and related address", () => {
  const srflx = (raddr: string) => `candidate:1 1 udp 9 192.0.2.1 5 typ srflx raddr ${raddr} rport 0 ufrag x`;
  assert.equal(candidateKey(srflx("10.0.0.1")), "192.0.2.1 5 srflx 10.0.0.1");
  assert.notEqual(candidateKey(srflx("10.0.0.1")), candidateKey(srflx("10.0.0.2")));
  assert.equal(candidateKey("nonsense"), "nonsense");
});

Deno.test("after any history the peer's picture is right: every candidate's last word arrives, and once", () => {
  const step = fc.record({
    kind: fc.constantFrom("add" as const, "remove" as const),
    peer: fc.constantFrom("a", "b"),
    candidate: fc.nat({ max: 4 }),
    before: fc.constantFrom("nothing", "open", "close", "await", "confirm"),
  });
  fc.assert(fc.property(fc.array(step), (steps) => {
    const outbox = new CandidateOutbox();
    const wanted = new Map<string, string>(), heard = new Map<string, string>();
    const hear = (signals: Signal[]) => {
      for (const { peerId, kind, candidates } of signals) {
        for (const candidate of candidates) heard.set(`${peerId} ${candidate}`, kind);
      }
    };
    for (const { kind, peer, candidate, before } of steps) {
      if (before === "open") hear(outbox.open());
      if (before === "close") outbox.close();
      if (before === "await") outbox.awaitConfirmation(peer, `ref ${peer}`, 0);
      if (before === "confirm") hear(outbox.confirm(`ref ${peer}`));
      wanted.set(`${peer} ${host(candidate)}`, kind);
      hear(outbox.push({ peerId: peer, kind, candidates: [host(candidate)] }));
    }
    outbox.close();
    hear(outbox.open());
    assert.deepEqual(new Map([...heard].sort()), new Map([...wanted].sort()));
  }));
});
