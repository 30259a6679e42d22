import { strict as assert } from "node:assert";
import { decodeControl } from "../../mod/policy/control_packet.ts";
import { APP, bedWithApp, map, PROXIES, REAL, received, sent } from "./app_bed.ts";
import { ALICE, Bed, BOB, cidr, dns, resourceId, tcpPorts } from "./harness.ts";
import { ip, tcp } from "./packets.ts";

// Mapping

Deno.test("a new resolution leaves open flows alone and sends new ones to the new address", () => {
  const bed = bedWithApp(REAL);
  assert.equal(sent(bed, tcp(ALICE.ipv4, 4000, PROXIES[0]!, 443)).dst, REAL);
  map(bed, 1, ["172.20.0.200"]);
  assert.equal(sent(bed, tcp(ALICE.ipv4, 4000, PROXIES[0]!, 443)).dst, REAL);
  assert.equal(received(bed, tcp(REAL, 443, ALICE.ipv4, 4000)).src, PROXIES[0]);
  assert.equal(sent(bed, tcp(ALICE.ipv4, 4001, PROXIES[0]!, 443)).dst, "172.20.0.200");
  map(bed, 1, []);
  assert.equal(sent(bed, tcp(ALICE.ipv4, 4001, PROXIES[0]!, 443)).dst, "172.20.0.200");
  assert.equal(bed.send(ALICE, tcp(ALICE.ipv4, 4002, PROXIES[0]!, 443)), "unreachable");
});

Deno.test("a proxy address that changes its name means new numbering: all old mappings and flows are gone", () => {
  const bed = bedWithApp(REAL);
  bed.grant(ALICE, cidr(2, "172.16.0.0/12"));
  sent(bed, tcp(ALICE.ipv4, 4000, PROXIES[0]!, 443));
  sent(bed, tcp(ALICE.ipv4, 4000, PROXIES[1]!, 443));
  assert.ok(map(bed, 1, ["172.20.0.7"], { domain: "web.example.com", proxies: [PROXIES[1]!] }));
  assert.equal(bed.send(ALICE, tcp(ALICE.ipv4, 4000, PROXIES[0]!, 443)), "prohibited");
  assert.equal(sent(bed, tcp(ALICE.ipv4, 4000, PROXIES[1]!, 443)).dst, "172.20.0.7");
  assert.ok(bed.delivers(ALICE, tcp(REAL, 443, ALICE.ipv4, 4000)), "a plain packet now");
});

Deno.test("the same name in other letters is the same name", () => {
  const bed = bedWithApp(REAL);
  sent(bed, tcp(ALICE.ipv4, 4000, PROXIES[0]!, 443));
  assert.ok(map(bed, 1, [REAL], { domain: "APP.Example.com" }));
  assert.equal(received(bed, tcp(REAL, 443, ALICE.ipv4, 4000)).src, PROXIES[0]);
});

Deno.test("resources that share a proxy address permit the union of their filters; removing one keeps the other", () => {
  const bed = new Bed();
  bed.grant(ALICE, dns(1, APP, tcpPorts(80)));
  bed.grant(ALICE, dns(2, "*.example.com", tcpPorts(443)));
  assert.ok(map(bed, 1, [REAL]) && map(bed, 2, [REAL]));
  const open = () =>
    [80, 443, 22].map((port) =>
      bed.send(ALICE, tcp(ALICE.ipv4, 4000, PROXIES[0]!, port)) instanceof Uint8Array
    );
  assert.deepEqual(open(), [true, true, false]);
  bed.send(ALICE, tcp(ALICE.ipv4, 4000, PROXIES[0]!, 443));
  assert.equal(bed.policy.matched?.resource.id, resourceId(2));
  bed.policy.revoke(ALICE.id, resourceId(1));
  assert.deepEqual(open(), [false, true, false]);
  bed.grant(ALICE, dns(1, APP));
  assert.deepEqual(open(), [true, true, true], "granted again, its names revive");
  bed.grant(ALICE, dns(1, "other.example.com"));
  assert.deepEqual(open(), [false, true, false], "but not those that another pattern had opened");
});

Deno.test("a name outside its resource, a resource of another kind and an unknown one are not mapped", () => {
  const bed = new Bed();
  bed.grant(ALICE, dns(1, "*.example.com"));
  bed.grant(ALICE, cidr(2, "10.0.0.0/8"));
  assert.ok(!map(bed, 1, [REAL], { domain: "a.b.example.com" }));
  assert.ok(!map(bed, 2, [REAL]) && !map(bed, 3, [REAL]));
  assert.equal(bed.send(ALICE, tcp(ALICE.ipv4, 1, PROXIES[0]!, 2)), "prohibited");
});

Deno.test("proxy addresses outside their ranges are ignored", () => {
  const bed = new Bed();
  bed.grant(ALICE, dns(1, APP));
  assert.ok(map(bed, 1, [REAL], { proxies: ["10.0.0.1", BOB.ipv4, "2001:db8::1", PROXIES[0]!] }));
  assert.equal(bed.send(ALICE, tcp(ALICE.ipv4, 1, "10.0.0.1", 2)), "prohibited");
  assert.equal(sent(bed, tcp(ALICE.ipv4, 1, PROXIES[0]!, 2)).dst, REAL);
});

