/**
 *   a (203.0.113.1, tbf 20 Mbit/s) ── veth ── b (203.0.113.2) in another namespace
 *
 * The token bucket holds packets back, so that the sender's socket buffer fills. The receiver is the child process of
 * the namespace `b`, which is this one's after the move. The same with segmentation and without.
 */
import assert from "node:assert/strict";
import { POLLOUT } from "../../../ffi/libc.ts";
import { Poller } from "../../../ffi/poll.ts";
import { setOption, SOL_SOCKET } from "../../../ffi/udp/options.ts";
import { UdpSocket } from "../../../ffi/udp/mod.ts";
import { SocketAddress } from "../../../mod/packet/address.ts";
import { Counters } from "../../../mod/packet/counters.ts";
import { Path } from "../../../mod/packet/path.ts";
import { Slab } from "../../../mod/packet/slab.ts";
import { TransmitQueue } from "../../../mod/packet/transmit_queue.ts";
import { run } from "../namespace.ts";

const COUNT = 600, SIZE = 1000, SO_NO_CHECK = 11;
/** Numbers of the datagrams that are given up half-way, and of those that follow. */
const GIVEN_UP = 5000, FRESH = 10_000;

if (Deno.args[0] === "receive") {
  const slab = new Slab(2 << 20), counters = new Counters();
  const socket = UdpSocket.open({
    family: 4,
    slab,
    counters,
    port: 4000,
    portRequired: true,
    receiveBuffers: 8,
  });
  const poller = new Poller([socket.fd]);
  console.log("ready");
  const order: number[] = [];
  while (!order.includes(FRESH + 2) && poller.wait(3000) > 0) {
    const messages = socket.receive();
    for (let i = 0; i < messages; i++) {
      const end = socket.offsetOf(i) + socket.lengthOf(i);
      for (let at = socket.offsetOf(i); at < end; at += socket.segmentOf(i)) {
        order.push(slab.view.getUint32(at));
      }
    }
  }
  console.log(JSON.stringify(order));
  Deno.exit(0);
}

for (const segmentation of [true, false]) {
  run("ip", "link", "add", "left", "type", "veth", "peer", "name", "right");
  const child = new Deno.Command("unshare", {
    args: [
      "-n",
      "sh",
      "-c",
      // Waits for its end of the pair, then becomes the receiver.
      `until ip link set right up 2>/dev/null; do sleep 0.01; done
       ip addr add 203.0.113.2/24 dev right; exec "$@"`,
      "sh",
      Deno.execPath(),
      "run",
      "-A",
      "--no-check",
      new URL(import.meta.url).pathname,
      "receive",
    ],
    stdout: "piped",
  }).spawn();
  // The child's namespace exists once unshare has run.
  const own = Deno.readLinkSync("/proc/self/ns/net");
  while (Deno.readLinkSync(`/proc/${child.pid}/ns/net`) === own) {
    await new Promise((wake) => setTimeout(wake, 5));
  }
  run("ip", "link", "set", "right", "netns", String(child.pid));
  run("ip", "addr", "replace", "203.0.113.1/24", "dev", "left");
  run("ip", "link", "set", "left", "up");
  run(
    "tc",
    "qdisc",
    "replace",
    "dev",
    "left",
    "root",
    "tbf",
    "rate",
    "20mbit",
    "burst",
    "70kb",
    "limit",
    "50mb",
  );

  const lines = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let output = "";
  while (!output.includes("ready")) output += (await lines.read()).value ?? "";

  const slab = new Slab(4 << 20), counters = new Counters();
  const queue = new TransmitQueue(slab, { areaLength: 1 << 20, capacity: 2048 });
  const socket = UdpSocket.open({ family: 4, slab, counters, port: 0, sendBufferBytes: 100_000 });
  if (!segmentation) assert.equal(setOption(socket.fd, SOL_SOCKET, SO_NO_CHECK, 1), 0);
  const path = Path.of(SocketAddress.of("203.0.113.2", 4000)!);
  const push = (first: number, count: number) => {
    for (let i = 0; i < count; i++) {
      const offset = queue.reserve(SIZE);
      slab.view.setUint32(offset, first + i);
      queue.push(offset, SIZE, SIZE, path, 0);
    }
  };
  push(0, COUNT);
  const poller = new Poller([socket.fd]);
  poller.watch(0, POLLOUT);
  let next = 0, stops = 0;
  while ((next = socket.send(queue, next)) < queue.count) {
    stops++;
    assert.equal(poller.wait(3000), 1, "the socket becomes writable again");
  }
  assert.ok(stops > 0, "the buffer was full at least once");
  assert.equal(counters.get("udp_send_buffer_full"), stops);
  assert.equal(socket.segmentation, segmentation);

  // Given up in the middle of a train: what is queued after that is sent from its first byte.
  queue.clear();
  push(GIVEN_UP, COUNT);
  assert.ok(socket.send(queue, 0) < queue.count);
  queue.clear();
  assert.equal(poller.wait(3000), 1);
  push(FRESH, 3);
  while (socket.send(queue, 0) < queue.count) poller.wait(3000);

  for (let part = await lines.read(); !part.done; part = await lines.read()) output += part.value;
  const order: number[] = JSON.parse(output.slice(output.indexOf("[")));
  assert.deepEqual(order.slice(0, COUNT), Array.from({ length: COUNT }, (_, i) => i));
  const last = order.slice(COUNT).filter((n) => n >= FRESH);
  assert.deepEqual([...new Set(last)], [FRESH, FRESH + 1, FRESH + 2]);
  socket.close();
  await child.status;
  if (segmentation) run("ip", "link", "delete", "left");
}
