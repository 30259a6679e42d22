/** The simulated network itself. */
import assert from "node:assert/strict";
import { SocketAddress } from "../../mod/packet/address.ts";
import type { Transmit } from "../../mod/packet/transmit.ts";
import type { Datagram, Machine } from "./mod.ts";
import { NAT_KINDS, type NatOptions, Portal, World } from "./mod.ts";

function address(text: string): SocketAddress {
  return SocketAddress.parse(text)!;
}

/** Sends what it is told to and keeps what it gets. */
class Probe implements Machine {
  readonly received: { readonly text: string; readonly from: string; readonly at: number }[] = [];
  readonly #out: Transmit[] = [];

  say(to: string, text: string): this {
    this.#out.push({ dst: address(to), payload: new TextEncoder().encode(text) });
    return this;
  }

  get texts(): string[] {
    return this.received.map(({ text }) => text);
  }

  handleDatagram({ source, payload }: Datagram, now: number): void {
    this.received.push({ text: new TextDecoder().decode(payload), from: source.key, at: now });
  }
  handleTimeout(): void {}
  pollTimeout(): undefined {
    return undefined;
  }
  pollTransmit(): Transmit | undefined {
    return this.#out.shift();
  }
}

function twoHosts(conditions: object, seed = 1) {
  const world = new World({ seed });
  const a = new Probe(), b = new Probe();
  world.host("a").connect(world.internet, { v4: "1.0.0.1" }, conditions).bind(1, a);
  world.host("b").connect(world.internet, { v4: "1.0.0.2" }, { latency: 5 }).bind(2, b);
  return { world, a, b };
}

/** A probe behind a NAT and two remote hosts with two ports each. */
function behindNat(options: Partial<NatOptions>) {
  const world = new World();
  const nat = world.nat("nat", options, { v4: "5.0.0.1" });
  const inside = new Probe();
  const x1 = new Probe(), x2 = new Probe(), y1 = new Probe();
  world.host("inside").connect(nat.inside, { v4: "192.168.0.2" }).bind(100, inside);
  world.host("x").connect(world.internet, { v4: "6.0.0.1" }).bind(1, x1).bind(2, x2);
  world.host("y").connect(world.internet, { v4: "6.0.0.2" }).bind(1, y1);
  return { world, nat, inside, x1, x2, y1 };
}

Deno.test("a datagram takes the latency of both links", () => {
  const { world, a, b } = twoHosts({ latency: 20 });
  a.say("1.0.0.2:2", "hello");
  const start = world.now;
  world.run(100);
  assert.deepEqual(b.received, [{ text: "hello", from: "1.0.0.1:1", at: start + 25 }]);
});

Deno.test("jitter keeps the order, reorder breaks it, duplicate doubles, loss loses", () => {
  const send = (conditions: object) => {
    const { world, a, b } = twoHosts(conditions);
    for (let i = 0; i < 400; i++) world.after(i, () => void a.say("1.0.0.2:2", `${i}`));
    world.run(2_000);
    return b.texts.map(Number);
  };
  const sorted = (values: number[]) => values.every((value, i) => i === 0 || value >= values[i - 1]!);
  const jittered = send({ jitter: 50 });
  assert.ok(jittered.length === 400 && sorted(jittered));
  const reordered = send({ reorder: 0.1 });
  assert.ok(reordered.length === 400 && !sorted(reordered));
  const doubled = send({ duplicate: 0.5 }).length;
  assert.ok(doubled > 500 && doubled < 700, `${doubled}`);
  const lost = send({ loss: 0.25 }).length;
  assert.ok(lost > 250 && lost < 350, `${lost}`);
});

Deno.test("datagrams over the MTU vanish", () => {
  const { world, a, b } = twoHosts({ mtu: 100 });
  a.say("1.0.0.2:2", "x".repeat(72)).say("1.0.0.2:2", "x".repeat(73));
  world.run(100);
  assert.equal(b.received.length, 1);
  assert.equal(world.trace.drops.get("too big"), 1);
});

