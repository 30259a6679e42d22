import { equal, ok, throws } from "node:assert/strict";
import { PeerPolicy } from "../../mod/embedded/relay/mod.ts";
import { SocketAddress } from "../../mod/packet/address.ts";
import { AttributeType as A, encodeStun, Method } from "../../mod/stun/mod.ts";
import { RELAY_V4, RELAY_V6, RelayHarness } from "./relay_harness.ts";
import { address, ALICE, BOB, credential, RawClient } from "./relay_raw_client.ts";

Deno.test("dangerous peers are 403 and counted; ranges can be allowed and others refused", () => {
  const refused = [
    "127.0.0.1",
    "0.0.0.0",
    "10.1.2.3",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "224.0.0.1",
    "239.255.255.255",
    "255.255.255.255",
    "240.0.0.1",
    "192.0.0.1",
    "198.18.0.1",
    "::",
    "::1",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "::127.0.0.1",
    "fe80::1",
    "fc00::1",
    "fd00:ec2::254",
    "ff02::1",
    "fec0::1",
    "64:ff9b::10.0.0.1",
    "64:ff9b:1::1",
    "2002:7f00:1::",
    "2001::1",
  ];
  const permitted = [
    "8.8.8.8",
    "198.51.100.7",
    "203.0.113.9",
    "172.32.0.1",
    "100.128.0.1",
    "2001:db8::7",
    "2606:4700::1",
    "64:ff9b::8.8.8.8",
  ];
  const client = new RawClient();
  client.allocate();
  let number = 0x4000;
  for (const ip of refused) equal(client.bind(number++, SocketAddress.of(ip, 4000)!), 403, ip);
  equal(client.relay.counters.get("relay_refused_peers"), refused.length);
  for (const ip of permitted) equal(client.bind(number++, SocketAddress.of(ip, 4000)!), 0, ip);
  equal(
    client.request(Method.CREATE_PERMISSION, [[A.XOR_PEER_ADDRESS, address("10.0.0.1:0")]]).errorCode?.code,
    403,
  );

  const peers = new PeerPolicy({
    allowed: ["10.0.0.0/8", "fd00::/8"],
    refused: ["10.9.0.0/16", "198.51.100.18"],
  });
  const opened = new RawClient({ peers });
  opened.allocate();
  equal(opened.bind(0x4000, address("10.1.2.3:1")), 0);
  equal(opened.bind(0x4001, address("[fd00::1]:1")), 0);
  equal(opened.bind(0x4002, address("10.9.2.3:1")), 403, "refused is stronger");
  equal(opened.bind(0x4003, address("198.51.100.18:443")), 403, "the portal's address");
  equal(opened.bind(0x4004, address("192.168.0.1:1")), 403);
});

Deno.test("of the relay's own addresses only relayed ports can be peers", () => {
  const client = new RawClient();
  client.allocate();
  equal(client.bind(0x4000, address(`${RELAY_V4}:3478`)), 403, "no loop through the listening socket");
  equal(client.bind(0x4001, address(`${RELAY_V4}:22`)), 403);
  equal(client.bind(0x4002, address(`[${RELAY_V6}]:3478`)), 403);
  equal(client.bind(0x4003, address(`${RELAY_V4}:50000`)), 0);
});

Deno.test("other sockets of the relay's host can be allowed by name, its listening port never", () => {
  const client = new RawClient({ peers: new PeerPolicy({ allowed: [RELAY_V4] }) });
  client.allocate();
  equal(client.bind(0x4000, address(`${RELAY_V4}:22`)), 0);
  equal(client.bind(0x4001, address(`${RELAY_V4}:50000`)), 0);
  equal(client.bind(0x4002, address(`${RELAY_V4}:3478`)), 403);
});

Deno.test("a range that is none is named in the error", () => {
  for (const range of ["10.0.0.0/33", "example", "10.0.0.0/8/8", "10.0.0/8", "fd00::/129", "1.2.3.4/"]) {
    throws(
      () => new PeerPolicy({ allowed: [range] }),
      (error: Error) => error.message.includes(`"${range}"`),
    );
  }
});

Deno.test("quotas: 486 for one source, 508 for the relay, its ports and its channels", () => {
  const relay = new RelayHarness({
    limits: { allocations: 3, allocationsPerSource: 2, channelsPerAllocation: 2 },
  });
  const allocate = (device: string, from: string) => {
    const client = new RawClient({}, address(from), credential(device), relay);
    return client.allocate().errorCode?.code ?? 0;
  };
  equal(allocate("a", "203.0.113.5:1001"), 0);
  equal(allocate("b", "203.0.113.5:1002"), 0);
  equal(allocate("c", "203.0.113.5:1003"), 486);
  equal(allocate("a", "203.0.113.5:1004"), 0, "replaces its own");
  equal(allocate("d", "203.0.113.6:1001"), 0);
  equal(allocate("e", "203.0.113.7:1001"), 508);
  equal(allocate("f", "[2001:db8:9::1]:1"), 508);

  const ports = new RelayHarness({ portRange: [50000, 50001] });
  ports.takenPorts.add(50000);
  equal(
    new RawClient({}, address("203.0.113.5:1"), ALICE, ports).allocate().xorRelayedAddresses[0]?.port,
    50001,
  );
  equal(new RawClient({}, address("203.0.113.6:1"), BOB, ports).allocate().errorCode?.code, 508);

  const channels = new RawClient({ limits: { channelsPerAllocation: 2 } });
  channels.allocate();
  equal(channels.bind(0x4000, address("198.51.100.7:1")), 0);
  equal(channels.bind(0x4001, address("198.51.100.7:2")), 0);
  equal(channels.bind(0x4002, address("198.51.100.7:3")), 508);
});

Deno.test("IPv6 sources count by /64", () => {
  const relay = new RelayHarness({ limits: { allocationsPerSource: 1 } });
  const allocate = (device: string, from: string) =>
    new RawClient({}, address(from), credential(device), relay).allocate().errorCode?.code ?? 0;
  equal(allocate("a", "[2001:db8:9::1]:1"), 0);
  equal(allocate("b", "[2001:db8:9::2]:1"), 486);
  equal(allocate("c", "[2001:db8:9:1::1]:1"), 0);
});

Deno.test("one source gets a bounded number of unproven answers, and others don't suffer", () => {
  const client = new RawClient();
  const binding = encodeStun({
    class: "request",
    method: 1,
    transactionId: new Uint8Array(12),
    attributes: [],
  });
  let answers = 0;
  for (let i = 0; i < 1000; i++) if (client.raw(binding)) answers++;
  equal(answers, 400);
  equal(client.relay.counters.get("relay_rate_limited"), 600);
  ok(new RawClient({}, address("203.0.113.6:1"), BOB, client.relay).raw(binding));
  client.now += 1000;
  answers = 0;
  for (let i = 0; i < 1000; i++) if (client.raw(binding)) answers++;
  equal(answers, 200);
});

Deno.test("a relay without any public address is refused", () => {
  throws(() => new RelayHarness({ families: [] }), /^Error: Cannot start a relay without a public address/);
});
