import assert from "node:assert/strict";
import { errno, SystemError } from "../../ffi/errno.ts";
import { libc, POLLIN } from "../../ffi/libc.ts";
import { Poller } from "../../ffi/poll.ts";
import { SO_MARK, SOL_SOCKET } from "../../ffi/udp/options.ts";
import { getOption, setOption } from "../../ffi/udp/options.ts";
import { UdpSocket, type UdpSocketOptions } from "../../ffi/udp/mod.ts";
import { type IpFamily, readAddressRecord, SocketAddress } from "../../mod/packet/address.ts";
import { Counters } from "../../mod/packet/counters.ts";
import { Path } from "../../mod/packet/path.ts";
import { Slab } from "../../mod/packet/slab.ts";
import { TransmitQueue } from "../../mod/packet/transmit_queue.ts";
import { namespaceTest } from "./namespace.ts";

const SO_NO_CHECK = 11;
const LOOPBACK = { 4: "127.0.0.1", 6: "::1" } as const;

interface Datagram {
  readonly bytes: Uint8Array;
  readonly ecn: number;
  readonly from: string | undefined;
  readonly local: string | undefined;
}

class Bench {
  readonly slab = new Slab(8 << 20);
  readonly counters = new Counters();
  readonly queue = new TransmitQueue(this.slab, { areaLength: 1 << 20, capacity: 4096 });
  readonly #sockets: UdpSocket[] = [];

  open(family: IpFamily, options: Partial<UdpSocketOptions> = {}): UdpSocket {
    const socket = UdpSocket.open({
      family,
      slab: this.slab,
      counters: this.counters,
      port: 0,
      receiveBuffers: 8,
      ...options,
    });
    this.#sockets.push(socket);
    return socket;
  }

  push(path: Path, ecn: number, ...datagrams: Uint8Array[]): void {
    for (const bytes of datagrams) {
      const offset = this.queue.reserve(bytes.length);
      assert.notEqual(offset, 0);
      this.slab.bytes.set(bytes, offset);
      this.queue.push(offset, bytes.length, bytes.length, path, ecn);
    }
  }

  /** Everything that arrives, cut into datagrams; also how many messages carried them. */
  receive(socket: UdpSocket): { datagrams: Datagram[]; messages: number } {
    const datagrams: Datagram[] = [];
    let messages = 0;
    for (let count = socket.receive(); count > 0; count = socket.receive()) {
      messages += count;
      for (let i = 0; i < count; i++) {
        const start = socket.offsetOf(i), end = start + socket.lengthOf(i);
        assert.equal(start % 64, 0);
        for (let at = start; at < end; at += socket.segmentOf(i)) {
          datagrams.push({
            bytes: this.slab.bytes.slice(at, Math.min(end, at + socket.segmentOf(i))),
            ecn: socket.ecnOf(i),
            from: readAddressRecord(this.slab, socket.fromOf(i))?.key,
            local: readAddressRecord(this.slab, socket.localOf(i))?.key,
          });
        }
      }
    }
    return { datagrams, messages };
  }

