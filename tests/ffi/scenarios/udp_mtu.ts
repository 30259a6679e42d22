/** Loopback with an MTU of 1300: don't-fragment makes 1312-byte datagrams too big, 100-byte ones not. */
import assert from "node:assert/strict";
import { UdpSocket } from "../../../ffi/udp/mod.ts";
import { SocketAddress } from "../../../mod/packet/address.ts";
import { Counters } from "../../../mod/packet/counters.ts";
import { Path } from "../../../mod/packet/path.ts";
import { Slab } from "../../../mod/packet/slab.ts";
import { TransmitQueue } from "../../../mod/packet/transmit_queue.ts";
import { run } from "../namespace.ts";

run("ip", "link", "set", "lo", "mtu", "1300", "up");
for (const family of [4, 6] as const) {
  const slab = new Slab(4 << 20), counters = new Counters();
  const queue = new TransmitQueue(slab, { areaLength: 1 << 20, capacity: 256 });
  const options = { family, slab, counters, port: 0, receiveBuffers: 4 };
  const sender = UdpSocket.open(options), receiver = UdpSocket.open(options);
  const path = Path.of(SocketAddress.of(family === 4 ? "127.0.0.1" : "::1", receiver.port)!);
  const push = (length: number, ecn: number) => {
    const offset = queue.reserve(length);
    queue.push(offset, length, length, path, ecn);
  };
  for (let i = 0; i < 10; i++) push(1312, 0); // a train that is too big …
  push(100, 0); // … and its shorter end, which fits
  push(1312, 1); // a single one that is too big
  push(200, 2);
  assert.equal(queue.count, 3);
  assert.equal(sender.send(queue, 0), 3);
  const lengths: number[] = [];
  for (let count = receiver.receive(); count > 0; count = receiver.receive()) {
    for (let i = 0; i < count; i++) lengths.push(receiver.lengthOf(i));
  }
  assert.deepEqual(lengths, [100, 200], `IPv${family}`);
  assert.equal(counters.get("udp_send_too_big"), 11);
  assert.equal(sender.segmentation, true, "a small path is no reason to give up segmentation");
  sender.close();
  receiver.close();
}