Deno.test("partitions, closed ports and unknown addresses drop and are counted", () => {
  const { world, a, b } = twoHosts({});
  a.say("1.0.0.2:9", "closed").say("9.9.9.9:1", "nowhere");
  world.run(100);
  assert.deepEqual([...world.trace.drops], [["no route", 1], ["port closed", 1]]);
  assert.equal(b.received.length, 0);
});

Deno.test("a partition holds both ways until it heals", () => {
  const world = new World();
  const a = new Probe(), b = new Probe();
  const hostA = world.host("a").connect(world.internet, { v4: "1.0.0.1" }).bind(1, a);
  const hostB = world.host("b").connect(world.internet, { v4: "1.0.0.2" }).bind(2, b);
  world.partition(hostA, hostB);
  a.say("1.0.0.2:2", "1");
  b.say("1.0.0.1:1", "2");
  world.run(10);
  assert.equal(a.received.length + b.received.length, 0);
  world.heal(hostA, hostB);
  a.say("1.0.0.2:2", "3");
  world.run(10);
  assert.deepEqual(b.texts, ["3"]);
});

Deno.test("a host that moves is reached at its new address only", () => {
  const { world, a, b } = twoHosts({});
  const moving = world.host("m").connect(world.internet, { v4: "1.0.0.3" });
  const probe = new Probe();
  moving.bind(1, probe).disconnect().connect(world.internet, { v4: "1.0.0.4" });
  a.say("1.0.0.3:1", "old").say("1.0.0.4:1", "new");
  probe.say("1.0.0.2:2", "moved");
  world.run(100);
  assert.deepEqual(probe.texts, ["new"]);
  assert.equal(b.received[0]!.from, "1.0.0.4:1");
});

Deno.test("mapping: one outside address for all, per address, or per address and port", () => {
  const seen = (mapping: NatOptions["mapping"]) => {
    const { world, inside, x1, x2, y1 } = behindNat({ mapping, ports: "random" });
    inside.say("6.0.0.1:1", "1").say("6.0.0.1:2", "2").say("6.0.0.2:1", "3");
    world.run(10);
    const from = [x1, x2, y1].map((probe) => probe.received[0]!.from);
    assert.ok(from.every((key) => key.startsWith("5.0.0.1:")));
    return from.map((key) => from.indexOf(key));
  };
  assert.deepEqual(seen("endpoint-independent"), [0, 0, 0]);
  assert.deepEqual(seen("address-dependent"), [0, 0, 2]);
  assert.deepEqual(seen("address-and-port-dependent"), [0, 1, 2]);
});

Deno.test("filtering: anybody, the address that was contacted, or its port only", () => {
  const heard = (filtering: NatOptions["filtering"]) => {
    const { world, inside, x1, x2, y1 } = behindNat({ filtering });
    inside.say("6.0.0.1:1", "out");
    world.run(10);
    x1.say("5.0.0.1:100", "x1");
    x2.say("5.0.0.1:100", "x2");
    y1.say("5.0.0.1:100", "y1");
    world.run(10);
    return inside.texts;
  };
  assert.deepEqual(heard("endpoint-independent"), ["x1", "x2", "y1"]);
  assert.deepEqual(heard("address-dependent"), ["x1", "x2"]);
  assert.deepEqual(heard("address-and-port-dependent"), ["x1"]);
});

Deno.test("a mapping expires without use, and inbound traffic keeps it where the NAT does that", () => {
  for (const inboundRefreshes of [true, false]) {
    const { world, inside, x1 } = behindNat({ expiry: 1_000, inboundRefreshes });
    inside.say("6.0.0.1:1", "out");
    world.run(800);
    x1.say("5.0.0.1:100", "first");
    world.run(800);
    x1.say("5.0.0.1:100", "second");
    world.run(10);
    assert.deepEqual(inside.texts, inboundRefreshes ? ["first", "second"] : ["first"]);
    world.run(2_000);
    x1.say("5.0.0.1:100", "third");
    world.run(10);
    assert.ok(!inside.texts.includes("third"));
  }
});