Deno.test("a client that moves starts without mappings and flows", () => {
  const bed = bedWithApp(REAL);
  sent(bed, tcp(ALICE.ipv4, 4000, PROXIES[0]!, 443));
  const moved = { ...ALICE, ipv4: "100.64.0.77" };
  bed.grant(moved, dns(1, "*.example.com"));
  assert.equal(bed.send(moved, tcp(moved.ipv4, 4000, PROXIES[0]!, 443)), "prohibited");
  assert.ok(bed.receive(tcp(REAL, 443, moved.ipv4, 4000)) === undefined);
});

// Requests of clients (§4.3)

function ask(bed: Bed, { party = ALICE, resource = 1, domain = APP, proxyIps = PROXIES } = {}) {
  const message = { type: "assigned-ips" as const, resource: resourceId(resource), domain, proxyIps };
  bed.policy.handleAssignedIps(bed.policy.peerById(party.id)!, message);
}

function events(bed: Bed): string[] {
  return bed.events().map((event) => {
    if (event.type === "resolve") return `resolve ${event.domain}`;
    assert.ok(event.type === "control");
    const status = decodeControl(event.packet);
    assert.ok(status?.type === "domain-status");
    return `${event.peer.clientId.slice(0, 2)} ${
      status.resource.slice(7, 8)
    } ${status.domain} ${status.active}`;
  });
}

Deno.test("a request for a granted name is resolved, mapped and answered as active", () => {
  const bed = new Bed();
  bed.grant(ALICE, dns(1, "*.example.com"));
  ask(bed);
  assert.deepEqual(events(bed), [`resolve ${APP}`]);
  assert.equal(bed.send(ALICE, tcp(ALICE.ipv4, 1, PROXIES[0]!, 2)), "prohibited");
  bed.policy.handleResolution(APP, [ip(REAL)]);
  assert.deepEqual(events(bed), [`a1 1 ${APP} true`]);
  assert.equal(sent(bed, tcp(ALICE.ipv4, 1, PROXIES[0]!, 2)).dst, REAL);
});

Deno.test("a name without addresses is active and unreachable, one without an outcome inactive", () => {
  const bed = new Bed();
  bed.grant(ALICE, dns(1, "*.example.com"));
  ask(bed);
  bed.policy.handleResolution(APP, []);
  assert.deepEqual(events(bed), [`resolve ${APP}`, `a1 1 ${APP} true`]);
  assert.equal(bed.send(ALICE, tcp(ALICE.ipv4, 1, PROXIES[0]!, 2)), "unreachable");
  ask(bed);
  bed.policy.handleResolution(APP, undefined);
  assert.deepEqual(events(bed), [`resolve ${APP}`, `a1 1 ${APP} false`]);
});

Deno.test("what is not granted, no DNS resource, not its name or no name at all is answered inactive at once", () => {
  const bed = new Bed();
  bed.grant(ALICE, dns(1, "**.example.com"));
  bed.grant(ALICE, cidr(2, "10.0.0.0/8"));
  ask(bed, { resource: 3 });
  ask(bed, { resource: 2 });
  const bad = [
    "example.org",
    "",
    "a..example.com",
    "a b.example.com",
    "\u0000.example.com",
    `${"a".repeat(64)}.example.com`,
  ];
  for (const domain of bad) ask(bed, { domain });
  const told = events(bed);
  assert.equal(told.length, 8);
  assert.ok(told.every((text) => text.endsWith("false")));
});

Deno.test("concurrent requests for one name share a resolution; a repeated one is answered once, as asked last", () => {
  const bed = new Bed();
  bed.grant(ALICE, dns(1, "*.example.com"));
  bed.grant(ALICE, dns(2, APP));
  bed.grant(BOB, dns(1, "*.example.com"));
  ask(bed, { proxyIps: ["100.96.0.9"] });
  ask(bed);
  ask(bed, { resource: 2 });
  ask(bed, { party: BOB, domain: "App.example.com" });
  assert.deepEqual(events(bed), [`resolve ${APP}`]);
  bed.policy.handleResolution(APP, [ip(REAL)]);
  assert.deepEqual(events(bed), [`a1 1 ${APP} true`, `a1 2 ${APP} true`, "b0 1 App.example.com true"]);
  assert.equal(bed.send(ALICE, tcp(ALICE.ipv4, 1, "100.96.0.9", 2)), "prohibited");
  bed.policy.handleResolution(APP, [ip(REAL)]);
  assert.deepEqual(events(bed), []);
});

Deno.test("a request whose resource went meanwhile is inactive, one whose client went is forgotten", () => {
  const bed = new Bed();
  bed.grant(ALICE, dns(1, APP));
  bed.grant(ALICE, dns(2, APP));
  bed.grant(BOB, dns(1, APP));
  ask(bed);
  ask(bed, { party: BOB });
  bed.policy.revoke(ALICE.id, resourceId(1));
  bed.policy.removePeer(BOB.id);
  bed.policy.handleResolution(APP, [ip(REAL)]);
  assert.deepEqual(events(bed), [`resolve ${APP}`, `a1 1 ${APP} false`]);
});

Deno.test("more than 1000 waiting requests are dropped", () => {
  const bed = new Bed();
  bed.grant(ALICE, dns(1, "*.example.com"));
  for (let i = 0; i < 1010; i++) ask(bed, { domain: `h${i}.example.com` });
  assert.equal(events(bed).length, 1000);
  assert.equal(bed.counters.get("policy_name_request_dropped"), 10);
  bed.policy.handleResolution("h0.example.com", []);
  ask(bed, { domain: "h1005.example.com" });
  assert.equal(events(bed).at(-1), "resolve h1005.example.com");
});
