/** An empty namespace: loopback only, no routes. */
import assert from "node:assert/strict";
import { getOption, SO_MARK, SO_RCVBUF, SOL_SOCKET } from "../../../ffi/udp/options.ts";
import { UdpSocket } from "../../../ffi/udp/mod.ts";
import { SocketAddress } from "../../../mod/packet/address.ts";
import { Counters } from "../../../mod/packet/counters.ts";
import { Path } from "../../../mod/packet/path.ts";
import { Slab } from "../../../mod/packet/slab.ts";
import { TransmitQueue } from "../../../mod/packet/transmit_queue.ts";
import { isMachineRoot, run } from "../namespace.ts";

run("ip", "link", "set", "lo", "up");
const slab = new Slab(4 << 20), counters = new Counters();
const queue = new TransmitQueue(slab, { areaLength: 1 << 20, capacity: 256 });
for (const [family, away, loopback] of [[4, "192.0.2.1", "127.0.0.1"], [6, "2001:db8::1", "::1"]] as const) {
  const socket = UdpSocket.open({ family, slab, counters, receiveBuffers: 2, mark: 0xfd002021 });
  assert.equal(socket.port, 52625, "the preferred port is free here");
  assert.deepEqual(socket.warnings, []);
  assert.equal(getOption(socket.fd, SOL_SOCKET, SO_MARK), 0xfd002021);
  if (isMachineRoot()) assert.equal(getOption(socket.fd, SOL_SOCKET, SO_RCVBUF), 2 * 16 * 1024 * 1024);
  queue.clear();
  for (const ip of [away, loopback, away]) {
    queue.pushDatagram({ dst: SocketAddress.of(ip, socket.port)!, payload: new Uint8Array(20) });
  }
  const offset = queue.reserve(500);
  queue.push(offset, 500, 100, Path.of(SocketAddress.of(away, 7)!), 0);
  assert.equal(socket.send(queue, 0), queue.count);
  assert.equal(socket.receive(), 1, "the one to ourselves");
  socket.close();
}
assert.equal(counters.get("udp_send_unreachable"), 2 * (2 + 5));
