import { strict as assert } from "node:assert";
import { PolicyError } from "../../mod/policy/policy.ts";
import { ALICE, Bed, BOB, cidr, client, dns, GATEWAY, internet, resourceId, tcpPorts } from "./harness.ts";
import { SYN, tcp, udp } from "./packets.ts";

const HOST = "10.0.0.9";
const web = (host = HOST, port = 80) => tcp(ALICE.ipv4, 40000, host, port, SYN);
const webReply = (host = HOST, port = 80) => tcp(host, port, ALICE.ipv4, 40000);

Deno.test("a grant before the gateway knows its own addresses is refused and stores nothing", () => {
  const bed = new Bed({ initialised: false });
  assert.throws(() => bed.grant(ALICE, cidr(1, "10.0.0.0/8")), PolicyError);
  assert.equal(bed.policy.peerCount, 0);
});

Deno.test("grants that can't be obeyed are refused and change nothing", () => {
  const bed = new Bed();
  for (
    const change of [{ ipv4: "10.0.0.1" }, { ipv4: "100.96.0.1" }, { ipv6: "fd00:2021:1111:8000::1" }, {
      ipv6: "1.2.3.4",
    }]
  ) {
    assert.throws(() => bed.grant({ ...ALICE, ...change }, cidr(1, "10.0.0.0/8")), PolicyError);
  }
  for (const network of ["10.0.0.0/33", "10.0.0.0/-1", "::/129", "10.0.0.0/1.5"]) {
    assert.throws(() => bed.grant(ALICE, cidr(1, network)), PolicyError);
  }
  assert.throws(
    () => bed.policy.setInterface({ ipv4: new Uint8Array(3), ipv6: new Uint8Array(16) }),
    PolicyError,
  );
  assert.equal(bed.policy.peerCount, 0);
});

Deno.test("two resources on one address disappear each at its own time", () => {
  const bed = new Bed();
  bed.grant(ALICE, cidr(1, "10.0.0.9/32", tcpPorts(20)), bed.in(10));
  bed.grant(ALICE, cidr(2, "10.0.0.9/32", tcpPorts(443)), bed.in(20));
  const open = () => [20, 443].map((port) => bed.send(ALICE, web(HOST, port)) instanceof Uint8Array);
  assert.deepEqual(open(), [true, true]);
  bed.advance(9999);
  assert.deepEqual(open(), [true, true]);
  bed.advance(1);
  assert.deepEqual(open(), [false, true]);
  assert.deepEqual(bed.events(), [{ type: "access-expired", clientId: ALICE.id, resourceId: resourceId(1) }]);
  bed.advance(9999);
  assert.deepEqual(open(), [false, true]);
  const peer = bed.policy.peerById(ALICE.id)!;
  bed.advance(1);
  assert.deepEqual(bed.events(), [
    { type: "access-expired", clientId: ALICE.id, resourceId: resourceId(2) },
    { type: "peer-removed", peer, clientId: ALICE.id, reason: "expired" },
  ]);
  assert.equal(bed.policy.peerById(ALICE.id), undefined);
  assert.equal(bed.receive(webReply(HOST, 443)), undefined);
  assert.equal(bed.policy.pollTimeout(), undefined);
});

Deno.test("an expired grant stops packets even when the timer comes late", () => {
  const bed = new Bed();
  bed.grant(ALICE, cidr(1, "10.0.0.0/8"), bed.in(1));
  bed.grant(BOB, cidr(1, "10.0.0.0/8"));
  bed.now += 1000;
  const peer = bed.policy.peerById(ALICE.id)!;
  assert.equal(bed.send(ALICE, web()), "drop");
  assert.ok(peer.removed);
  assert.equal(bed.counters.get("policy_out_no_peer"), 1);
  assert.equal(bed.receive(webReply()), undefined);
  assert.ok(bed.passes(BOB, tcp(BOB.ipv4, 1, HOST, 2)));
});

