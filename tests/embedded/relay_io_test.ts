/** The relay on real sockets, loopback only. */
import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { createSocket } from "node:dgram";
import { type Relay, relayCredentials, type RelayOptions, startRelay } from "../../mod/embedded/relay/mod.ts";
import { SocketAddress } from "../../mod/packet/address.ts";
import { openEcho, TurnEndpoint, until } from "../interop/turn_endpoint.ts";

const LOOPBACK = { v4: "127.0.0.1", v6: "::1" };
const OPTIONS: RelayOptions = {
  addresses: LOOPBACK,
  port: 34790,
  portRange: [34800, 34899],
  allowedPeers: ["127.0.0.0/8", "::1"],
};

async function withRelay(action: (relay: Relay) => Promise<void>, options: Partial<RelayOptions> = {}) {
  const relay = await startRelay({ ...OPTIONS, ...options });
  try {
    await action(relay);
  } finally {
    await relay.stop();
  }
  equal(await relay.done, undefined);
}

async function allocate(relay: Relay, family: "v4" | "v6" = "v4", device = "device"): Promise<TurnEndpoint> {
  const endpoint = await TurnEndpoint.open({
    addresses: { [family]: SocketAddress.of(LOOPBACK[family], relay.port)! },
    ...relayCredentials({ publicKey: device, stampSecret: relay.stampSecret, expiresAt: 2145916800 }),
    realm: "firezone",
  });
  await until(() => endpoint.allocation.relayedAddress(4) !== undefined, "the allocation is there");
  return endpoint;
}

Deno.test("a client allocates over IPv4 and IPv6, and reaches peers of both families through either", async () => {
  await withRelay(async (relay) => {
    ok(/^[0-9a-f]{64}$/.test(relay.stampSecret));
    const peers = [await openEcho(), await openEcho("::1")];
    try {
      for (const family of ["v4", "v6"] as const) {
        const endpoint = await allocate(relay, family);
        const { allocation } = endpoint;
        equal(allocation.relayedAddress(4)!.port, allocation.relayedAddress(6)!.port);
        for (const peer of peers) {
          for (const size of [1, 3, 1316, 9000]) {
            await endpoint.echo(peer.address, new Uint8Array(size).fill(size));
          }
        }
        endpoint.close();
      }
      const stats = relay.stats();
      equal(stats["relay_allocations"], 1, "the second client had the first one's credential");
      ok(stats["relay_to_peer_packets"]! >= 16);
      ok(stats["relay_to_client_packets"]! >= 16);
    } finally {
      for (const peer of peers) peer.close();
    }
  });
});

Deno.test("two clients talk to each other by their relayed addresses", async () => {
  await withRelay(async (relay) => {
    const alice = await allocate(relay, "v4", "alice"), bob = await allocate(relay, "v6", "bob");
    const [a, b] = [alice.allocation.relayedAddress(4)!, bob.allocation.relayedAddress(4)!];
    await until(() => {
      alice.send(b, Uint8Array.of(1));
      bob.send(a, Uint8Array.of(2));
      return alice.received.length > 0 && bob.received.length > 0;
    }, "both have heard from each other");
    equal(alice.received[0]!.peer, b.key);
    equal(bob.received[0]!.peer, a.key);
    alice.close();
    bob.close();
  });
});

Deno.test("released ports are closed, and stopping frees every port", async () => {
  let port = 0;
  await withRelay(async (relay) => {
    const endpoint = await allocate(relay);
    port = endpoint.allocation.relayedAddress(4)!.port;
    await rejects(bindable(port), /EADDRINUSE/);
    endpoint.act((allocation, now) => allocation.release(now));
    await until(() => endpoint.allocation.freed === "released", "the relay has confirmed");
    await bindable(port);
    endpoint.close();
    const other = await allocate(relay, "v4", "other");
    port = other.allocation.relayedAddress(4)!.port;
    other.close();
  });
  await bindable(port);
  await bindable(OPTIONS.port!);
});

