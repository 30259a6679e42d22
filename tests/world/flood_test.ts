/** Floods by strangers in the simulated internet, and who must not notice them: everybody else. */
import assert from "node:assert/strict";
import { SocketAddress } from "../../mod/packet/address.ts";
import { Flooder, strangersChecks, strangersInitiations } from "./flooder.ts";
import { NodeWorld, SOCKET_PORT } from "./node_world.ts";
import { Random } from "./random.ts";

const RATE = 20_000, HOLD = 5_000, REKEY_AFTER = 120_000;
const random = new Random(3);

/** A stranger who begins to flood the gateway, from an address of its own or from behind the client's NAT. */
function flood(
  stage: NodeWorld,
  messages: readonly Uint8Array[],
  { rate = RATE, besideClient = false } = {},
): Flooder {
  const { client, gateway } = stage.ends;
  const host = stage.world.host("stranger").connect(
    besideClient ? client.nat!.inside : stage.world.internet,
    {
      v4: besideClient ? "192.168.1.66" : "203.0.113.66",
    },
  );
  const flooder = new Flooder(messages, SocketAddress.of(gateway.host.ip(4)!, SOCKET_PORT)!, rate);
  host.bind(4444, flooder);
  return flooder;
}

const passed = (stage: NodeWorld, flooder: Flooder) => flooder.sent - stage.gateway.kernel.dropped;
const session = ({ client, world }: NodeWorld) =>
  client.node.connection("gateway")!.tunnel.sendSession(world.now);

Deno.test("a flood of checks for nobody ends in the kernel, and a client connects beside it as fast as in peace", () => {
  const peace = new NodeWorld({ clientNat: "port-restricted cone" }).connect()!;
  const stage = new NodeWorld({ clientNat: "port-restricted cone" });
  const flooder = flood(stage, strangersChecks(random, 50));
  stage.world.run(2_000);
  const entered = passed(stage, flooder);
  assert.ok(entered <= 2_000 + RATE * 0.02, `${entered} of ${flooder.sent} passed or are under way`);
  assert.equal(stage.connect(), peace);
  stage.world.run(2_000);
  assert.ok(stage.exchange());
  assert.equal(flooder.answers, 0);
  assert.equal(stage.gateway.counters.get("floods_screened"), 2, "anew once for the client's sake");
});

Deno.test("what the kernel keeps out is looked at anew every five seconds, and nothing is kept out after a flood", () => {
  const stage = new NodeWorld();
  assert.notEqual(stage.connect(), undefined);
  const flooder = flood(stage, strangersChecks(random, 50), { rate: 5_000 });
  stage.world.run(2 * HOLD);
  assert.equal(stage.gateway.counters.get("floods_screened"), 2);
  flooder.stop();
  stage.world.run(HOLD + 1_000);
  assert.equal(stage.gateway.node.screening.pollTimeout(), Infinity);
  const { dropped } = stage.gateway.kernel;
  const before = stage.gateway.counters.get("drop_stun_unknown_peer");
  stage.gateway.handleDatagram({
    source: SocketAddress.of("203.0.113.66", 4444)!,
    destination: SocketAddress.of(stage.ends.gateway.host.ip(4)!, SOCKET_PORT)!,
    payload: flooder.messages[0]!,
    ecn: 0,
    origin: "stranger",
  }, stage.world.now);
  assert.equal(stage.gateway.counters.get("drop_stun_unknown_peer"), before + 1);
  assert.equal(stage.gateway.kernel.dropped, dropped);
});

Deno.test("a flood of initiations is thinned, and a newcomer connects beside it, even from the same address", () => {
  for (const besideClient of [false, true]) {
    const stage = new NodeWorld({ clientNat: "restricted cone" });
    const flooder = flood(stage, strangersInitiations(random, stage.gateway.publicKey, 20), { besideClient });
    stage.world.run(1_000);
    const before = passed(stage, flooder), { sent } = flooder;
    stage.world.run(3_000);
    const share = (passed(stage, flooder) - before) / (flooder.sent - sent);
    assert.ok(share > 0.003 && share < 0.0049, `${share} of them pass, not one in 256`);
    const took = stage.connect();
    assert.ok(took !== undefined && took <= 500, `connected after ${took} ms`);
    assert.ok(flooder.answers > 0, "the limit was reached");
    assert.deepEqual(stage.failures(), []);
  }
});

Deno.test("a flood of initiations that goes on is noticed once, and nothing of it is kept out six seconds after its end", () => {
  const stage = new NodeWorld();
  assert.notEqual(stage.connect(), undefined);
  const flooder = flood(stage, strangersInitiations(random, stage.gateway.publicKey, 20), { rate: 5_000 });
  stage.world.run(3 * HOLD + 500);
  assert.equal(stage.gateway.counters.get("floods_screened"), 1);
  const entered = passed(stage, flooder);
  assert.ok(entered < 2_000 + 5_000 * 0.02 + flooder.sent / 128, `${entered} of ${flooder.sent} passed`);
  flooder.stop();
  stage.world.run(HOLD + 1_000);
  assert.equal(stage.gateway.node.screening.pollTimeout(), Infinity);
});

Deno.test("a client's session is renewed in time beside a flood from its own address", () => {
  const stage = new NodeWorld({ clientNat: "restricted cone" });
  assert.notEqual(stage.connect(), undefined);
  const first = session(stage);
  stage.longestOutage(REKEY_AFTER - 3_000);
  assert.equal(session(stage), first);
  const flooder = flood(stage, strangersInitiations(random, stage.gateway.publicKey, 20), {
    besideClient: true,
  });
  const outage = stage.longestOutage(5_000);
  assert.ok(
    stage.gateway.kernel.dropped > 70_000,
    `${stage.gateway.kernel.dropped} of ${flooder.sent} dropped`,
  );
  assert.ok(outage <= 150, `${outage} ms without an echo`);
  assert.notEqual(session(stage), first, "at once, not after some tries");
});
