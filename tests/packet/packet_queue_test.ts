import assert from "node:assert/strict";
import fc from "fast-check";
import { pseudoHeaderSum, sumBytes } from "../../mod/packet/checksum.ts";
import { Kernels } from "../../mod/packet/kernels/kernels.ts";
import { PacketQueue, type PacketQueueOptions } from "../../mod/packet/packet_queue.ts";
import { Slab } from "../../mod/packet/slab.ts";
import { Splitter } from "../../mod/packet/splitter.ts";
import { ACK, bytesOf, CWR, ECE, FIN, hex, packet, type PacketFields, PSH, toHex, URG } from "./build.ts";

const V6 = "2001:db8::9";
const slab = new Slab(64 * 65536);
slab.baseLow = 0xffffff00; // so that the carry into the upper half of addresses is exercised
slab.baseHigh = 0x7f12;
const kernels = new Kernels(slab);
const splitter = new Splitter(slab, kernels);
const packets = slab.reserve(160 * 4096);
const read = slab.reserve(70000);
const output = slab.reserve(260 * 2048);
const queue = new PacketQueue(slab, kernels, { capacity: 150 });

/** Pushes every packet (each in its own slot of the slab) and finishes. */
function queued(train: Uint8Array[], target = queue): number {
  target.clear();
  train.forEach((bytes, i) => {
    const offset = packets + i * 4096 + 20;
    slab.bytes.fill(0xee, offset - 20, offset);
    slab.bytes.set(bytes, offset);
    assert.ok(target.push(offset, bytes.length));
  });
  return target.finish();
}

/** The bytes that `writev` would write, gathered as the kernel does from the iovecs. */
function writeBytes(i: number, target = queue): Uint8Array {
  const parts: number[] = [];
  for (let k = 0; k < target.iovCount(i); k++) {
    const at = target.iovOffset(i) + 16 * k;
    const base = slab.view.getBigUint64(at, true), length = Number(slab.view.getBigUint64(at + 8, true));
    const offset = Number(base - ((BigInt(slab.baseHigh) << 32n) + BigInt(slab.baseLow)));
    parts.push(...slab.bytes.subarray(offset, offset + length));
  }
  assert.equal(parts.length, target.lengthOf(i));
  return Uint8Array.from(parts);
}

/** Segments every write again, as the kernel would. */
function segmented(count: number): Uint8Array[] {
  return Array.from({ length: count }, (_, i) => {
    const bytes = writeBytes(i);
    slab.bytes.set(bytes, read);
    const segments = splitter.plan(read, bytes.length);
    assert.ok(segments >= 1, `write ${i} is valid: ${segments}`);
    assert.equal(segments, queue.iovCount(i));
    splitter.write(output, 2048);
    return Array.from({ length: segments }, (_, k) => {
      const length = k === segments - 1 ? splitter.lastLength : splitter.segmentLength;
      return slab.bytes.slice(output + k * 2048, output + k * 2048 + length);
    });
  }).flat();
}

/** Numbers of packets per write. */
const shape = (count: number) => Array.from({ length: count }, (_, i) => queue.iovCount(i));
const shapeOf = (train: Uint8Array[]) => shape(queued(train));

/** Consecutive packets of one flow, with sequence numbers and identifications counting up. */
function train(sizes: number[], fields: PacketFields = {}): Uint8Array[] {
  let seq = 0xfffffff0;
  return sizes.map((size, i) => {
    const bytes = packet({ ...fields, payload: bytesOf(size, i), seq, id: 0xfffe + i & 0xffff });
    seq = (seq + size) >>> 0;
    return bytes;
  });
}

