/** The relays of a node, against the embedded relay's core; without connections. */
import assert from "node:assert/strict";
import { relayCredentials } from "../../mod/embedded/relay/mod.ts";
import { sampleByRoundTrip } from "../../mod/node/relay_sample.ts";
import { type RelayNews, Relays } from "../../mod/node/relays.ts";
import type { RelayDescription } from "../../mod/node/types.ts";
import { Path, SocketAddress } from "../../mod/packet/mod.ts";
import { decodeStun, Method } from "../../mod/stun/mod.ts";
import { RelayHarness, STAMP_SECRET, UNIX_NOW } from "../embedded/relay_harness.ts";
import { seededNumber, seededRandom } from "../wireguard/fixture.ts";

const LOCAL = SocketAddress.parse("192.168.1.2:52625")!;
const ELSEWHERE = SocketAddress.parse("172.16.0.2:52625")!;
const MAPPED = SocketAddress.parse("203.0.113.5:40000")!;

/** `Relays`, and a network on which a relay answers at each of some addresses. */
class Bed {
  now = 1_000;
  local = LOCAL;
  readonly relays = new Relays({ random: seededRandom(3), software: "test", realm: "firezone" });
  readonly servers = new Map<string, RelayHarness>();
  readonly news: RelayNews[] = [];
  /** Methods of the requests that were sent, with the id of the relay. */
  readonly sent: string[] = [];

  /** Starts a server and describes it as the portal would. */
  start(id: string, secret = STAMP_SECRET): RelayDescription {
    this.servers.set(this.describe(id).v4!.key, new RelayHarness({ seed: this.servers.size + 9 }));
    return this.describe(id, secret);
  }

  stop(id: string): void {
    this.servers.delete(this.describe(id).v4!.key);
  }

  describe(id: string, stampSecret = STAMP_SECRET): RelayDescription {
    const v4 = SocketAddress.parse(`198.51.100.${id.charCodeAt(0)}:3478`)!;
    return {
      id,
      v4,
      ...relayCredentials({ publicKey: "device", stampSecret, expiresAt: UNIX_NOW + 86_400 }),
    };
  }

  update(removed: readonly string[], relays: readonly RelayDescription[]): void {
    this.relays.update(removed, relays, this.now);
    this.settle();
  }

  run(ms: number): void {
    const end = this.now + ms;
    this.settle();
    for (let due = this.relays.pollTimeout(); due <= end; due = this.relays.pollTimeout()) {
      assert.ok(due >= this.now, "time goes forward");
      this.now = due;
      this.relays.handleTimeout(this.now);
      this.settle();
    }
    this.now = end;
  }

  settle(): void {
    for (let t = this.relays.pollTransmit(); t; t = this.relays.pollTransmit()) {
      const id = String.fromCharCode(Number(t.dst.ip.split(".")[3]));
      const method = decodeStun(t.payload)?.method;
      this.sent.push(`${Object.entries(Method).find(([, value]) => value === method)?.[0]} ${id}`);
      const server = this.servers.get(t.dst.key);
      for (const { payload } of server?.fromClient(MAPPED, [t.payload], this.now) ?? []) {
        const allocation = this.relays.get(id);
        if (!allocation) continue;
        allocation.handleDatagram(t.dst, this.local, payload, this.now);
        this.relays.settle(allocation, this.now);
      }
    }
    for (let news = this.relays.pollNews(); news; news = this.relays.pollNews()) this.news.push(news);
  }

  /** News since the last call, by type and relay; how many are ready is left out. */
  told(): string[] {
    return this.news.splice(0).filter(({ type }) => type !== "readiness").map((
      n,
    ) => ("relayId" in n ? `${n.type} ${n.relayId}` : n.type));
  }
}

Deno.test("a relay starts, tells our addresses, and is ready once", () => {
  const bed = new Bed();
  bed.update([], [bed.start("a")]);
  bed.run(1_000);
  assert.deepEqual(bed.told(), ["host", "server-reflexive", "relayed a", "relayed a", "ready a"]);
  assert.ok(bed.relays.isReady("a"));
});

Deno.test("how many relays are ready is said whenever it changes, and why the last one went", () => {
  const bed = new Bed();
  const readiness = () =>
    bed.news.splice(0).flatMap((news) => news.type === "readiness" ? [`${news.ready} ${news.trouble}`] : []);
  bed.update([], [bed.start("a"), bed.start("b")]);
  bed.run(1_000);
  assert.deepEqual(readiness(), ["1 undefined", "2 undefined"]);
  bed.update(["a"], []);
  assert.deepEqual(readiness(), ["1 the portal says that it is gone"]);
  bed.stop("b");
  bed.run(60_000);
  assert.deepEqual(readiness(), ["0 no response received"]);
  bed.start("b");
  bed.run(60_000);
  assert.deepEqual(readiness(), ["1 undefined"]);
});

