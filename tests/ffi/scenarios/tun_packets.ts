/** A TUN with 10.9.0.1/24: what goes to 10.9.0.2 comes out of it, what we write arrives at a local socket. */
import assert from "node:assert/strict";
import { Tun, TunError } from "../../../ffi/deno_tun/mod.ts";
import { Poller } from "../../../ffi/poll.ts";
import { SlabPointers } from "../../../ffi/slab_pointers.ts";
import { UdpSocket } from "../../../ffi/udp/mod.ts";
import { readAddressRecord, SocketAddress } from "../../../mod/packet/address.ts";
import { Counters } from "../../../mod/packet/counters.ts";
import { Slab } from "../../../mod/packet/slab.ts";
import { TransmitQueue } from "../../../mod/packet/transmit_queue.ts";
import { run } from "../namespace.ts";

const NAME = "ffi-tun-fifteen"; // 15 bytes, the longest name
const tun = Tun.open({ name: NAME });
assert.equal(tun.name, NAME);
assert.equal(tun.offloads, 0);
const kindOf = (name: string) => {
  try {
    Tun.open({ name }).close();
    return "opened";
  } catch (error) {
    return error instanceof TunError ? error.kind : String(error);
  }
};
assert.equal(kindOf(NAME), "name-taken");
assert.equal(kindOf("lo"), "name-taken");
assert.throws(() => tun.write(new Uint8Array(40)), TunError, "the interface is down");

run("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1"); // no neighbour discovery in between
run("ip", "addr", "add", "10.9.0.1/24", "dev", NAME);
run("ip", "link", "set", NAME, "mtu", "1280", "up");
const buffer = new Uint8Array(2048);
assert.equal(tun.read(buffer), undefined);

const slab = new Slab(4 << 20), counters = new Counters();
const queue = new TransmitQueue(slab, { areaLength: 65536, capacity: 16 });
const socket = UdpSocket.open({
  family: 4,
  slab,
  counters,
  port: 7000,
  portRequired: true,
  receiveBuffers: 4,
});
const send = (text: string) => {
  queue.clear();
  queue.pushDatagram({ dst: SocketAddress.of("10.9.0.2", 8000)!, payload: new TextEncoder().encode(text) });
  assert.equal(socket.send(queue, 0), 1);
};
const poller = new Poller([tun.fd, socket.fd]);

// Out, by typed array
send("hello");
assert.equal(poller.wait(1000), 1);
assert.equal(tun.read(buffer), 33);
assert.deepEqual([...buffer.subarray(12, 20)], [10, 9, 0, 1, 10, 9, 0, 2]);
assert.equal(new TextDecoder().decode(buffer.subarray(28, 33)), "hello");

// Back in: the same packet with the addresses and ports exchanged; the checksums stay right
const answer = buffer.slice(0, 33);
answer.set(buffer.subarray(12, 16), 16);
answer.set(buffer.subarray(16, 20), 12);
answer.set(buffer.subarray(20, 22), 22);
answer.set(buffer.subarray(22, 24), 20);
assert.equal(tun.write(answer), true);
assert.equal(poller.wait(1000), 1);
assert.equal(socket.receive(), 1);
assert.equal(readAddressRecord(slab, socket.fromOf(0))?.key, "10.9.0.2:8000");
assert.equal(
  new TextDecoder().decode(slab.bytes.subarray(socket.offsetOf(0), socket.offsetOf(0) + 5)),
  "hello",
);

// The same by pointers: a read into the slab, a write gathered from two pieces
const at = slab.reserve(2048), iovecs = slab.reserve(32), pointers = SlabPointers.of(slab);
assert.equal(tun.readAt(pointers.at(at), 2048n), -11);
send("again");
assert.equal(tun.readAt(pointers.at(at), 2048n), 33);
assert.equal(new TextDecoder().decode(slab.bytes.subarray(at + 28, at + 33)), "again");
slab.bytes.set(answer, at);
for (const [i, [start, length]] of [[0, 20], [20, 13]].entries()) {
  pointers.write(iovecs + 16 * i, at + start!);
  slab.words[(iovecs + 16 * i + 8) >>> 2] = length!;
}
assert.equal(tun.writevAt(pointers.at(iovecs), 2), 33);
assert.equal(poller.wait(1000), 1);
assert.equal(socket.receive(), 1);
slab.bytes[at] = 0;
assert.equal(tun.writevAt(pointers.at(iovecs), 2), -22, "neither IPv4 nor IPv6");

tun.close();
tun.close();
assert.equal(run("ip", "-o", "link").includes(NAME), false);

// A name pattern, and a persistent interface
using numbered = Tun.open({ name: "ffi%d" });
assert.match(numbered.name, /^ffi\d+$/);
run("ip", "tuntap", "add", "ffi-kept", "mode", "tun");
Tun.open({ name: "ffi-kept" }).close();
assert.equal(run("ip", "-o", "link").includes("ffi-kept"), true);
