/** A datagram from a link-local address: the kernel names a scope with it, our records have none. */
import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { UdpSocket } from "../../../ffi/udp/mod.ts";
import { Poller } from "../../../ffi/poll.ts";
import { readAddressRecord, SocketAddress } from "../../../mod/packet/address.ts";
import { Counters } from "../../../mod/packet/counters.ts";
import { Path } from "../../../mod/packet/path.ts";
import { Slab } from "../../../mod/packet/slab.ts";
import { run } from "../namespace.ts";

run("ip", "link", "set", "lo", "up");
for (const name of ["one", "two"]) {
  run("ip", "link", "add", name, "type", "veth", "peer", "name", `far-${name}`);
  run("ip", "link", "set", `far-${name}`, "up");
  run("ip", "link", "set", name, "addrgenmode", "none");
  run("ip", "link", "set", name, "up");
  run("ip", "-6", "addr", "add", "fe80::1/64", "dev", name, "nodad");
}
const slab = new Slab(4 << 20), counters = new Counters();
const socket = UdpSocket.open({ family: 6, slab, counters, port: 0, receiveBuffers: 2 });
const poller = new Poller([socket.fd]);
const SENDER_PORT = 40_000;
const expected = SocketAddress.of("fe80::1", SENDER_PORT)!;
for (const scope of ["one", "two"]) {
  const sender = createSocket("udp6");
  await new Promise<void>((resolve) => sender.bind({ port: SENDER_PORT, address: "::" }, resolve));
  await new Promise((resolve) => sender.send(new Uint8Array(20), socket.port, `fe80::1%${scope}`, resolve));
  await new Promise<void>((resolve) => sender.close(resolve));
  assert.equal(poller.wait(2_000), 1, scope);
  assert.equal(socket.receive(), 1);
  const from = readAddressRecord(slab, socket.fromOf(0))!,
    local = readAddressRecord(slab, socket.localOf(0))!;
  assert.equal(from.key, expected.key);
  assert.ok(from.equals(expected), "the same address, whichever link it came over");
  assert.equal(local.key, SocketAddress.of("fe80::1", socket.port)!.key);
  const words = Path.of(expected).words;
  assert.deepEqual(
    [...slab.words.subarray(socket.fromOf(0) >> 2, (socket.fromOf(0) >> 2) + 5)],
    [...words.subarray(0, 5)],
    "also as the record that the demultiplexer compares",
  );
}
socket.close();
