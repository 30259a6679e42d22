/**
 * Names of DNS resources between a client and a gateway (spec policy §4), both whole cores: the client assigns proxy
 * addresses, the gateway asks for the name to be looked up, answers, and translates.
 */
import assert from "node:assert/strict";
import { formatIp, parseIp } from "../../mod/packet/mod.ts";
import { decodeControl, encodeControl } from "../../mod/policy/mod.ts";
import { DOMAIN, Duo, GATEWAY_ID, GATEWAY_TUNNEL, PROXY, REAL, RESOURCE_ID } from "./duo.ts";
import { udp } from "./packets.ts";

const PROXIES = [PROXY, "100.96.0.2", "100.96.0.3", "100.96.0.4"];
const ADDRESSES = [parseIp(REAL)!];
const request = (text = "x", port = 40000, to = PROXY) => udp("100.64.0.5", port, to, 80, text);

function namesDuo(): Duo {
  const duo = new Duo({ pattern: "*.example.com" });
  duo.advance(1000);
  return duo;
}

/** The application asked for the name: the client has handed out proxy addresses. */
function assign(duo: Duo, domain = DOMAIN, proxyIps: readonly string[] = PROXIES): void {
  duo.client.handleNames({ type: "assign", resourceId: RESOURCE_ID, domain, proxyIps }, duo.now);
  duo.settle();
}

/** Names that the gateway wants to be looked up since the last look. */
function asked(duo: Duo): string[] {
  return duo.outputs.splice(0).flatMap((output) => output.type === "resolve" ? [output.domain] : []);
}

function resolve(duo: Duo, addresses: readonly Uint8Array[] | undefined, domain = DOMAIN): void {
  duo.gateway.handleResolution(domain, addresses, duo.now);
  duo.settle();
}

/** A duo in which a packet to the name waits for the look-up. */
function waiting(): Duo {
  const duo = namesDuo();
  assign(duo);
  duo.fromClient(request("first"));
  duo.advance(3000);
  assert.deepEqual(asked(duo), [DOMAIN]);
  assert.equal(duo.atGateway.length, 0);
  return duo;
}

const destinations = (duo: Duo) => duo.atGateway.splice(0).map((packet) => formatIp(packet.subarray(16, 20)));

/** A control packet of the client, as nobody but a strange client would send it. */
function sendControl(duo: Duo, resource: string, domain: string): void {
  const packet = encodeControl({ type: "assigned-ips", resource, domain, proxyIps: PROXIES });
  duo.client.path.send(duo.clientEnd.node.connection(GATEWAY_ID)!, packet, duo.now);
  duo.settle();
}

Deno.test("packets to a proxy address wait until the gateway knows the name, then arrive at its address", () => {
  const duo = waiting();
  duo.fromClient(request("second", 40001));
  resolve(duo, ADDRESSES);
  assert.deepEqual(destinations(duo), [REAL, REAL]);
  duo.fromGateway(udp(REAL, 80, "100.64.0.5", 40000, "answer"));
  assert.deepEqual(duo.atClient.splice(0), [udp(PROXY, 80, "100.64.0.5", 40000, "answer")]);
});

Deno.test("a name without addresses is active all the same: packets are answered unreachable", () => {
  const duo = waiting();
  resolve(duo, []);
  assert.equal(duo.atGateway.length, 0);
  const [icmp] = duo.atClient.splice(0);
  assert.deepEqual([...icmp!.subarray(20, 22)], [3, 0]);
});

Deno.test("no outcome in time is inactive: packets go and are answered prohibited", () => {
  const duo = waiting();
  resolve(duo, undefined);
  assert.equal(duo.atGateway.length, 0);
  const [icmp] = duo.atClient.splice(0);
  assert.deepEqual([...icmp!.subarray(20, 22)], [3, 13]);
});

Deno.test("while a name is looked up, who asks again waits for the same look-up", () => {
  const duo = waiting();
  duo.advance(2000);
  duo.fromClient(request("again"));
  duo.advance(2000);
  assign(duo);
  assert.deepEqual(asked(duo), []);
  resolve(duo, ADDRESSES);
  assert.deepEqual(destinations(duo), [REAL, REAL]);
});

Deno.test("the application asks anew: the gateway looks again, and new flows go to the new address", () => {
  const duo = waiting();
  resolve(duo, ADDRESSES);
  duo.atGateway.length = 0;
  assign(duo);
  assert.deepEqual(asked(duo), [DOMAIN]);
  resolve(duo, ADDRESSES);
  assign(duo);
  assert.deepEqual(asked(duo), [], "told less than two seconds ago");
  duo.advance(2000);
  assign(duo);
  assert.deepEqual(asked(duo), [DOMAIN]);
  duo.fromClient(request("meanwhile", 40002));
  assert.deepEqual(destinations(duo), [REAL], "packets do not wait for that");
  resolve(duo, [parseIp("172.20.0.101")!]);
  duo.fromClient(request("old flow", 40000));
  duo.fromClient(request("new flow", 40003));
  assert.deepEqual(destinations(duo), [REAL, "172.20.0.101"]);
});