Deno.test("hairpinning works only where the NAT does it", () => {
  for (const hairpin of [true, false]) {
    const { world, nat, inside } = behindNat({ hairpin, filtering: "endpoint-independent" });
    const other = new Probe();
    world.host("other").connect(nat.inside, { v4: "192.168.0.3" }).bind(200, other);
    inside.say("6.0.0.1:1", "out");
    world.run(10);
    other.say("5.0.0.1:100", "from inside");
    world.run(10);
    assert.deepEqual(inside.texts, hairpin ? ["from inside"] : []);
  }
});

Deno.test("IPv6 behind a NAT keeps its address behind a stateful firewall", () => {
  const world = new World();
  const nat = world.nat("nat", "port-restricted cone", { v4: "5.0.0.1" });
  const inside = new Probe(), outside = new Probe();
  world.host("inside").connect(nat.inside, { v6: "2001:db8::1" }).bind(100, inside);
  world.host("outside").connect(world.internet, { v6: "2001:db8:f::1" }).bind(1, outside);
  outside.say("[2001:db8::1]:100", "unasked");
  world.run(10);
  inside.say("[2001:db8:f::1]:1", "out");
  world.run(10);
  outside.say("[2001:db8::1]:100", "answer");
  world.run(10);
  assert.deepEqual(inside.texts, ["answer"]);
  assert.equal(outside.received[0]!.from, "[2001:db8::1]:100");
});

Deno.test("NATs can stand behind NATs, and a rebooted one has forgotten everything", () => {
  const world = new World();
  const carrier = world.nat("carrier", "port-restricted cone", { v4: "5.0.0.1" });
  const home = world.nat("home", NAT_KINDS["full cone"], { v4: "100.64.0.2" }, { outside: carrier.inside });
  const inside = new Probe(), outside = new Probe();
  world.host("inside").connect(home.inside, { v4: "192.168.0.2" }).bind(100, inside);
  world.host("outside").connect(world.internet, { v4: "6.0.0.1" }).bind(1, outside);
  inside.say("6.0.0.1:1", "out");
  world.run(10);
  const { from } = outside.received[0]!;
  assert.equal(from, "5.0.0.1:100");
  outside.say(from, "answer");
  world.run(10);
  assert.deepEqual(inside.texts, ["answer"]);
  carrier.reboot();
  outside.say(from, "again");
  world.run(10);
  assert.deepEqual(inside.texts, ["answer"]);
});

Deno.test("the portal keeps order, holds messages while it is away, and obeys its script", () => {
  const world = new World();
  const portal = new Portal<number>(world);
  const got: number[] = [];
  portal.join("b", (message) => void got.push(message));
  portal.script = ({ message }) => message === 1 ? 500 : message !== 3;
  for (const message of [1, 2, 3]) portal.send("a", "b", message);
  world.run(1_000);
  assert.deepEqual(got, [1, 2]);
  portal.state = "hold";
  portal.send("a", "b", 4);
  world.run(1_000);
  assert.deepEqual(got, [1, 2]);
  portal.restore();
  world.run(1_000);
  assert.deepEqual(got, [1, 2, 4]);
});

Deno.test("a machine that never comes to rest, or looks back in time, is an error", () => {
  const machine = (due: (now: number) => number): Machine => {
    let at = 0;
    return {
      handleDatagram() {},
      handleTimeout(now) {
        at = now;
      },
      pollTimeout: () => due(at),
      pollTransmit: () => undefined,
    };
  };
  const world = new World();
  world.host("a").bind(1, machine((now) => now));
  assert.throws(() => world.run(10), /does not come to rest/);
  const other = new World();
  other.host("b").bind(1, machine((now) => now - 1));
  assert.throws(() => other.run(10), /before/);
});
