import assert from "node:assert/strict";
import { type ExchangeCommand, parseResponse, readName } from "../../mod/dns/mod.ts";
import { ProxyAddresses } from "../../mod/embedded/client/proxy_addresses.ts";
import { StubResolver } from "../../mod/embedded/client/stub_resolver.ts";
import { formatIp, parseIp, SocketAddress } from "../../mod/packet/mod.ts";
import type { DnsResourceName } from "../../mod/runtime/messages.ts";
import { A, AAAA, queryBytes, responseBytes, SRV, TXT } from "../dns/messages.ts";

const UPSTREAM = SocketAddress.of("9.9.9.9", 53)!;
const SITE = { ipv4: parseIp("100.64.0.1")!, ipv6: parseIp("fd00:2021:1111::1")! };
const resource = (id: string, pattern: string, ipStack: DnsResourceName["ipStack"] = "dual") => ({
  id,
  pattern,
  ipStack,
});

function bed(...resources: DnsResourceName[]) {
  const stub = new StubResolver((length) => new Uint8Array(length));
  stub.configure(resources, [UPSTREAM], 0);
  const opened = () => {
    const all: (ExchangeCommand & { type: "open" })[] = [];
    for (let c = stub.pollCommand(); c; c = stub.pollCommand()) if (c.type === "open") all.push(c);
    return all;
  };
  const ask = (name: string, type: number, now = 0) =>
    stub.handleQuery(queryBytes({ name, type }), "udp", "100.100.111.1", now);
  /** Addresses in the next reply. */
  const addresses = () => parseResponse(stub.pollReply()!.bytes)!.answers.map(({ data }) => formatIp(data));
  return { stub, opened, ask, addresses };
}

Deno.test("a resource's name is answered with four proxy addresses of each family, always the same", () => {
  const { stub, ask, addresses } = bed(resource("r1", "*.example.com"));
  const v4 = ["100.96.0.1", "100.96.0.2", "100.96.0.3", "100.96.0.4"];
  const v6 = [1, 2, 3, 4].map((n) => `fd00:2021:1111:8000::${n}`);
  for (let round = 0; round < 2; round++) {
    ask("App.Example.com", A);
    assert.deepEqual(addresses(), v4);
    ask("app.example.com", AAAA);
    assert.deepEqual(addresses(), v6);
  }
  const assign = { type: "assign", resourceId: "r1", domain: "app.example.com", proxyIps: [...v4, ...v6] };
  for (let i = 0; i < 4; i++) {
    assert.deepEqual(stub.pollOutput(), assign, "each query tells the gateway again");
  }
  assert.equal(stub.pollOutput(), undefined);
  ask("other.example.com", A);
  assert.deepEqual(addresses()[0], "100.96.0.5");
});

Deno.test("a family that the resource lacks, and every other type, is no data", () => {
  const { stub, ask, addresses } = bed(
    resource("r1", "v4.test", "ipv4_only"),
    resource("r2", "v6.test", "ipv6_only"),
  );
  ask("v4.test", A);
  assert.equal(addresses().length, 4);
  ask("v6.test", AAAA);
  assert.equal(addresses().length, 4);
  assert.deepEqual(
    [stub.pollOutput(), stub.pollOutput()].map((o) => o?.type === "assign" && o.proxyIps.length),
    [4, 4],
  );
  for (const [name, type] of [["v4.test", AAAA], ["v6.test", A], ["v4.test", 65], ["v6.test", 15]] as const) {
    ask(name, type);
    const response = parseResponse(stub.pollReply()!.bytes)!;
    assert.equal(response.rcode, 0);
    assert.deepEqual(response.answers, []);
    assert.equal(stub.pollOutput(), undefined);
  }
});

Deno.test("the most specific pattern owns a name", () => {
  const { stub, ask } = bed(
    resource("deep", "**.example.com"),
    resource("star", "*.example.com"),
    resource("exact", "app.example.com"),
    resource("longer", "*.eu.example.com"),
  );
  const owner = (name: string) => {
    ask(name, A);
    const output = stub.pollOutput();
    return output?.type === "assign" ? output.resourceId : undefined;
  };
  assert.equal(owner("app.example.com"), "exact");
  assert.equal(owner("web.example.com"), "star");
  assert.equal(owner("web.eu.example.com"), "longer");
  assert.equal(owner("a.b.c.example.com"), "deep");
});

Deno.test("a proxy address leads back to its name, any other is asked of the nameservers", () => {
  const { stub, ask, opened, addresses } = bed(resource("r1", "*.example.com"));
  ask("app.example.com", A);
  addresses();
  for (
    const reverse of [
      "3.0.96.100.in-addr.arpa",
      `3.${"0.".repeat(15)}0.0.0.8.1.1.1.1.1.2.0.2.0.0.d.f.ip6.arpa`,
    ]
  ) {
    ask(reverse, 12);
    const [record] = parseResponse(stub.pollReply()!.bytes)!.answers;
    assert.deepEqual(readName(record!.data, 0)?.text, "app.example.com", reverse);
  }
  ask("9.0.96.100.in-addr.arpa", 12);
  assert.equal(opened().length, 1);
});

Deno.test("SRV and TXT of a resource go to its gateway, and wait for one for five seconds", () => {
  const { stub, ask, opened } = bed(resource("r1", "**.example.com"));
  const number = ask("_web._tcp.example.com", SRV);
  assert.deepEqual(stub.pollOutput(), { type: "connect", resourceId: "r1" });
  assert.deepEqual(opened(), []);
  stub.setSite("r1", SITE, 1000);
  const [open] = opened();
  assert.equal(open!.server.key, "100.64.0.1:53535");
  const answer = responseBytes(open!.payload);
  stub.handleAnswer(open!.exchange, open!.server, answer, 1001);
  assert.deepEqual(stub.pollReply(), { number, bytes: answer });
  // With a gateway nothing waits; its IPv6 address is the second try.
  ask("app.example.com", TXT, 2000);
  assert.equal(opened().length, 1);
  stub.handleTimeout(4000);
  assert.equal(opened()[0]!.server.key, "[fd00:2021:1111::1]:53535");
  stub.setSite("r1", undefined, 5000);
  ask("app.example.com", TXT, 5000);
  assert.deepEqual(opened(), []);
  stub.handleTimeout(9999);
  stub.handleTimeout(10_000);
  const codes = [];
  for (let reply = stub.pollReply(); reply; reply = stub.pollReply()) {
    codes.push(parseResponse(reply.bytes)!.rcode);
  }
  assert.deepEqual(codes, [2, 2]);
});

Deno.test("every other name goes to the nameservers; what is no query gets no answer", () => {
  const { stub, ask, opened } = bed(resource("r1", "*.example.com"));
  const number = ask("example.org", A);
  const [open] = opened();
  assert.equal(open!.server.key, UPSTREAM.key);
  const answer = responseBytes(open!.payload);
  stub.handleAnswer(open!.exchange, UPSTREAM, answer, 1);
  assert.deepEqual(stub.pollReply(), { number, bytes: answer });
  assert.equal(stub.handleQuery(new Uint8Array(5), "udp", "x", 0), undefined);
});

Deno.test("the sentinels' addresses stand for no name", () => {
  const proxies = new ProxyAddresses();
  const name = (n: number) => proxies.of(`n${n}.test`, "ipv4_only")!;
  const before = (0x46f00 - 4) / 4;
  for (let n = 0; n < before; n++) name(n);
  assert.deepEqual(name(before), ["100.100.110.253", "100.100.110.254", "100.100.110.255", "100.100.112.0"]);
});