Deno.test("a renewal extends or shortens access and replaces filters and network", () => {
  const bed = new Bed();
  bed.grant(ALICE, cidr(1, "10.0.0.0/24", tcpPorts(80)), bed.in(10));
  bed.advance(5000);
  bed.grant(ALICE, cidr(1, "10.0.0.0/24", tcpPorts(81)), bed.in(10));
  bed.advance(9999);
  assert.equal(bed.send(ALICE, web(HOST, 80)), "prohibited");
  assert.ok(bed.passes(ALICE, web(HOST, 81)));
  bed.grant(ALICE, cidr(1, "10.0.1.0/24"), null);
  assert.equal(bed.send(ALICE, web(HOST, 81)), "prohibited");
  assert.ok(bed.passes(ALICE, web("10.0.1.1")));
  assert.equal(bed.policy.pollTimeout(), undefined);
  bed.grant(ALICE, cidr(1, "10.0.1.0/24"), bed.in(1));
  bed.advance(1000);
  assert.equal(bed.policy.peerCount, 0);
});

Deno.test("re-adding a resource with a past expiry removes it", () => {
  const bed = new Bed();
  bed.grant(ALICE, cidr(1, "10.0.0.0/8"));
  bed.grant(ALICE, cidr(1, "10.0.0.0/8"), bed.in(-5));
  assert.equal(bed.send(ALICE, web()), "drop");
  assert.equal(bed.policy.peerCount, 0);
  assert.equal(bed.events().at(-1)?.type, "peer-removed");
});

Deno.test("jumps of the wall clock neither extend nor cut access", () => {
  const bed = new Bed();
  bed.grant(ALICE, cidr(1, "10.0.0.0/8"), bed.in(60));
  bed.wallSkew = 86_400_000;
  bed.advance(59_999);
  assert.ok(bed.passes(ALICE, web()));
  bed.wallSkew = -86_400_000;
  bed.advance(1);
  assert.equal(bed.policy.peerCount, 0);
});

Deno.test("the expiry of a grant can be replaced alone; unknown ones are ignored", () => {
  const bed = new Bed();
  bed.grant(ALICE, cidr(1, "10.0.0.0/8", tcpPorts(80)), bed.in(10));
  assert.ok(bed.policy.updateExpiry(ALICE.id, resourceId(1), bed.in(20), bed.now));
  assert.ok(!bed.policy.updateExpiry(ALICE.id, resourceId(2), bed.in(20), bed.now));
  assert.ok(!bed.policy.updateExpiry(BOB.id, resourceId(1), bed.in(20), bed.now));
  bed.advance(19_999);
  assert.ok(bed.passes(ALICE, web()));
  bed.advance(1);
  assert.equal(bed.policy.peerCount, 0);
});

Deno.test("revocation is immediate, and the last one removes the peer", () => {
  const bed = new Bed();
  const peer = bed.grant(ALICE, cidr(1, "10.0.0.0/24"));
  bed.grant(ALICE, cidr(2, "10.0.1.0/24"));
  assert.ok(bed.passes(ALICE, web()));
  assert.ok(!bed.policy.revoke(ALICE.id, resourceId(3)) && !bed.policy.revoke(BOB.id, resourceId(1)));
  assert.ok(bed.policy.revoke(ALICE.id, resourceId(1)));
  assert.equal(bed.send(ALICE, web()), "prohibited");
  assert.equal(bed.receive(webReply()), undefined);
  assert.deepEqual(bed.events(), []);
  assert.ok(bed.policy.revoke(ALICE.id, resourceId(2)));
  assert.deepEqual(bed.events(), [{ type: "peer-removed", peer, clientId: ALICE.id, reason: "revoked" }]);
  assert.ok(peer.removed);
});