for (const dst of ["10.0.0.2", V6]) {
  for (const protocol of ["tcp", "udp"] as const) {
    Deno.test(`neighbours of a ${protocol} flow to ${dst} become one GSO packet with a shorter last`, () => {
      const fields: PacketFields = { dst, protocol, tcpOptions: hex("0101080a0102030405060708"), tos: 2 };
      const bytes = train([1000, 1000, 1000, 200], fields);
      assert.deepEqual(shape(queued(bytes)), [4]);
      const whole = writeBytes(0);
      const ip = dst === V6 ? 40 : 20, headers = ip + (protocol === "tcp" ? 32 : 8);
      const view = new DataView(whole.buffer);
      const type = protocol === "udp" ? 5 : dst === V6 ? 4 : 1;
      assert.deepEqual([whole[0], whole[1]], [1, type]);
      const at = protocol === "tcp" ? 16 : 6;
      assert.deepEqual(
        [2, 4, 6, 8].map((i) => view.getUint16(i, true)),
        [headers, 1000, ip, at],
      );
      // The packet is the one a sender with large segments would have made, but for its partial L4 checksum.
      const payload = Uint8Array.from([1000, 1000, 1000, 200].flatMap((size, i) => [...bytesOf(size, i)]));
      const large = packet({ ...fields, payload, seq: 0xfffffff0, id: 0xfffe });
      const l4Length = large.length - ip;
      const pseudo = pseudoHeaderSum(large, 0, protocol === "tcp" ? 6 : 17, l4Length);
      new DataView(large.buffer).setUint16(ip + at, pseudo);
      assert.equal(toHex(whole.subarray(10)), toHex(large));
      assert.deepEqual(segmented(1).map(toHex), bytes.map(toHex));
    });
  }
}

Deno.test("a lone packet is written as it is behind a zero virtio header, wrong checksum included", () => {
  const bytes = packet({ payload: bytesOf(100) });
  bytes[36]! ^= 1;
  assert.deepEqual(shape(queued([bytes])), [1]);
  assert.equal(toHex(writeBytes(0)), "00".repeat(10) + toHex(bytes));
});

Deno.test("PSH closes a run and survives on its last segment", () => {
  const bytes = [
    ...train([100, 100]),
    packet({ payload: bytesOf(100), seq: 0xfffffff0 + 200, flags: ACK | PSH, id: 0 }),
  ];
  const next = packet({ payload: bytesOf(100), seq: 300 - 16, id: 1 });
  assert.deepEqual(shapeOf([...bytes, next]), [3, 1]);
  assert.equal(writeBytes(0)[10 + 33], ACK | PSH);
  assert.deepEqual(shapeOf([bytes[2]!, next]), [1, 1]);
});

Deno.test("what the kernel would not merge is not merged", () => {
  const first: PacketFields = {
    payload: bytesOf(100),
    seq: 1,
    id: 1,
    tcpOptions: hex("0101080a0102030405060708"),
  };
  const second: PacketFields = { ...first, seq: 101, id: 2 };
  const differences: Record<string, PacketFields> = {
    "sequence gap": { seq: 102 },
    "retransmission": { seq: 1 },
    "longer payload": { payload: bytesOf(101) },
    "no payload": { payload: bytesOf(0) },
    "acknowledgement": { ack: 2 },
    "window": { window: 513 },
    "options": { tcpOptions: hex("0101080a0102030405060709") },
    "length of options": { tcpOptions: hex("01010101") },
    "urgent pointer": { urgent: 1 },
    "FIN": { flags: ACK | FIN },
    "URG": { flags: ACK | URG },
    "ECE": { flags: ACK | ECE },
    "CWR": { flags: ACK | CWR },
    "no ACK": { flags: 0 },
    "TOS": { tos: 1 },
    "TTL": { ttl: 63 },
    "DF": { dontFragment: false },
    "identification gap": { id: 4 },
    "IPv4 options": { ipOptions: hex("94040000") },
    "another port": { sport: 1001 },
    "another address": { src: "10.0.0.3" },
  };
  assert.deepEqual(shapeOf([packet(first), packet(second)]), [2]);
  for (const [name, difference] of Object.entries(differences)) {
    assert.deepEqual(shapeOf([packet(first), packet({ ...second, ...difference })]), [1, 1], name);
  }
  const sixes = { ...first, dst: V6 };
  assert.deepEqual(shapeOf([packet(sixes), packet({ ...sixes, seq: 101 })]), [2]);
  for (const difference of [{ flowLabel: 1 }, { tos: 4 }, { ttl: 1 }]) {
    assert.deepEqual(shapeOf([packet(sixes), packet({ ...sixes, seq: 101, ...difference })]), [1, 1]);
  }
});

Deno.test("a constant identification is merged only when DF says that it means nothing", () => {
  const first: PacketFields = { payload: bytesOf(100), seq: 1 };
  const run = (fields: PacketFields) => [1, 101, 201].map((seq) => packet({ ...first, ...fields, seq }));
  assert.deepEqual(shapeOf(run({})), [3]);
  assert.deepEqual(shapeOf(run({ dontFragment: false })), [1, 1, 1]);
  assert.deepEqual(shapeOf(train([100, 100, 100], { dontFragment: false })), [3]);
});