Deno.test("a name outside the resource, or a resource that is not granted, is inactive at once", () => {
  const duo = waiting();
  resolve(duo, ADDRESSES);
  duo.atGateway.length = 0;
  const statuses: unknown[] = [];
  const admit = duo.client.admit.bind(duo.client);
  duo.client.admit = (connection, header, offset, length, now) => {
    const message = decodeControl(duo.clientEnd.slab.bytes.subarray(offset, offset + length));
    if (message) statuses.push(message);
    return admit(connection, header, offset, length, now);
  };
  const other = "99999999-9999-4999-8999-999999999999";
  sendControl(duo, RESOURCE_ID, "elsewhere.test");
  sendControl(duo, other, DOMAIN);
  sendControl(duo, RESOURCE_ID, "no name.example.com");
  assert.deepEqual(asked(duo), []);
  assert.deepEqual(statuses, [
    { type: "domain-status", resource: RESOURCE_ID, domain: "elsewhere.test", active: false },
    { type: "domain-status", resource: other, domain: DOMAIN, active: false },
    { type: "domain-status", resource: RESOURCE_ID, domain: "no name.example.com", active: false },
  ]);
});

Deno.test("beyond a thousand pending names a request is dropped and counted", () => {
  const duo = waiting();
  for (let i = 0; i < 1000; i++) sendControl(duo, RESOURCE_ID, `n${i}.example.com`);
  assert.equal(asked(duo).length, 999);
  const { names, values } = duo.gatewayEnd.counters;
  assert.equal(values[names.indexOf("policy_name_request_dropped")], 1);
});

Deno.test("an outcome for a client that has gone meanwhile harms nobody", () => {
  const duo = waiting();
  duo.client.shutdown(duo.now);
  duo.settle();
  resolve(duo, ADDRESSES);
  resolve(duo, ADDRESSES, "nobody.asked.test");
  assert.equal(duo.atGateway.length, 0);
});

Deno.test("a gateway that comes back is told again before packets follow", () => {
  const duo = waiting();
  resolve(duo, ADDRESSES);
  duo.atGateway.length = 0;
  duo.gateway.shutdown(duo.now);
  duo.settle();
  duo.outputs.length = 0;
  duo.initialise();
  duo.fromClient(request("after"));
  duo.advance(5000);
  assert.deepEqual(asked(duo), [DOMAIN]);
  resolve(duo, ADDRESSES);
  assert.deepEqual(destinations(duo), [REAL]);
});

Deno.test("at most 32 packets wait, and a proxy address that stands for nothing is no way out", () => {
  const duo = namesDuo();
  assign(duo);
  for (let i = 0; i < 40; i++) duo.fromClient(request(`${i}`, 41000 + i));
  duo.fromClient(request("nowhere", 40000, "100.96.7.7"));
  duo.advance(3000);
  resolve(duo, ADDRESSES);
  assert.equal(duo.atGateway.length, 32);
  const { names, values } = duo.clientEnd.counters;
  assert.equal(values[names.indexOf("drop_client_no_resource")], 1);
  assert.equal(values[names.indexOf("drop_client_too_many_waiting")], 8);
});

Deno.test("the name service hears which names are ours and which gateway serves them; its tunnel is reachable", () => {
  const duo = namesDuo();
  duo.client.handleNames({ type: "connect", resourceId: RESOURCE_ID }, duo.now);
  duo.advance(3000);
  const requests = duo.clientOutputs.flatMap((output) => output.type === "names" ? [output.request] : []);
  assert.deepEqual(requests, [
    {
      type: "resources",
      resources: [{ id: RESOURCE_ID, pattern: "*.example.com", ipStack: "dual" }],
      nameservers: [],
    },
    { type: "site", resourceId: RESOURCE_ID, gateway: GATEWAY_TUNNEL },
  ]);
  const query = udp("100.64.0.5", 40000, "100.64.0.1", 53535, "query");
  duo.fromClient(query);
  assert.deepEqual(duo.atGateway.splice(0), [query]);
  duo.clientOutputs.length = 0;
  duo.gateway.shutdown(duo.now);
  duo.settle();
  assert.deepEqual(
    duo.clientOutputs.flatMap((output) => output.type === "names" ? [output.request] : []),
    [{ type: "site", resourceId: RESOURCE_ID, gateway: undefined }],
  );
});