Deno.test("an updated resource gets its new filters for every holder at once, and nothing else changes", () => {
  const bed = new Bed();
  bed.grant(ALICE, cidr(1, "10.0.0.0/24", tcpPorts(80)), bed.in(10));
  bed.grant(BOB, cidr(1, "10.0.0.0/24", tcpPorts(80)));
  assert.ok(bed.passes(ALICE, web()));
  assert.equal(bed.policy.updateResource(cidr(1, "10.9.0.0/24", tcpPorts(81))), 2);
  assert.equal(bed.send(ALICE, web()), "prohibited");
  assert.ok(bed.passes(ALICE, web(HOST, 81)));
  assert.ok(bed.passes(BOB, tcp(BOB.ipv4, 1, HOST, 81)));
  assert.equal(bed.send(ALICE, web("10.9.0.1", 81)), "prohibited");
  assert.equal(bed.policy.updateResource(dns(1, "example.com")), 0);
  assert.equal(bed.policy.updateResource(internet(1)), 0);
  assert.equal(bed.policy.updateResource(cidr(7, "10.9.0.0/24")), 0);
  bed.advance(10_000);
  assert.equal(bed.policy.peerById(ALICE.id), undefined);
});

Deno.test("reconciling keeps what is listed, revokes everything else, and an empty list revokes all", () => {
  const bed = new Bed();
  const alice = bed.grant(ALICE, cidr(1, "10.0.0.0/24"), bed.in(60));
  bed.grant(ALICE, cidr(2, "10.0.1.0/24"));
  const bob = bed.grant(BOB, cidr(1, "10.0.0.0/24"));
  bed.policy.reconcile(undefined, bed.now);
  assert.equal(bed.policy.peerCount, 2);
  bed.policy.reconcile([
    { clientId: ALICE.id, resourceId: resourceId(1) },
    { clientId: ALICE.id, resourceId: resourceId(3), expiresAt: null },
    { clientId: "c1000000-0000-4000-8000-000000000000", resourceId: resourceId(1) },
  ], bed.now);
  assert.deepEqual(bed.events(), [{
    type: "peer-removed",
    peer: bob,
    clientId: BOB.id,
    reason: "not-listed",
  }]);
  assert.ok(bed.passes(ALICE, web()));
  assert.equal(bed.send(ALICE, web("10.0.1.1")), "prohibited");
  assert.equal(bed.policy.pollTimeout(), bed.now + 60_000, "the expiry is left alone");
  bed.policy.reconcile([], bed.now);
  assert.deepEqual(bed.events(), [{
    type: "peer-removed",
    peer: alice,
    clientId: ALICE.id,
    reason: "not-listed",
  }]);
});

Deno.test("reconciling refreshes the expiries that the list carries, and never revives what is over", () => {
  const bed = new Bed();
  bed.grant(ALICE, cidr(1, "10.0.0.0/24"), bed.in(10));
  bed.grant(ALICE, cidr(2, "10.0.1.0/24"), bed.in(10));
  bed.grant(ALICE, cidr(3, "10.0.2.0/24"), bed.in(1));
  bed.advance(1000);
  bed.events();
  const list = [
    { clientId: ALICE.id, resourceId: resourceId(1), expiresAt: bed.in(100) },
    { clientId: ALICE.id, resourceId: resourceId(2), expiresAt: bed.in(-100) },
    { clientId: ALICE.id, resourceId: resourceId(3), expiresAt: bed.in(100) },
  ];
  bed.policy.reconcile(list, bed.now);
  bed.policy.handleTimeout(bed.now);
  assert.deepEqual(bed.events(), [{ type: "access-expired", clientId: ALICE.id, resourceId: resourceId(2) }]);
  bed.advance(99_999);
  assert.ok(bed.passes(ALICE, web()));
  assert.equal(bed.send(ALICE, web("10.0.1.1")), "prohibited");
  assert.equal(bed.send(ALICE, web("10.0.2.1")), "prohibited");
});