Deno.test("a wrong checksum is never laundered, wherever it is in the run", () => {
  for (const bad of [0, 1, 2]) {
    for (const at of [10, 37, 50]) {
      const bytes = train([100, 100, 100, 100]);
      bytes[bad]![at]! ^= 4;
      const count = queued(bytes);
      const writes = Array.from({ length: count }, (_, i) => toHex(writeBytes(i).subarray(10)));
      assert.ok(writes.includes(toHex(bytes[bad]!)), `packet ${bad} byte ${at} is written alone`);
      assert.deepEqual(shape(count), [[1, 3], [1, 1, 2], [2, 1, 1]][bad]);
    }
  }
});

Deno.test("UDP without checksum and empty datagrams are not merged", () => {
  const zero = train([100, 100], { protocol: "udp" });
  for (const bytes of zero) bytes.set([0, 0], 26);
  assert.deepEqual(shapeOf(zero), [1, 1]);
  assert.deepEqual(shapeOf(train([0, 0], { protocol: "udp" })), [1, 1]);
});

Deno.test("nothing overtakes inside a flow: FIN behind data closes the run and is written later", () => {
  const data = train([100, 100]);
  const fin = packet({ seq: 200 - 16, flags: ACK | FIN });
  const other = train([50, 50], { sport: 7 });
  const count = queued([data[0]!, other[0]!, data[1]!, fin, other[1]!]);
  assert.deepEqual(shape(count), [2, 2, 1]);
  assert.equal(toHex(writeBytes(2).subarray(10)), toHex(fin));
  const datagrams = train([100, 0, 100], { dst: V6, protocol: "udp" });
  assert.deepEqual(segmented(queued(datagrams)).map(toHex), datagrams.map(toHex));
});

Deno.test("a ninth flow closes the oldest run instead of losing order", () => {
  const flows = Array.from({ length: 9 }, (_, i) => train([100, 100], { sport: 100 + i }));
  assert.deepEqual(shapeOf([...flows.map((f) => f[0]!), ...flows.map((f) => f[1]!)]), [
    ...[1, 1, 1, 1, 1, 1, 1, 1, 1],
    ...[1, 1, 1, 1, 1, 1, 1, 1, 1],
  ]);
  assert.deepEqual(
    shapeOf([...flows.slice(0, 8).map((f) => f[0]!), ...flows.slice(0, 8).map((f) => f[1]!)]),
    [
      ...[2, 2, 2, 2, 2, 2, 2, 2],
    ],
  );
});

Deno.test("runs end at 65,535 bytes, 128 TCP segments and 64 UDP segments", () => {
  assert.deepEqual(shapeOf(train(new Array(60).fill(1228))), [53, 7]);
  assert.deepEqual(shapeOf(train(new Array(130).fill(10))), [128, 2]);
  assert.deepEqual(shapeOf(train(new Array(130).fill(10), { protocol: "udp" })), [64, 64, 2]);
});

Deno.test("coalescing can be off for TCP, for UDP, or for lack of a virtio header", () => {
  const bytes = [...train([100, 100]), ...train([100, 100], { protocol: "udp" })];
  const shapeWith = (options: Partial<PacketQueueOptions>) => {
    const target = new PacketQueue(slab, kernels, { capacity: 8, ...options });
    const count = queued(bytes, target);
    return [Array.from({ length: count }, (_, i) => target.iovCount(i)), writeBytes(0, target).length];
  };
  assert.deepEqual(shapeWith({}), [[2, 2], 250]);
  assert.deepEqual(shapeWith({ tcp: false }), [[1, 1, 2], 150]);
  assert.deepEqual(shapeWith({ udp: false }), [[2, 1, 1], 250]);
  assert.deepEqual(shapeWith({ vnetHeader: false }), [[1, 1, 1, 1], 140]);
  queue.setCoalescing(false, false);
  assert.deepEqual(shapeOf(bytes), [1, 1, 1, 1]);
  queue.setCoalescing(true, true);
});

Deno.test("a refused super-packet is taken apart into the packets that arrived", () => {
  for (
    const fields of [{}, { protocol: "udp" as const }, { dst: V6 }, { dst: V6, protocol: "udp" as const }]
  ) {
    const before = train([100, 100], { ...fields, sport: 1 });
    const bytes = train([1000, 1000, 7], fields);
    const after = train([5, 5], { ...fields, sport: 2 });
    assert.equal(queued([...before, ...bytes, ...after]), 3);
    const first = toHex(writeBytes(0));
    assert.equal(queue.dissolve(1), 6);
    assert.equal(toHex(writeBytes(0)), first);
    [...bytes, ...after].forEach((packet, i) =>
      assert.equal(toHex(writeBytes(1 + i)), "00".repeat(10) + toHex(packet))
    );
  }
});