Deno.test("a relay that restarts with the same secret serves a client that kept its credential", async () => {
  const stampSecret = "ad7c7480a51de6bef217f83628c5917f83e717c012e25f302bd2ed1df109a782";
  const peer = await openEcho();
  let endpoint!: TurnEndpoint;
  await withRelay(async (relay) => {
    equal(relay.stampSecret, stampSecret);
    endpoint = await allocate(relay);
    await endpoint.echo(peer.address, Uint8Array.of(1));
  }, { stampSecret });
  await withRelay(async () => {
    endpoint.act((allocation, now) => allocation.refresh(now));
    await until(() => endpoint.events.filter((e) => e.type === "relayed").length === 4, "it allocated anew");
    await endpoint.echo(peer.address, Uint8Array.of(2));
  }, { stampSecret });
  endpoint.close();
  peer.close();
});

Deno.test("a peer sees the relayed address even where the host has others", async () => {
  const own = "127.0.0.9";
  await withRelay(async (relay) => {
    const seen = Promise.withResolvers<string>();
    const peer = createSocket("udp4", (_, { address, port }) => seen.resolve(`${address}:${port}`));
    await new Promise<void>((resolve) => peer.bind(0, "127.0.0.1", resolve));
    const endpoint = await TurnEndpoint.open({
      addresses: { v4: SocketAddress.of(own, relay.port)! },
      ...relayCredentials({ publicKey: "device", stampSecret: relay.stampSecret, expiresAt: 2145916800 }),
      realm: "firezone",
    });
    const { allocation } = endpoint;
    await until(() => allocation.relayedAddress(4) !== undefined, "the allocation is there");
    const to = SocketAddress.of("127.0.0.1", peer.address().port)!;
    await until(() => endpoint.send(to, Uint8Array.of(1)), "it was sent");
    equal(await seen.promise, allocation.relayedAddress(4)!.key);
    endpoint.close();
    peer.close();
  }, { addresses: { v4: own }, bind: { v4: own } });
});

Deno.test("loopback peers are refused unless they are allowed", async () => {
  await withRelay(async (relay) => {
    const endpoint = await allocate(relay);
    endpoint.act((allocation, now) => allocation.bind(SocketAddress.parse("127.0.0.1:9")!, now));
    await until(() => relay.stats()["relay_refused_peers"] === 1, "the bind was refused");
    endpoint.close();
  }, { allowedPeers: [] });
});

Deno.test("bursts pass unharmed while others allocate", async () => {
  await withRelay(async (relay) => {
    const peer = await openEcho();
    const endpoint = await allocate(relay);
    await endpoint.echo(peer.address, Uint8Array.of(0));
    endpoint.received.length = 0;
    const count = 2000;
    const others = ["a", "b", "c"].map((device) => allocate(relay, "v4", device));
    for (let i = 0; i < count; i++) {
      endpoint.send(peer.address, Uint8Array.of(i >> 8, i & 255, 7));
      // The echo is slower than the relay: no more than this much under way, or its socket overflows.
      if (i % 25 === 24) await until(() => endpoint.received.length > i, `${i} came back`);
    }
    const numbers = endpoint.received.map(({ payload }) => (payload[0]! << 8) | payload[1]!);
    deepEqual(numbers, Array.from({ length: count }, (_, i) => i));
    for (const other of await Promise.all(others)) other.close();
    endpoint.close();
    peer.close();
  });
});

Deno.test("bad options and a taken port are errors that say so", async () => {
  await rejects(startRelay({ addresses: {} }), /without a public address/);
  await rejects(startRelay({ addresses: { v4: "::1" } }), /"::1" as the relay's IPv4 address/);
  await rejects(startRelay({ ...OPTIONS, bind: { v6: "x" } }), /"x" as the relay's IPv6 address/);
  await rejects(startRelay({ ...OPTIONS, port: 0 }), /port 0/);
  await rejects(startRelay({ ...OPTIONS, portRange: [2, 1] }), /range 2-1/);
  await rejects(startRelay({ ...OPTIONS, stampSecret: "" }), /empty secret/);
  await rejects(startRelay({ ...OPTIONS, allowedPeers: ["lan"] }), /"lan" as an address range/);
  await withRelay(() => rejects(startRelay(OPTIONS), /Cannot bind UDP port 34790 for IPv4: .*EADDRINUSE/));
});

/** Rejects when `port` is taken on 127.0.0.1. */
function bindable(port: number): Promise<void> {
  const socket = createSocket("udp4");
  return new Promise((resolve, reject) => {
    socket.once("error", (error) => {
      socket.close();
      reject(error);
    });
    socket.bind(port, "127.0.0.1", () => socket.close(() => resolve()));
  });
}
