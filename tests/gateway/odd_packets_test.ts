/**
 * Packets that no well-behaved host sends, through the whole gateway (spec policy §7): each is forwarded as it is or
 * dropped under a name of its own, costs only itself, and is counted exactly once.
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import type { Filter } from "../../mod/policy/mod.ts";
import { echo, hex, icmp, ip, other, packet, tcp, udp, unreachable } from "../policy/packets.ts";
import { CLIENT_ID, Duo, GATEWAY_ID, openName, PROXY } from "./duo.ts";

const CLIENT = "100.64.0.5", SERVER = "10.0.0.9";
const GOOD = udp(CLIENT, 40000, SERVER, 53);
const ANSWER = udp(SERVER, 53, CLIENT, 40000);

function connected(filters: readonly Filter[] = []): Duo {
  const duo = new Duo({ filters });
  duo.advance(1000);
  duo.fromClient(GOOD);
  duo.advance(3000);
  duo.atGateway.length = duo.atClient.length = 0;
  return duo;
}

/** Seals whatever it is, as a hostile client would. */
function inject(duo: Duo, bytes: Uint8Array): void {
  duo.client.path.send(duo.clientEnd.node.connection(GATEWAY_ID)!, bytes, duo.now);
  duo.settle();
}

/** The gateway's counters that `act` moved, without those of mere traffic. */
function moved(duo: Duo, act: () => void): Record<string, number> {
  const { names, values } = duo.gatewayEnd.counters;
  const before = values.slice();
  act();
  return Object.fromEntries(
    names.map((name, i) => [name, values[i]! - before[i]!] as const)
      .filter(([name, growth]) => growth !== 0 && !/^(datagrams_received|packets_(to|from)_tun)$/.test(name)),
  );
}

function edited(bytes: Uint8Array, edits: Readonly<Record<number, number>>): Uint8Array {
  const copy = bytes.slice();
  for (const [at, value] of Object.entries(edits)) copy[Number(at)] = value;
  return copy;
}

const udp6 = udp("fd00:2021:1111::5", 40000, "fd50::9", 53);
/** By the name of the reason; the same whether they come from a client or from TUN. */
const MALFORMED: readonly (readonly [reason: string, bytes: Uint8Array])[] = [
  ["short", Uint8Array.of(0x45, 0, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0)],
  ["version", edited(GOOD, { 0: 0x55 })],
  ["header_length", edited(GOOD, { 0: 0x44 })],
  ["header_length", edited(GOOD, { 0: 0x4f })],
  ["total_length", edited(GOOD, { 3: 200 })],
  ["total_length", edited(udp6, { 5: 200 })],
  ["fragment", edited(GOOD, { 6: 0x20 })],
  ["fragment", edited(GOOD, { 7: 1 })],
  ["fragment", edited(GOOD, { 6: 0x1f, 7: 0xff })],
  [
    "fragment",
    packet({
      src: "fd00:2021:1111::5",
      dst: "fd50::9",
      protocol: 44,
      l4: Uint8Array.of(17, 0, 0, 1, 0, 0, 0, 1, ...udp6.subarray(40)),
    }),
  ],
  [
    "extension_header",
    packet({
      src: "fd00:2021:1111::5",
      dst: "fd50::9",
      protocol: 60,
      l4: Uint8Array.of(17, 9, 0, 0, 0, 0, 0, 0),
    }),
  ],
  [
    "extension_header",
    packet({
      src: "fd00:2021:1111::5",
      dst: "fd50::9",
      protocol: 60,
      l4: Uint8Array.of(0, 0, 1, 4, 0, 0, 0, 0, 17, 0, 1, 4, 0, 0, 0, 0),
    }),
  ],
  ["tcp", packet({ src: CLIENT, dst: SERVER, protocol: 6, l4: new Uint8Array(19) })],
  ["tcp", edited(tcp(CLIENT, 1, SERVER, 2), { 32: 0x40 })],
  ["tcp", edited(tcp(CLIENT, 1, SERVER, 2), { 32: 0xf0 })],
  ["udp", packet({ src: CLIENT, dst: SERVER, protocol: 17, l4: new Uint8Array(7) })],
  ["udp", edited(GOOD, { 25: 11 })],
  ["udp", edited(GOOD, { 25: 200 })],
  ["icmp", packet({ src: CLIENT, dst: SERVER, protocol: 1, l4: new Uint8Array(7) })],
  ["icmp_family", packet({ src: CLIENT, dst: SERVER, protocol: 58, l4: new Uint8Array(8) })],
  ["icmp_family", packet({ src: "fd00:2021:1111::5", dst: "fd50::9", protocol: 1, l4: new Uint8Array(8) })],
];