Deno.test("a client with new tunnel addresses starts again: same peer, only the new grant, old addresses dead", () => {
  const bed = new Bed();
  const before = bed.grant(ALICE, cidr(1, "10.0.0.0/24"));
  before.connection = "tunnel";
  const moved = { ...ALICE, ipv4: "100.64.0.77" };
  const peer = bed.grant(moved, cidr(2, "10.0.1.0/24"));
  assert.equal(peer, before);
  assert.equal(peer.connection, "tunnel");
  assert.equal(bed.send(ALICE, web("10.0.1.1")), "prohibited", "the old source address is foreign now");
  assert.ok(bed.passes(ALICE, tcp(moved.ipv4, 1, "10.0.1.1", 80)));
  assert.equal(bed.send(ALICE, tcp(moved.ipv4, 1, HOST, 80)), "prohibited");
  assert.equal(bed.receive(tcp("10.0.1.1", 80, ALICE.ipv4, 1)), undefined);
  assert.ok(bed.delivers(ALICE, tcp("10.0.1.1", 80, moved.ipv4, 1)));
  assert.deepEqual(bed.events(), []);
});

Deno.test("a client whose address went to another is removed", () => {
  const bed = new Bed();
  const alice = bed.grant(ALICE, cidr(1, "10.0.0.0/24"));
  bed.grant({ ...BOB, ipv4: ALICE.ipv4 }, cidr(1, "10.0.0.0/24"));
  assert.deepEqual(bed.events(), [
    { type: "peer-removed", peer: alice, clientId: ALICE.id, reason: "address-reassigned" },
  ]);
  assert.ok(bed.delivers(BOB, webReply()));
});

Deno.test("known clients adopt a changed address of the gateway", () => {
  const bed = new Bed();
  bed.grant(ALICE, cidr(1, "10.0.0.0/24"));
  bed.policy.setInterface(client({ id: "", ipv4: "100.64.0.2", ipv6: "fd00:2021:1111::2" }));
  assert.ok(bed.passes(ALICE, udp(ALICE.ipv4, 1, "100.64.0.2", 53535)));
  assert.ok(bed.delivers(ALICE, udp("100.64.0.2", 53535, ALICE.ipv4, 1)));
  assert.equal(bed.send(ALICE, udp(ALICE.ipv4, 1, GATEWAY.ipv4, 53535)), "prohibited");
});

Deno.test("a removed peer is forgotten without an event, and its slot and addresses serve again", () => {
  const bed = new Bed();
  const alice = bed.grant(ALICE, cidr(1, "10.0.0.0/24"), bed.in(5));
  const bob = bed.grant(BOB, cidr(1, "10.0.0.0/24"));
  assert.deepEqual([alice.slot, bob.slot], [0, 1]);
  assert.ok(bed.policy.removePeer(ALICE.id) && !bed.policy.removePeer(ALICE.id));
  assert.deepEqual(bed.events(), []);
  assert.equal(bed.policy.pollTimeout(), undefined);
  assert.equal(bed.receive(webReply()), undefined);
  const carol = bed.grant({ ...ALICE, id: "ca401000-0000-4000-8000-000000000000" }, cidr(1, "10.0.0.0/25"));
  assert.equal(carol.slot, 0);
  assert.deepEqual([...bed.policy.peers()], [bob, carol]);
});

Deno.test("nothing that has expired is revived, even when nobody looked at the clock in between", () => {
  const bed = new Bed();
  bed.grant(ALICE, cidr(1, "10.0.0.0/24"), bed.in(5));
  bed.grant(BOB, cidr(1, "10.0.0.0/24"), bed.in(5));
  bed.now += 6000;
  bed.policy.reconcile([{ clientId: ALICE.id, resourceId: resourceId(1), expiresAt: null }], bed.now);
  assert.equal(bed.policy.peerById(ALICE.id), undefined);
  assert.ok(!bed.policy.updateExpiry(BOB.id, resourceId(1), null, bed.now));
});