Deno.test("a list with the same relays leaves them alone", () => {
  const bed = new Bed();
  const a = bed.start("a");
  bed.update([], [a]);
  bed.run(1_000);
  const allocation = bed.relays.get("a");
  bed.sent.length = 0;
  bed.update([], [a]);
  assert.equal(bed.relays.get("a"), allocation);
  assert.deepEqual(bed.sent, []);
});

Deno.test("relays that a list does not mention are asked whether they still live, listed ones only after silence", () => {
  const bed = new Bed();
  const a = bed.start("a"), b = bed.start("b");
  bed.update([], [a, b]);
  bed.run(1_000);
  bed.sent.length = 0;
  bed.update([], [b]);
  assert.deepEqual(bed.sent, ["REFRESH a"]);
  bed.run(5_000);
  bed.sent.length = 0;
  bed.update([], [a, b]);
  assert.deepEqual(bed.sent, ["REFRESH a", "REFRESH b"]);
});

Deno.test("other credentials or another address replace the allocation, without asking for relays in between", () => {
  const bed = new Bed();
  bed.update([], [bed.start("a")]);
  bed.run(1_000);
  bed.told();
  const before = bed.relays.get("a");
  bed.update([], [{ ...bed.describe("a"), username: `${UNIX_NOW + 90_000}:other` }]);
  assert.notEqual(bed.relays.get("a"), before);
  const told = bed.told();
  assert.deepEqual(told.slice(0, 2), ["withdrawn a", "lost a"]);
  assert.equal(told.includes("none"), false);
});

Deno.test("one id may be in both lists of an update: it is replaced", () => {
  const bed = new Bed();
  const a = bed.start("a");
  bed.update([], [a]);
  bed.run(1_000);
  bed.told();
  const before = bed.relays.get("a");
  bed.update(["a"], [a]);
  assert.notEqual(bed.relays.get("a"), before);
  bed.run(1_000);
  assert.ok(bed.relays.isReady("a"));
  assert.equal(bed.told().includes("none"), false);
});

Deno.test("removing the last relay is said once, removing one of two is not", () => {
  const bed = new Bed();
  bed.update([], [bed.start("a"), bed.start("b")]);
  bed.run(1_000);
  bed.told();
  bed.update(["a"], []);
  assert.deepEqual(bed.told(), ["withdrawn a", "lost a"]);
  bed.update(["b", "b", "nobody"], []);
  assert.deepEqual(bed.told(), ["withdrawn b", "lost b", "none"]);
  bed.update(["b"], []);
  assert.deepEqual(bed.told(), []);
});

Deno.test("sockets of the latest 64 relays that went are former ones, until they are back", () => {
  const bed = new Bed();
  const at = (n: number): RelayDescription => ({
    id: `r${n}`,
    v4: SocketAddress.of("198.51.100.1", 1_000 + n)!,
    username: "u",
    password: "p",
  });
  for (let n = 0; n < 70; n++) {
    bed.relays.update([], [at(n)], bed.now);
    bed.relays.update([`r${n}`], [], bed.now);
  }
  const former = (n: number) => bed.relays.isFormer(at(n).v4!);
  assert.deepEqual([former(5), former(6), former(69)], [false, true, true]);
  bed.relays.update([], [at(69)], bed.now);
  assert.equal(former(69), false);
});

Deno.test("an allocation is found by its relay's socket, address and port", () => {
  const bed = new Bed();
  const a = bed.start("a");
  bed.update([], [a]);
  assert.equal(bed.relays.at(Path.of(a.v4!).words, 0), bed.relays.get("a"));
  assert.equal(bed.relays.at(Path.of(SocketAddress.of(a.v4!.ip, 3479)!).words, 0), undefined);
});

Deno.test("answers that come to another local address than before mean that we have moved, said once", () => {
  const bed = new Bed();
  bed.update([], [bed.start("a"), bed.start("b")]);
  bed.run(1_000);
  assert.equal(bed.told().includes("moved"), false);
  bed.local = ELSEWHERE;
  bed.relays.verifyAll(bed.now += 5_000);
  bed.run(26_000);
  assert.deepEqual(bed.told().filter((news) => news === "moved").length, 1);
  bed.run(60_000);
  assert.equal(bed.told().includes("moved"), false);
});