for (const [reason, bytes] of MALFORMED) {
  Deno.test(`from a client: dropped as "${reason}": ${bytes.subarray(0, 10).toHex()}…`, () => {
    const duo = connected();
    assert.deepEqual(moved(duo, () => inject(duo, bytes)), { [`drop_received_packet_${reason}`]: 1 });
    assert.deepEqual([duo.atGateway.length, duo.atClient.length], [0, 0], "no packet, no answer");
    inject(duo, GOOD);
    assert.deepEqual(duo.atGateway, [GOOD]);
  });

  Deno.test(`from TUN: dropped as "${reason}": ${bytes.subarray(0, 10).toHex()}…`, () => {
    const duo = connected();
    assert.deepEqual(moved(duo, () => duo.fromGateway(bytes)), { [`drop_tun_packet_${reason}`]: 1 });
    assert.deepEqual(duo.atClient, []);
    duo.fromGateway(ANSWER);
    assert.deepEqual(duo.atClient, [ANSWER]);
  });
}

Deno.test("what is longer than the tunnel's packets is dropped by name, from either side", () => {
  const duo = connected();
  const long = "x".repeat(1253);
  assert.deepEqual(moved(duo, () => duo.fromGateway(udp(SERVER, 53, CLIENT, 40000, long))), {
    drop_tun_packet_oversized: 1,
    policy_in_forwarded: 1,
  });
});

for (
  const [reason, vnet] of [
    ["vnet_gso_type", "0101 2800 e803 1400 1000"], // TCP segmentation of a UDP packet
    ["vnet_gso_type", "0109 2800 e803 1400 1000"],
    ["vnet_gso_size", "0105 1c00 0000 1400 0600"],
    ["vnet_segments", "0105 1c00 0100 1400 0600"],
    ["vnet_checksum", "0100 1c00 0000 1400 ff7f"],
  ] as const
) {
  Deno.test(`a read from TUN whose virtio header lies is dropped as "${reason}"`, () => {
    const duo = connected();
    const big = udp(SERVER, 53, CLIENT, 40000, "y".repeat(1000));
    const counts = moved(duo, () => duo.fromGateway(big, hex(vnet)));
    assert.deepEqual(counts, { [`drop_tun_packet_${reason}`]: 1, policy_in_forwarded: 1 });
    assert.deepEqual(duo.atClient, []);
  });
}

Deno.test("a read from TUN that is shorter than its virtio header is dropped", () => {
  const duo = connected();
  assert.deepEqual(moved(duo, () => duo.fromGateway(new Uint8Array(0))), { drop_tun_packet_short: 1 });
});

Deno.test("GRE, ESP and unknown protocols go both ways where everything is allowed", () => {
  const duo = connected();
  for (const protocol of [47, 50, 132, 253]) {
    const there = other(CLIENT, SERVER, protocol), back = other(SERVER, CLIENT, protocol);
    assert.deepEqual(moved(duo, () => inject(duo, there)), { policy_out_forwarded: 1 });
    assert.deepEqual(moved(duo, () => duo.fromGateway(back)), { policy_in_forwarded: 1 });
    assert.deepEqual([duo.atGateway.splice(0), duo.atClient.splice(0)], [[there], [back]]);
  }
});

Deno.test("where there are filters they are refused with an answer, and their way back is closed", () => {
  const duo = connected([{ protocol: "udp", portStart: 53, portEnd: 53 }, { protocol: "icmp" }]);
  assert.deepEqual(moved(duo, () => inject(duo, other(CLIENT, SERVER))), {
    policy_out_refused_protocol_filter: 1,
    policy_answer_prohibited: 1,
  });
  assert.deepEqual([...duo.atClient.splice(0)[0]!.subarray(20, 22)], [3, 13]);
  assert.deepEqual(moved(duo, () => duo.fromGateway(other(SERVER, CLIENT))), {
    policy_in_refused_protocol_filter: 1,
  });
});

Deno.test("IPv4 options and AH are no disguise for a forbidden port", () => {
  const duo = connected([{ protocol: "udp", portStart: 53, portEnd: 53 }]);
  for (
    const [port, verdict] of [[53, "policy_out_forwarded"], [54, "policy_out_refused_udp_port"]] as const
  ) {
    const plain = udp(CLIENT, 40000, SERVER, port);
    const options = Uint8Array.of(0x46, ...plain.subarray(1, 20), 1, 1, 1, 1, ...plain.subarray(20));
    options[3] = options.length;
    const ah = packet({
      src: CLIENT,
      dst: SERVER,
      protocol: 51,
      l4: Uint8Array.of(17, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, ...plain.subarray(20)),
    });
    for (const bytes of [plain, options, ah]) {
      assert.equal(moved(duo, () => inject(duo, bytes))[verdict], 1, bytes.toHex());
    }
  }
});