Deno.test("a full queue refuses, and works again after clear", () => {
  const small = new PacketQueue(slab, kernels, { capacity: 2 });
  slab.bytes.set(packet(), packets + 20);
  assert.ok(small.push(packets + 20, 40) && small.push(packets + 20, 40));
  assert.equal(small.push(packets + 20, 40), false);
  assert.equal(small.packets, 2);
  small.clear();
  assert.equal(small.finish(), 0);
  assert.ok(small.push(packets + 20, 40));
});

/** Flow of a packet, and its bytes with an identification that DF makes meaningless blanked out. */
function normalized(bytes: Uint8Array): [string, string] {
  const copy = bytes.slice();
  const isV4 = copy[0] === 0x45, ip = isV4 ? 20 : 40;
  const flow = toHex(copy.subarray(isV4 ? 12 : 8, ip + 4)) + copy[isV4 ? 9 : 6];
  if (isV4 && (copy[6]! & 0x40) && sumBytes(copy, 0, 20) === 0xffff) {
    copy.set([0, 0], 4), copy.set([0, 0], 10);
  }
  return [flow, toHex(copy)];
}

function byFlow(all: Uint8Array[]): Record<string, string[]> {
  const flows: Record<string, string[]> = {};
  for (const bytes of all) {
    const [flow, text] = normalized(bytes);
    (flows[flow] ??= []).push(text);
  }
  return flows;
}

Deno.test("property: segmenting the super-packets again gives every flow's packets, in order", () => {
  const often = <T>(usual: T, ...rare: T[]) =>
    fc.oneof({ weight: 12, arbitrary: fc.constant(usual) }, {
      weight: 1,
      arbitrary: fc.constantFrom(...rare),
    });
  const event = fc.record({
    flow: fc.oneof({ weight: 3, arbitrary: fc.nat(3) }, { weight: 1, arbitrary: fc.nat(10) }),
    size: often(500, 0, 1, 77, 499, 501, 1200),
    flags: often(ACK, ACK | PSH, ACK | FIN, ACK | CWR, ACK | URG),
    skip: often(0, 1, -500),
    idStep: often(1, 0, 5),
    tos: often(0, 2, 3),
    ttl: often(64, 63),
    window: often(512, 513),
    ack: often(1, 2),
    df: often(true, false),
    corrupt: often(-1, 0, 8, 11, 30, 45),
    noChecksum: often(false, true),
    options: often("0101080a0000000000000001", "0101080a0000000000000002", ""),
  });
  fc.assert(
    fc.property(fc.array(event, { maxLength: 150, size: "max" }), (events) => {
      const sequences: number[] = [], ids: number[] = [];
      const all = events.map((e, i) => {
        const n = e.flow, protocol = n === 10 ? "icmp" : n & 1 ? "udp" : "tcp";
        const seq = ((sequences[n] ?? 0xfffffc00) + e.skip) >>> 0,
          id = (ids[n] = ((ids[n] ?? 0xfff0) + e.idStep) & 0xffff);
        sequences[n] = seq + e.size;
        const { tos, ttl, window, ack, flags } = e;
        const fields = {
          tos,
          ttl,
          window,
          ack,
          flags,
          seq,
          id,
          protocol,
          sport: 100 + (n >> 2),
          dontFragment: e.df,
        } as const;
        const tcpOptions = hex(e.options);
        const bytes = packet({
          ...fields,
          dst: n & 2 ? V6 : "10.0.0.2",
          payload: bytesOf(e.size, i),
          tcpOptions,
        });
        if (e.noChecksum && protocol === "udp" && !(n & 2)) bytes.set([0, 0], 26);
        // Byte 8 is the TTL, whose change the IPv4 checksum must give away; 0 leaves the version nibble as it is.
        if (e.corrupt > 0 && e.corrupt < bytes.length && !(n & 2)) bytes[e.corrupt]! ^= 0x10;
        return bytes;
      });
      assert.deepEqual(byFlow(segmented(queued(all))), byFlow(all));
    }),
    { numRuns: 80 },
  );
});
