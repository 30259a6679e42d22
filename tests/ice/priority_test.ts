import assert from "node:assert/strict";
import fc from "fast-check";
import {
  type Candidate,
  CLIENT_ACTIVE,
  IceAgent,
  relayCandidate,
  serverReflexiveCandidate,
} from "../../mod/ice/mod.ts";
import { pairPriority, peerReflexivePriority } from "../../mod/ice/priority.ts";
import { address, CLIENT_CREDENTIALS, GATEWAY_CREDENTIALS, host, seededBytes } from "./duo.ts";

function adopt(...candidates: Candidate[]): (number | undefined)[] {
  const agent = new IceAgent({
    controlling: false,
    local: GATEWAY_CREDENTIALS,
    remote: CLIENT_CREDENTIALS,
    timing: CLIENT_ACTIVE,
    random: seededBytes(1),
    now: 0,
  });
  return candidates.map((candidate) => agent.addLocalCandidate(candidate)?.priority);
}

const reflexive4 = serverReflexiveCandidate(address("203.0.113.7:5"), address("10.0.0.1:1"));
const reflexive6 = serverReflexiveCandidate(address("[2001:db8::7]:5"), address("[2001:db8::8]:1"));
const relay4 = (socketFamily: 4 | 6) => relayCandidate(address("198.51.100.2:50000"), socketFamily);
const relay6 = (socketFamily: 4 | 6) => relayCandidate(address("[2001:db8::2]:50000"), socketFamily);

Deno.test("adopted candidates have the priorities of the table in snownet §2.5", () => {
  assert.deepEqual(adopt(host("10.0.0.1:1"), host("10.0.0.2:1"), host("[2001:db8::1]:1")), [
    2130706175,
    2130705663,
    2130706431,
  ]);
  assert.deepEqual(adopt(reflexive4, reflexive6), [1686109951, 1686110207]);
  assert.deepEqual(adopt(relay4(4), relay6(6)), [37748479, 37748735]);
});

Deno.test("a relay reached over the other family costs 1000 of local preference, both ways", () => {
  assert.deepEqual(adopt(relay4(6), relay6(4)), [37492479, 37492735]);
});

Deno.test("candidates that no agent adopted have the default local preference", () => {
  assert.equal(reflexive4.priority, 1694498559);
  assert.equal(reflexive6.priority, 1694498815);
  assert.equal(relay4(4).priority, 50331391);
});

Deno.test("the PRIORITY of a check is the candidate's as a peer-reflexive one", () => {
  assert.equal(peerReflexivePriority(2130706175), 1862270719);
});

Deno.test("pair priorities are those of snownet §2.5", () => {
  assert.equal(pairPriority(2130706175, 2130706175), 9151313343271665150n);
  assert.equal(pairPriority(1694498559, 2130706175), 7277815898285538814n);
  assert.equal(pairPriority(37748479, 37748479), 162128482854239742n);
});

Deno.test("pair priority orders by the worse end first, and tells who controls", () => {
  const u31 = fc.integer({ min: 1, max: 0x7fffffff }); // RFC 8445 §5.1.2.1
  fc.assert(fc.property(u31, u31, u31, u31, (a, b, c, d) => {
    if (Math.min(a, b) > Math.min(c, d)) assert.ok(pairPriority(a, b) > pairPriority(c, d));
    assert.equal(pairPriority(a, b) - pairPriority(b, a), BigInt(Math.sign(a - b)));
  }));
});