Deno.test("an error about an error is never made, and a client's errors go nowhere", () => {
  const duo = connected([{ protocol: "udp", portStart: 53, portEnd: 53 }]);
  const error = unreachable(CLIENT, SERVER, ANSWER);
  assert.deepEqual(moved(duo, () => inject(duo, error)), { policy_out_icmp_error: 1 });
  const redirect = icmp(CLIENT, SERVER, 5, 1, [10, 0, 0, 1], GOOD.subarray(0, 28));
  assert.deepEqual(moved(duo, () => inject(duo, redirect)), { policy_out_icmp_error: 1 });
  assert.deepEqual([duo.atGateway, duo.atClient], [[], []]);
  assert.equal(moved(duo, () => inject(duo, echo(CLIENT, SERVER, 7))).policy_answer_prohibited, 1);
});

Deno.test("an error with IP options about a translated flow arrives, shorter by them", () => {
  const duo = connected();
  openName(duo);
  inject(duo, udp(CLIENT, 4000, PROXY, 53));
  const error = unreachable("192.168.1.1", CLIENT, duo.atGateway.splice(0)[0]!);
  const options = Uint8Array.of(0x46, ...error.subarray(1, 20), 1, 1, 1, 1, ...error.subarray(20));
  options[3] = options.length;
  assert.deepEqual(moved(duo, () => duo.fromGateway(options)), { policy_in_icmp_error_translated: 1 });
  const [arrived] = duo.atClient.splice(0);
  assert.equal(arrived!.length, error.length);
  assert.deepEqual([...arrived!.subarray(12, 16)], [...ip(PROXY)]);
});

Deno.test("a control packet that can't be read is dropped by name", () => {
  const duo = connected();
  const control = new Uint8Array(56);
  control.set([0x60, 0, 0, 0, 0, 16, 0xff, 0]);
  control[40] = 0x77;
  assert.deepEqual(moved(duo, () => inject(duo, control)), {
    drop_control_malformed: 1,
    policy_out_control: 1,
  });
});

/** Bytes that are nearly a packet. */
const nearly = fc.tuple(
  fc.constantFrom(
    GOOD,
    udp6,
    tcp(CLIENT, 1, SERVER, 2),
    echo(CLIENT, SERVER, 1),
    other(CLIENT, SERVER),
    ANSWER,
  ),
  fc.array(fc.tuple(fc.nat(59), fc.nat(255)), { maxLength: 4 }),
  fc.nat(60),
).map(([bytes, edits, cut]) => {
  const copy = bytes.slice(0, Math.max(1, bytes.length - (cut > 50 ? cut - 50 : 0)));
  for (const [at, value] of edits) if (at < copy.length) copy[at] = value;
  return copy;
});
const ANSWERED = /^policy_answer_/;

/** Counters moved, answers aside: a refusal has both. */
function outcomes(duo: Duo, act: () => void): number {
  return Object.entries(moved(duo, act)).filter(([name]) => !ANSWERED.test(name)).reduce(
    (n, [, by]) => n + by,
    0,
  );
}

Deno.test("property: whatever a client sends ends in exactly one counter, and the next good packet arrives", () => {
  const duo = connected();
  fc.assert(
    fc.property(nearly, (bytes) => {
      // One that says goodbye would end the test.
      fc.pre(!(bytes[0]! >> 4 === 6 && bytes[6] === 0xff));
      assert.equal(outcomes(duo, () => inject(duo, bytes)), 1);
      duo.atGateway.length = 0;
      inject(duo, GOOD);
      assert.deepEqual(duo.atGateway, [GOOD]);
    }),
    { numRuns: 300 },
  );
  assert.ok(duo.policy.peerById(CLIENT_ID));
});

Deno.test("property: whatever TUN delivers ends in exactly one counter, and the next good packet arrives", () => {
  const duo = connected();
  fc.assert(
    fc.property(nearly, (bytes) => {
      assert.equal(outcomes(duo, () => duo.fromGateway(bytes)), 1);
      duo.atClient.length = 0;
      duo.fromGateway(ANSWER);
      assert.deepEqual(duo.atClient, [ANSWER]);
    }),
    { numRuns: 300 },
  );
});
