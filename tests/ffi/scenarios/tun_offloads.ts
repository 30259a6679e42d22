/** A TUN with offloads, 10.9.0.1/24: UDP trains cross it in one read and one write each. */
import assert from "node:assert/strict";
import { MAX_READ, Tun, VNET_HEADER_SIZE } from "../../../ffi/deno_tun/mod.ts";
import { UdpSocket } from "../../../ffi/udp/mod.ts";
import { SocketAddress } from "../../../mod/packet/address.ts";
import { Counters } from "../../../mod/packet/counters.ts";
import { Path } from "../../../mod/packet/path.ts";
import { Slab } from "../../../mod/packet/slab.ts";
import { TransmitQueue } from "../../../mod/packet/transmit_queue.ts";
import { run } from "../namespace.ts";

const GSO_UDP_L4 = 5, NEEDS_CSUM = 1;

const tun = Tun.open({ name: "ffi-off", vnetHeader: true });
const [major, minor] = Deno.osRelease().split(".").map(Number);
const hasUso = major! > 6 || (major === 6 && minor! >= 2);
assert.equal(tun.offloads, hasUso ? 0x67 : 0x07);
run("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1");
run("ip", "addr", "add", "10.9.0.1/24", "dev", "ffi-off");
run("ip", "link", "set", "ffi-off", "mtu", "1280", "up");

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
const offset = queue.reserve(20 * 1000);
slab.bytes.fill(0x5a, offset, offset + 20 * 1000);
queue.push(offset, 20 * 1000, 1000, Path.of(SocketAddress.of("10.9.0.2", 8000)!), 2);
assert.equal(socket.send(queue, 0), 1);

const buffer = new Uint8Array(MAX_READ);
const length = tun.read(buffer)!;
const header = new DataView(buffer.buffer);
if (hasUso) {
  assert.equal(length, VNET_HEADER_SIZE + 28 + 20 * 1000);
  assert.deepEqual([header.getUint8(0), header.getUint8(1)], [NEEDS_CSUM, GSO_UDP_L4]);
  assert.equal(header.getUint16(4, true), 1000, "segment size");
  assert.equal(buffer[VNET_HEADER_SIZE + 1]! & 3, 2, "ECN of the train");

  // Back: addresses and ports exchanged; the header still describes the train.
  const at = VNET_HEADER_SIZE, copy = buffer.slice(0, length);
  copy.set(buffer.subarray(at + 12, at + 16), at + 16);
  copy.set(buffer.subarray(at + 16, at + 20), at + 12);
  copy.set(buffer.subarray(at + 20, at + 22), at + 22);
  copy.set(buffer.subarray(at + 22, at + 24), at + 20);
  assert.equal(tun.write(copy), true);
  assert.equal(socket.receive(), 1);
  assert.deepEqual([socket.lengthOf(0), socket.segmentOf(0), socket.ecnOf(0)], [20_000, 1000, 2]);
} else {
  assert.equal(length, VNET_HEADER_SIZE + 28 + 1000);
}
tun.close();
