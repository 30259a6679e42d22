import { deepEqual, equal, throws } from "node:assert/strict";
import { UdpSocketSet } from "../../ffi/udp/mod.ts";
import { parseIp, readAddressRecord, SocketAddress } from "../../mod/packet/address.ts";
import { Counters } from "../../mod/packet/counters.ts";
import { Path } from "../../mod/packet/path.ts";
import { Slab } from "../../mod/packet/slab.ts";
import { TransmitQueue } from "../../mod/packet/transmit_queue.ts";

const PORTS = [34701, 34702, 34703] as const;

function setUp(address?: string) {
  const slab = new Slab(8 << 20);
  const queue = new TransmitQueue(slab, { areaLength: 1 << 17, capacity: 64 });
  const set = new UdpSocketSet({
    family: 4,
    slab,
    counters: new Counters(),
    receiveBuffers: 4,
    address: address === undefined ? undefined : parseIp(address),
  });
  /** What arrived at `port`, as [sender's port, local address, bytes]. */
  const received = (port: number) =>
    Array.from({ length: set.receive(port) }, (_, i) => {
      const { messages } = set;
      return [
        readAddressRecord(slab, messages.fromOf(i))!.port,
        readAddressRecord(slab, messages.localOf(i))!.key,
        slab.bytes.slice(messages.offsetOf(i), messages.offsetOf(i) + messages.lengthOf(i)).join(),
      ];
    });
  const push = (to: number, ...bytes: number[]) => {
    const offset = queue.reserve(bytes.length);
    slab.bytes.set(bytes, offset);
    queue.push(offset, bytes.length, bytes.length, Path.of(SocketAddress.of("127.0.0.1", to)!), 0);
  };
  return { set, queue, received, push };
}

Deno.test("a set's sockets send and receive each by its own port, over one set of buffers", () => {
  const { set, queue, received, push } = setUp();
  try {
    for (const port of PORTS) set.open(port);
    const [a, b, c] = PORTS;
    push(b, 1);
    push(c, 2);
    push(a, 3);
    equal(set.send(a, queue, 0, 2), 2, "only its share of the queue");
    equal(set.send(b, queue, 2, 3), 3);
    deepEqual(received(b), [[a, `127.0.0.1:${b}`, "1"]]);
    deepEqual(received(c), [[a, `127.0.0.1:${c}`, "2"]]);
    deepEqual(received(a), [[b, `127.0.0.1:${a}`, "3"]]);
    deepEqual(received(a), []);
  } finally {
    set.closeAll();
  }
});

Deno.test("a closed socket receives and sends nothing, and its port is free again", () => {
  const { set, queue, received, push } = setUp();
  try {
    const [a, b] = PORTS;
    set.open(a);
    set.close(a);
    set.close(a);
    push(b, 1);
    equal(set.send(a, queue, 0, 1), 1);
    deepEqual(received(a), []);
    equal(set.fdOf(a), -1);
    set.open(a);
    throws(() => set.open(a), { code: "EADDRINUSE" });
  } finally {
    set.closeAll();
  }
});

Deno.test("a set can be bound to one local address", () => {
  const { set, queue, received, push } = setUp("127.0.0.2");
  try {
    const [a, b] = PORTS;
    set.open(a);
    set.open(b);
    push(b, 1);
    set.send(a, queue, 0, 1);
    deepEqual(received(b), [], "127.0.0.1 is not ours");
  } finally {
    set.closeAll();
  }
});