  [Symbol.dispose](): void {
    for (const socket of this.#sockets) socket.close();
  }
}

const to = (family: IpFamily, socket: UdpSocket, source?: string) =>
  Path.of(
    SocketAddress.of(LOOPBACK[family], socket.port)!,
    source ? SocketAddress.of(source, 1)! : undefined,
  );
const bytes = (length: number, fill: number) => new Uint8Array(length).fill(fill);

/** The same datagrams in the same order. As text: a difference of byte arrays takes minutes to print. */
function assertSame(datagrams: readonly Datagram[], sent: readonly Uint8Array[]): void {
  const describe = (list: readonly Uint8Array[]) => list.map((bytes) => `${bytes.length}:${bytes.toHex()}`);
  assert.deepEqual(describe(datagrams.map((d) => d.bytes)), describe(sent));
}

for (const family of [4, 6] as const) {
  Deno.test(`IPv${family}: datagrams arrive whole and in order, with both addresses and their ECN`, () => {
    using bench = new Bench();
    const a = bench.open(family), b = bench.open(family);
    const sent = [bytes(1, 1), bytes(1472, 2), bytes(40, 3), bytes(41, 4), bytes(9000, 5)];
    sent.forEach((datagram, i) => bench.push(to(family, b), i & 3, datagram));
    assert.equal(a.send(bench.queue, 0), bench.queue.count);
    const { datagrams } = bench.receive(b);
    assertSame(datagrams, sent);
    assert.deepEqual(datagrams.map((d) => d.ecn), [0, 1, 2, 3, 0]);
    const host = family === 4 ? "127.0.0.1" : "[::1]";
    for (const { from, local } of datagrams) {
      assert.deepEqual([from, local], [`${host}:${a.port}`, `${host}:${b.port}`]);
    }
  });

  Deno.test(`IPv${family}: a train leaves in one entry, arrives in one message, and is cut the same way`, () => {
    using bench = new Bench();
    const a = bench.open(family), b = bench.open(family);
    const sent = Array.from({ length: 49 }, (_, i) => bytes(1312, i));
    sent.push(bytes(100, 200));
    bench.push(to(family, b), 1, ...sent);
    assert.equal(bench.queue.count, 2, "65,507 bytes hold 49 of them; the rest is its own entry");
    assert.equal(a.send(bench.queue, 0), 2);
    const { datagrams, messages } = bench.receive(b);
    assertSame(datagrams, sent);
    assert.equal(messages, 2);
    assert.equal(a.segmentation, true);
  });

  Deno.test(`IPv${family}: more entries than one system call takes all arrive, in order`, () => {
    using bench = new Bench();
    const a = bench.open(family), b = bench.open(family);
    const sent = Array.from({ length: 300 }, (_, i) => bytes(64 + i, i));
    sent.forEach((datagram, i) => bench.push(to(family, b), i & 1, datagram));
    assert.equal(a.send(bench.queue, 0), 300);
    assertSame(bench.receive(b).datagrams, sent);
  });
}

Deno.test("each socket sends the entries of its own family only, from the entry it is told", () => {
  using bench = new Bench();
  const a4 = bench.open(4), a6 = bench.open(6), b4 = bench.open(4), b6 = bench.open(6);
  for (let i = 0; i < 6; i++) {
    bench.push(i % 2 ? to(6, b6) : to(4, b4), 0, bytes(10 + i, i));
  }
  assert.equal(a4.send(bench.queue, 2), 6);
  assert.equal(a6.send(bench.queue, 0), 6);
  assert.deepEqual(bench.receive(b4).datagrams.map((d) => d.bytes.length), [12, 14]);
  assert.deepEqual(bench.receive(b6).datagrams.map((d) => d.bytes.length), [11, 13, 15]);
});

Deno.test("the path's source address is what the receiver sees", () => {
  using bench = new Bench();
  const a = bench.open(4), b = bench.open(4);
  bench.push(to(4, b, "127.0.0.9"), 0, bytes(5, 5));
  bench.push(to(4, b), 0, bytes(6, 6));
  a.send(bench.queue, 0);
  const { datagrams } = bench.receive(b);
  assert.deepEqual(datagrams.map((d) => d.from), [`127.0.0.9:${a.port}`, `127.0.0.1:${a.port}`]);
});

for (const family of [4, 6] as const) {
  Deno.test(`IPv${family}: what should leave from an address that is no longer ours leaves from another one`, () => {
    using bench = new Bench();
    const a = bench.open(family), b = bench.open(family);
    const gone = family === 4 ? "203.0.113.77" : "2001:db8::77";
    bench.push(to(family, b), 0, bytes(10, 0));
    bench.push(to(family, b, gone), 0, bytes(11, 1));
    bench.push(to(family, b, gone), 1, bytes(100, 2), bytes(100, 3), bytes(50, 4));
    for (let i = 0; i < 150; i++) bench.push(to(family, b, gone), i & 1, bytes(60 + i, i));
    assert.equal(a.send(bench.queue, 0), bench.queue.count);
    const { datagrams } = bench.receive(b);
    assert.deepEqual(datagrams.slice(0, 5).map((d) => d.bytes.length), [10, 11, 100, 100, 50]);
    assert.equal(datagrams.length, 155);
    const host = family === 4 ? "127.0.0.1" : "[::1]";
    assert.ok(datagrams.every(({ from }) => from === `${host}:${a.port}`));
    assert.equal(bench.counters.get("udp_send_other_source"), 152);
    assert.equal(bench.counters.get("udp_send_failed"), 0);
    assert.equal(a.segmentation, true);
  });
}

Deno.test("a train that should leave from an address that is no longer ours, where segmentation is refused, too", () => {
  using bench = new Bench();
  const a = bench.open(4), b = bench.open(4);
  assert.equal(setOption(a.fd, SOL_SOCKET, SO_NO_CHECK, 1), 0); // UDP_SEGMENT gives EINVAL then
  const sent = [...Array.from({ length: 10 }, (_, i) => bytes(500, i)), bytes(77, 7)];
  bench.push(to(4, b, "203.0.113.77"), 2, ...sent);
  assert.equal(a.send(bench.queue, 0), bench.queue.count);
  assertSame(bench.receive(b).datagrams, sent);
  assert.equal(a.segmentation, false);
});

Deno.test("the local record tells which of our addresses a datagram came to", () => {
  using bench = new Bench();
  const a = bench.open(4), b = bench.open(4);
  bench.push(Path.of(SocketAddress.of("127.3.2.1", b.port)!), 0, bytes(5, 5));
  a.send(bench.queue, 0);
  assert.equal(bench.receive(b).datagrams[0]?.local, `127.3.2.1:${b.port}`);
});

Deno.test("an entry that fails is counted by reason and does not stop its neighbours", () => {
  using bench = new Bench();
  const a = bench.open(4), b = bench.open(4);
  bench.push(to(4, b), 0, bytes(11, 1));
  bench.push(Path.of(SocketAddress.of("127.255.255.255", 9)!), 0, bytes(12, 2)); // EACCES without SO_BROADCAST
  bench.push(to(4, b), 0, bytes(13, 3));
  bench.push(Path.of(SocketAddress.of("127.0.0.1", 0)!), 0, bytes(14, 4)); // EINVAL
  bench.push(to(4, b), 0, bytes(16, 6));
  assert.equal(a.send(bench.queue, 0), bench.queue.count);
  assert.deepEqual(bench.receive(b).datagrams.map((d) => d.bytes.length), [11, 13, 16]);
  assert.equal(bench.counters.get("udp_send_denied"), 1);
  assert.equal(bench.counters.get("udp_send_failed") + bench.counters.get("udp_send_unreachable"), 1);
  assert.equal(a.segmentation, true, "bad addresses are no reason to give up segmentation");
});

Deno.test("a socket that refuses segmentation gets single datagrams from then on, and loses none", () => {
  using bench = new Bench();
  const a = bench.open(4), b = bench.open(4);
  assert.equal(setOption(a.fd, SOL_SOCKET, SO_NO_CHECK, 1), 0); // UDP_SEGMENT gives EINVAL then
  const sent = [...Array.from({ length: 100 }, (_, i) => bytes(500, i)), bytes(77, 7)];
  bench.push(to(4, b), 2, ...sent);
  assert.equal(a.send(bench.queue, 0), bench.queue.count);
  const { datagrams } = bench.receive(b);
  assertSame(datagrams, sent);
  assert.ok(datagrams.every((d) => d.ecn === 2));
  assert.equal(a.segmentation, false);
  assert.equal(bench.counters.get("udp_send_segmentation_refused"), 1);
  bench.queue.clear();
  bench.push(to(4, b), 0, bytes(20, 1), bytes(20, 2));
  assert.equal(a.send(bench.queue, 0), 1);
  assert.equal(bench.receive(b).datagrams.length, 2);
});

Deno.test("an empty datagram goes out, and one that comes in is counted and skipped", () => {
  using bench = new Bench();
  const a = bench.open(4), b = bench.open(4);
  bench.queue.pushDatagram({ dst: SocketAddress.of("127.0.0.1", b.port)!, payload: new Uint8Array() });
  bench.queue.pushDatagram({ dst: SocketAddress.of("127.0.0.1", b.port)!, payload: bytes(3, 3) });
  assert.equal(a.send(bench.queue, 0), 2);
  assert.deepEqual(bench.receive(b).datagrams.map((d) => d.bytes.length), [3]);
  assert.equal(bench.counters.get("udp_receive_incomplete"), 1);
});

Deno.test("an ICMP error for what was sent does not disturb sending or receiving", () => {
  using bench = new Bench();
  const a = bench.open(4), b = bench.open(4), closed = bench.open(4);
  const dead = to(4, closed);
  closed.close();
  for (let i = 0; i < 3; i++) bench.push(i === 1 ? to(4, b) : dead, 0, bytes(10 + i, i));
  assert.equal(a.send(bench.queue, 0), 3);
  assert.equal(a.receive(), 0);
  assert.deepEqual(bench.receive(b).datagrams.map((d) => d.bytes.length), [11]);
});

Deno.test("a receive without anything there gives 0, and poll tells when there is something", () => {
  using bench = new Bench();
  const a = bench.open(6), b = bench.open(6), poller = new Poller([b.fd]);
  assert.equal(b.receive(), 0);
  assert.equal(poller.wait(0), 0);
  bench.push(to(6, b), 0, bytes(1, 1));
  a.send(bench.queue, 0);
  assert.equal(poller.wait(1000), 1);
  assert.equal(poller.events(0), POLLIN);
  assert.equal(b.receive(), 1);
});

Deno.test("a preferred port that is taken is replaced by another, a required one is an error", () => {
  using bench = new Bench();
  const first = bench.open(4), second = bench.open(4, { port: first.port });
  assert.notEqual(second.port, first.port);
  assert.throws(() => bench.open(4, { port: first.port, portRequired: true }), (error) => {
    assert.ok(error instanceof SystemError);
    assert.equal(error.code, "EADDRINUSE");
    assert.match(error.message, /^Cannot bind UDP port \d+ for IPv4: .*Stop the other process/);
    return true;
  });
});

Deno.test("both families share a port number, since the IPv6 socket takes IPv6 only", () => {
  using bench = new Bench();
  const four = bench.open(4), six = bench.open(6, { port: four.port, portRequired: true });
  assert.equal(six.port, four.port);
});

Deno.test("a closed socket's descriptor is gone, and closing twice closes nothing else", () => {
  using bench = new Bench();
  const socket = bench.open(4);
  socket.close();
  assert.equal(libc().close(socket.fd), -1);
  assert.equal(errno(), 9);
  const other = bench.open(4);
  socket.close();
  assert.equal(other.receive(), 0);
  assert.ok(getOption(other.fd, SOL_SOCKET, SO_MARK) >= 0, "still open");
});

Deno.test("a batch of a million datagrams leaves the heap as it was", () => {
  using bench = new Bench();
  const a = bench.open(4), b = bench.open(4), path = to(4, b);
  const round = () => {
    bench.queue.clear();
    const offset = bench.queue.reserve(64 * 96);
    bench.queue.push(offset, 64 * 96, 96, path, 1);
    a.send(bench.queue, 0);
    let bytes = 0;
    for (let n = b.receive(); n > 0; n = b.receive()) {
      for (let i = 0; i < n; i++) {
        bytes += b.lengthOf(i) + b.ecnOf(i) + (b.fromOf(i) & 0) + (b.localOf(i) & 0);
      }
    }
    return bytes;
  };
  for (let i = 0; i < 2000; i++) round();
  const before = Deno.memoryUsage().heapUsed;
  for (let i = 0; i < 15625; i++) assert.equal(round() > 0, true);
  const grown = Deno.memoryUsage().heapUsed - before;
  assert.ok(grown < 2_000_000, `grew by ${grown} bytes`);
});

namespaceTest(
  "a full socket buffer stops a send at an entry, which goes on without loss or repetition",
  "udp_full",
);
namespaceTest(
  "datagrams that the path is too small for are counted, smaller ones behind them still leave",
  "udp_mtu",
);
namespaceTest(
  "a host without a route counts what it could not send, and sets the mark it is asked to",
  "udp_route",
);
namespaceTest(
  "a link-local sender has the same address record whichever link its datagrams come over",
  "udp_link_local",
);

Deno.test("a call asks for more short datagrams when it came back full, and for few again when trains arrive", () => {
  using bench = new Bench();
  const a = bench.open(4), b = bench.open(4, { receiveBuffers: 32, leastReceiveBuffers: 4 });
  const calls = () => {
    const counts: number[] = [];
    do counts.push(b.receive()); while (!b.isDrained);
    return counts;
  };
  const short = (count: number) => {
    // Neighbours of different ECN are never merged.
    for (let i = 0; i < count; i++) bench.push(to(4, b), i & 1, bytes(100, i));
    assert.equal(a.send(bench.queue, 0), bench.queue.count);
    bench.queue.clear();
  };
  const trains = (count: number) => {
    for (let i = 0; i < count; i++) {
      for (let k = 0; k < 49; k++) bench.push(to(4, b), i & 1, bytes(1312, k));
    }
    assert.equal(a.send(bench.queue, 0), bench.queue.count);
    bench.queue.clear();
  };
  short(3);
  assert.deepEqual(calls(), [3]);
  short(100);
  assert.deepEqual(calls(), [4, 8, 16, 32, 32, 8]);
  short(64);
  assert.deepEqual(calls(), [32, 32, 0], "what was right is remembered");
  trains(9);
  assert.deepEqual(calls(), [9], "the first ones may be many");
  trains(9);
  assert.deepEqual(calls(), [4, 4, 1]);
  assert.equal(bench.counters.get("udp_receive_truncated"), 0);
});