Deno.test("a relay that is replaced remembers where it heard us", () => {
  const bed = new Bed();
  bed.update([], [bed.start("a")]);
  bed.run(1_000);
  bed.told();
  bed.local = ELSEWHERE;
  bed.update(["a"], [bed.describe("a")]);
  bed.run(1_000);
  assert.deepEqual(bed.told().filter((news) => news === "moved").length, 1);
});

Deno.test("a relay that never answers is given up, tried again ever more seldom, and said lost once", () => {
  const bed = new Bed();
  bed.update([], [bed.describe("x")]);
  bed.run(10 * 60_000);
  assert.deepEqual(bed.told(), ["lost x", "none"]);
  const starts = bed.sent.length / 4;
  assert.ok(starts >= 8 && starts <= 14, `${starts} starts in 10 minutes`);
  bed.start("x");
  bed.run(61_000);
  assert.ok(bed.relays.isReady("x"));
  assert.ok(bed.told().includes("ready x"));
});

Deno.test("the portal's news end the waiting for a silent relay, one way or the other", () => {
  const bed = new Bed();
  bed.update([], [bed.describe("x"), bed.describe("y")]);
  bed.run(60_000);
  const x = bed.start("x");
  bed.update(["y"], [x]);
  assert.ok(bed.relays.isReady("x"), "at once");
  bed.sent.length = 0;
  bed.run(60_000);
  assert.equal(bed.sent.some((sent) => sent.endsWith(" y")), false, "removed is removed");
});

Deno.test("credentials that have expired are the portal's business: no tries of our own", () => {
  const bed = new Bed();
  bed.update([], [bed.start("a")]);
  bed.run(1_000);
  bed.told();
  for (const server of bed.servers.values()) server.unixNow = UNIX_NOW + 90_000;
  bed.run(3_600_000);
  assert.deepEqual(bed.told(), ["withdrawn a", "lost a", "none"]);
  assert.equal(bed.relays.size, 0);
  assert.equal(bed.relays.pollTimeout(), Infinity);
});

Deno.test("answers that our credentials don't verify count as silence", () => {
  const bed = new Bed();
  bed.update([], [bed.start("a", "another secret")]);
  bed.run(9_000);
  assert.deepEqual(bed.told().slice(0, 4), ["host", "server-reflexive", "lost a", "none"]);
});

Deno.test("release frees every allocation at its relay, and neither complains nor tries again", () => {
  const bed = new Bed();
  bed.update([], [bed.start("a"), bed.start("b")]);
  bed.run(1_000);
  bed.told();
  bed.relays.release(bed.now);
  bed.settle();
  for (const server of bed.servers.values()) assert.equal(server.server.allocations, 0);
  assert.equal(bed.relays.size, 0);
  assert.equal(bed.told().includes("none"), false);
  assert.equal(bed.relays.pollTimeout(), Infinity);
});

/** How often each of `rtts` is picked in 1000 tries, by index. */
function sample(rtts: readonly (number | undefined)[]): number[] {
  const next = seededNumber(1);
  const random = (n: number) => Uint8Array.from({ length: n }, () => Math.floor(next() * 256));
  const counts = rtts.map(() => 0);
  const relays = rtts.map((rtt, i) => ({ rtt, i }));
  for (let n = 0; n < 1_000; n++) counts[sampleByRoundTrip(relays, random)!.i]!++;
  return counts;
}

Deno.test("sampling: of two relays the second is used within 1.5 times the best round trip", () => {
  assert.equal(sample([10]).at(0), 1_000);
  assert.ok(sample([10, 15]).every((count) => count > 400));
  assert.deepEqual(sample([10, 15.1]), [1_000, 0]);
});

Deno.test("sampling: of three and more, outliers are left out and similar ones share the load", () => {
  const counts = sample([20, 21, 22, 23, 200]);
  assert.equal(counts[4], 0);
  assert.ok(counts.slice(0, 4).every((count) => count > 150), `${counts}`);
});

Deno.test("sampling: the deviation has a floor of 2 ms, and a median of an even number is the middle", () => {
  assert.ok(sample([10, 10, 10, 16])[3]! > 150, "10 + 3 × 2 ms is not an outlier");
  assert.equal(sample([10, 10, 10, 16.1])[3], 0);
  // Median 15, deviations 5: up to 30.
  assert.ok(sample([10, 10, 20, 30])[3]! > 0);
  assert.equal(sample([10, 10, 20, 30.1])[3], 0);
});

Deno.test("sampling: relays that have not answered are left out, unless none has; the only one always counts", () => {
  assert.deepEqual(sample([undefined, 500]), [0, 1_000]);
  assert.ok(sample([undefined, undefined]).every((count) => count > 400));
  assert.equal(sampleByRoundTrip([], (n) => new Uint8Array(n)), undefined);
});
