import assert from "node:assert/strict";
import fc from "fast-check";
import { PortalError } from "../../mod/portal/failure.ts";
import { ChannelWorld } from "./support.ts";

const HOUR = 3_600_000;

Deno.test("the first frame is the join with a null payload and ref 0", () => {
  const world = new ChannelWorld().open();
  assert.deepEqual(world.frames, [{ topic: "gateway", event: "phx_join", payload: null, ref: 0 }]);
  assert.equal(world.channel.isJoined, false);
  world.ok(0);
  assert.equal(world.channel.isJoined, true);
  assert.deepEqual(world.take(), ["0 dial 1", "0 → gateway phx_join 0", "0 joined"]);
});

Deno.test("refs count every frame and restart at 0 with each socket", () => {
  const world = new ChannelWorld().join();
  world.channel.send("no_relays", {});
  world.drain().at(10_000);
  assert.deepEqual(world.frames.map((f) => [f.event, f.ref]), [["phx_join", 0], ["no_relays", 1], [
    "heartbeat",
    2,
  ]]);
  world.closed().at(11_000).open();
  assert.equal(world.frames.at(-1)!.ref, 0);
});

Deno.test("nothing but heartbeats leaves before the join is answered", () => {
  const world = new ChannelWorld().open();
  assert.equal(world.channel.send("flow_authorized", { ref: "x" }), false);
  world.at(9_999).drain();
  assert.deepEqual(world.frames.map((f) => f.event), ["phx_join"]);
});

Deno.test("a join that is not answered in 10 s is a dead link", () => {
  const world = new ChannelWorld().open().at(9_999);
  world.take();
  world.at(10_000);
  assert.deepEqual(world.take(), [
    "10000 hangup 1000",
    "10000 down 1000: the portal did not answer the join",
  ]);
});

Deno.test("heartbeats leave every 10 s whatever else is sent, on the phoenix topic", () => {
  const world = new ChannelWorld().join().at(5_000);
  world.channel.send("no_relays", {});
  world.drain().at(10_000).ok(2, "phoenix").at(20_000);
  const beats = world.frames.filter((f) => f.event === "heartbeat");
  assert.deepEqual(beats, [
    { topic: "phoenix", event: "heartbeat", payload: {}, ref: 2 },
    { topic: "phoenix", event: "heartbeat", payload: {}, ref: 3 },
  ]);
});

Deno.test("more than three unanswered heartbeats are a dead link", () => {
  const world = new ChannelWorld().join().at(49_999);
  assert.equal(world.frames.filter((f) => f.event === "heartbeat").length, 4);
  assert.equal(world.channel.isJoined, true);
  world.take();
  world.at(50_000);
  assert.deepEqual(world.take(), [
    "50000 hangup 1000",
    "50000 down 500: the portal does not answer heartbeats",
  ]);
});

Deno.test("an answered heartbeat clears the ones before it", () => {
  const world = new ChannelWorld().join();
  for (let i = 1; i <= 100; i++) {
    world.at(i * 10_000);
    if (i % 3 === 0) world.ok(i, "phoenix");
  }
  assert.equal(world.channel.isJoined, true);
});

Deno.test("a machine that slept sends one heartbeat, not one for each that it missed", () => {
  const world = new ChannelWorld().join();
  world.now = HOUR;
  world.channel.handleTimeout(HOUR);
  world.drain();
  assert.equal(world.frames.filter((f) => f.event === "heartbeat").length, 1);
  assert.ok(world.channel.pollTimeout()! > HOUR);
});

Deno.test("a dial that takes longer than 15 s is abandoned", () => {
  const world = new ChannelWorld({ firstConnectTimeout: HOUR }).at(14_999);
  world.take();
  world.at(15_000);
  assert.deepEqual(world.take(), ["15000 hangup 1000", "15000 down 1000: no connection in time"]);
  world.at(16_000);
  assert.deepEqual(world.take(), ["16000 dial 2"]);
});

Deno.test("the first connection is tried every second for 15 s, then the link gives up", () => {
  const world = new ChannelWorld();
  for (let i = 0; i < 20 && world.channel.pollTimeout() !== undefined; i++) {
    world.dialError().at((i + 1) * 1_000);
  }
  const dials = world.events.filter((event) => event.type === "dial").length;
  assert.equal(dials, 16);
  const last = world.events.at(-1)!;
  assert.ok(last.type === "failed" && last.error instanceof PortalError && last.error.kind === "gave_up");
  assert.match(last.error.message, /ECONNREFUSED/);
  assert.equal(world.channel.pollTimeout(), undefined);
});

Deno.test("after a join the back-off grows, and it is a join that resets it, not a 101", () => {
  const world = new ChannelWorld().join().closed();
  const pauses = () => world.events.flatMap((event) => (event.type === "down" ? [event.retryIn] : []));
  for (let i = 0; i < 4; i++) world.at(world.channel.pollTimeout()!).open().closed();
  assert.deepEqual(pauses(), [500, 750, 1125, 1688, 2531]);
  world.at(world.channel.pollTimeout()!).join().closed();
  assert.equal(pauses().at(-1), 500);
});

Deno.test("the pause never grows beyond a minute, and the link gives up after the partition time", () => {
  const world = new ChannelWorld({ maxPartitionTime: HOUR }).join().at(1_000).closed();
  while (world.channel.pollTimeout() !== undefined) {
    world.at(world.channel.pollTimeout()!);
    world.dialError();
  }
  const pauses = world.events.flatMap((event) => (event.type === "down" ? [event.retryIn] : []));
  assert.ok(Math.max(...pauses) <= 60_000);
  assert.ok(world.now > HOUR - 60_000 && world.now <= HOUR + 1_000, `${world.now}`);
  assert.equal(world.take().at(-1), `${world.now} failed gave_up`);
});

Deno.test("an outage of almost a day is survived, and the next one counts anew", () => {
  const world = new ChannelWorld().join().at(1_000).closed();
  const outage = () => {
    const begin = world.now;
    while (world.now - begin < 23 * HOUR) world.at(world.channel.pollTimeout()!).dialError();
    world.at(world.channel.pollTimeout()!).join();
  };
  outage();
  world.closed();
  outage();
  assert.equal(world.channel.isJoined, true);
});

Deno.test("only 401 among the refusals is final; it carries the problem's code", () => {
  const world = new ChannelWorld().refuse(401, '{"code":"invalid_token","detail":"nope"}');
  const last = world.events.at(-1)!;
  assert.ok(last.type === "failed");
  assert.equal(last.error.kind, "unauthorized");
  assert.equal(last.error.code, "invalid_token");
  assert.match(last.error.message, /HTTP 401: nope/);
  for (const status of [301, 400, 402, 403, 404, 408, 409, 422, 426, 429, 500, 502, 503]) {
    const other = new ChannelWorld().refuse(status, "Some\r\nreason");
    assert.match(other.take()[1]!, new RegExp(`^0 down \\d+: HTTP ${status}: Some reason$`));
  }
});

Deno.test("a portal that says not now is waited for beyond the limit of the first connection", () => {
  for (const [status, retryAfter] of [[409], [429], [500], [503], [403, "1"]] as [number, string?][]) {
    const world = new ChannelWorld().refuse(status, "", retryAfter);
    while (world.now < 60_000) world.at(world.channel.pollTimeout()!).refuse(status, "", retryAfter);
    world.at(world.channel.pollTimeout()!).dialError().at(world.channel.pollTimeout()!).join();
    assert.ok(world.channel.isJoined, `${status}`);
  }
  for (const status of [400, 403, 404, 422]) {
    const world = new ChannelWorld();
    while (world.channel.pollTimeout() !== undefined) {
      world.refuse(status).at(world.channel.pollTimeout() ?? world.now);
    }
    assert.match(world.take().at(-1)!, /^1\d000 failed gave_up$/, `${status}`);
  }
});

Deno.test("a proxy's no is waited for as well", () => {
  const world = new ChannelWorld();
  while (world.now < 60_000) {
    world.channel.handleDialError("the proxy wants credentials (HTTP 407)", world.now, true);
    world.drain().at(world.channel.pollTimeout()!);
  }
  assert.equal(world.join().channel.isJoined, true);
});

Deno.test("Retry-After overrides the pause, before and after the first join", () => {
  assert.equal(new ChannelWorld().refuse(503, "", "40").take().at(-1), "0 down 40000: HTTP 503");
  const world = new ChannelWorld().join().closed().at(500).refuse(429, "", "3");
  assert.equal(world.take().at(-1), "500 down 3000: HTTP 429");
  world.at(3_499);
  assert.deepEqual(world.take(), []);
  world.at(3_500);
  assert.deepEqual(world.take(), ["3500 dial 3"]);
});

Deno.test("what the portal says ends without a full stop of its own: it stands inside our sentence", () => {
  const world = new ChannelWorld().refuse(401, '{"code":"invalid_token","detail":"It has expired."}');
  const last = world.events.at(-1);
  assert.ok(last?.type === "failed");
  assert.equal(
    last.error.message,
    "Cannot log in to the portal: HTTP 401: It has expired. Check the token.",
  );
});

Deno.test("a join refused for a passing reason is tried again, for a lasting one it is final", () => {
  const passing = new ChannelWorld().open().error(0, "overloaded");
  assert.deepEqual(passing.take().slice(2), [
    "0 hangup 1000",
    "0 down 1000: the portal refused the join: overloaded",
  ]);
  for (const reason of ["disabled", "invalid_version", "token_expired"]) {
    const lasting = new ChannelWorld().open().error(0, reason);
    assert.deepEqual(lasting.take().slice(2), ["0 hangup 1000", "0 failed join_refused"]);
  }
});

Deno.test("phx_close and other disconnects mean reconnect, phx_error means nothing, token_expired is final", () => {
  const after = (event: string, payload: unknown) => {
    const world = new ChannelWorld().join();
    world.take();
    return world.frame(event, payload).take();
  };
  assert.deepEqual(after("phx_close", {}), ["0 hangup 1000", "0 down 500: the portal closed the channel"]);
  assert.deepEqual(after("phx_error", {}), ["0 ignored phx_error"]);
  assert.deepEqual(after("disconnect", { reason: "certificate_revoked" }), [
    "0 hangup 1000",
    "0 down 500: the portal disconnected us: certificate_revoked",
  ]);
  for (const reason of [undefined, null, 7, { toString: 1 }, { toString: null, valueOf: null }]) {
    assert.deepEqual(after("disconnect", { reason }), [
      "0 hangup 1000",
      "0 down 500: the portal disconnected us: unspecified",
    ]);
  }
  assert.deepEqual(after("disconnect", { reason: "token_expired" }), [
    "0 hangup 1000",
    "0 failed token_expired",
  ]);
});

Deno.test("an error reply names the event that it answers; unmatched topic means join again on the same socket", () => {
  const world = new ChannelWorld().join();
  world.take();
  world.channel.send("flow_authorized", { ref: "r" });
  world.drain().error(1, "invalid_ref");
  assert.deepEqual(world.take(), [
    "0 → gateway flow_authorized 1",
    "0 rejected flow_authorized: invalid_ref",
  ]);
  world.channel.send("no_relays", {});
  world.drain().error(2, "unmatched topic");
  assert.deepEqual(world.take(), [
    "0 → gateway no_relays 2",
    "0 rejected no_relays: unmatched topic",
    "0 → gateway phx_join 3",
  ]);
  assert.equal(world.channel.isJoined, false);
  world.ok(3);
  assert.equal(world.channel.isJoined, true);
});

Deno.test("replies to what was never asked, and replies without ref, change nothing", () => {
  const world = new ChannelWorld().join();
  world.take();
  world.ok(77).frame("phx_reply", { status: "ok", response: {} }).frame("phx_reply", null, 0).ok(0);
  assert.deepEqual(world.take().filter((line) => !line.includes("ignored")), []);
  assert.equal(world.channel.isJoined, true);
});

Deno.test("broken, empty and foreign frames are ignored and the link stays", () => {
  const world = new ChannelWorld().join();
  world.take();
  for (
    const text of ["", "{", "null", "[]", "7", '"x"', "{}", '{"topic":"gateway"}', '{"topic":1,"event":"x"}']
  ) {
    world.text(text);
  }
  world.text('{"topic":"gateway","event":"init","payload":{},"ref":"0"}').frame(
    "init",
    {},
    null,
    "elsewhere",
  );
  assert.ok(world.take().every((line) => line.includes("ignored")));
  assert.equal(world.channel.isJoined, true);
});

Deno.test("a forced reconnect hangs up and dials at once, but not in a loop", () => {
  const world = new ChannelWorld().join().at(10_000);
  world.take();
  assert.equal(world.channel.reconnect(world.now), true);
  assert.deepEqual(world.drain().take(), ["10000 hangup 1000", "10000 dial 2"]);
  assert.equal(world.channel.reconnect(world.now + 4_999), false);
  assert.equal(world.channel.reconnect(world.now + 5_000), true);
});

Deno.test("news of the network bring the next attempt forward, but not in a loop", () => {
  const world = new ChannelWorld().join().at(1_000).closed();
  for (let i = 0; i < 12; i++) world.at(world.channel.pollTimeout()!).dialError();
  const waiting = world.channel.pollTimeout()! - world.now;
  assert.ok(waiting > 20_000, `${waiting} ms of back-off`);
  world.at(world.now + 500).take();
  world.channel.networkChanged(world.now);
  assert.deepEqual(world.drain().take(), []);
  world.at(world.now + 500);
  assert.match(world.take()[0]!, /dial 14$/);
  world.dialError();
  assert.ok(world.channel.pollTimeout()! - world.now <= 750, "the back-off starts anew");
});

Deno.test("a portal that asked for patience gets it, whatever happens to the network", () => {
  const world = new ChannelWorld().join().at(1_000).closed().at(1_500).refuse(503, "busy", "60").at(10_000);
  world.take();
  world.channel.networkChanged(world.now);
  assert.deepEqual(world.drain().take(), []);
});

Deno.test("a link in doubt that answers stays, one that does not is given up within seconds", () => {
  const world = new ChannelWorld().join().at(1_000);
  world.channel.verify(world.now);
  world.drain().ok(1, "phoenix").at(9_999);
  assert.equal(world.channel.isJoined, true);
  assert.equal(world.frames.filter(({ event }) => event === "heartbeat").length, 1);
  world.channel.verify(world.now);
  world.drain().take();
  world.at(12_998);
  assert.equal(world.channel.isJoined, true);
  world.at(12_999);
  assert.deepEqual(world.take().slice(-2), [
    "12999 hangup 1000",
    "12999 down 500: the portal does not answer since the network changed",
  ]);
});

Deno.test("every change of our address means a new socket at once; changes without end mean a test of the link", () => {
  const world = new ChannelWorld().join().at(1_000);
  world.take();
  for (let i = 0; i < 3; i++) {
    world.channel.move(world.now);
    assert.deepEqual(world.drain().take(), [`${world.now} hangup 1000`, `${world.now} dial ${i + 2}`]);
    world.at(world.now + 200).open().ok(0).take();
  }
  world.channel.move(world.now);
  assert.deepEqual(world.drain().take(), ["1600 → phoenix heartbeat 1"]);
  world.ok(1, "phoenix").at(5_999).take();
  assert.equal(world.channel.isJoined, true);
  world.at(6_000);
  assert.deepEqual(
    world.take(),
    ["6000 hangup 1000", "6000 dial 5"],
    "its time has come, although the link answers",
  );
});

Deno.test("a link that has to show again and again that it works is asked once a second", () => {
  const world = new ChannelWorld().join().at(1_000);
  const beats = () => world.frames.filter(({ event }) => event === "heartbeat");
  for (let ms = 1_000; ms < 9_000; ms++) {
    world.at(ms);
    world.channel.networkChanged(ms);
    world.drain();
    if (beats().length > 0 && beats().at(-1)!.ref === beats().length) {
      world.ok(beats().at(-1)!.ref, "phoenix");
    }
  }
  assert.equal(beats().length, 8);
  world.at(9_500);
  assert.equal(beats().length, 9, "and once more after the last change");
  assert.equal(world.channel.isJoined, true);
});

Deno.test("a change while the link is being asked is asked about afterwards", () => {
  const world = new ChannelWorld().join().at(1_000);
  world.channel.networkChanged(world.now);
  world.drain().at(1_100);
  world.channel.networkChanged(world.now);
  world.drain().ok(1, "phoenix").at(2_000);
  assert.deepEqual(world.frames.filter(({ event }) => event === "heartbeat").map(({ ref }) => ref), [1, 2]);
  world.at(5_000);
  assert.equal(world.channel.isJoined, false, "the second question is not answered");
});

Deno.test("a dial during which the network changes has a second left, but a slow portal is reached all the same", () => {
  const world = new ChannelWorld().join().at(10_000);
  world.channel.move(world.now);
  world.drain().take();
  const dials: string[] = [];
  for (let ms = 10_000; ms < 30_000; ms += 100) {
    world.channel.networkChanged(ms);
    dials.push(...world.drain().at(ms + 100).take().filter((line) => / dial /.test(line)));
  }
  assert.equal(dials.length, 4, `${dials}`);
  assert.ok(Number(dials[0]!.split(" ")[0]) <= 12_000, `${dials}`);
  const last = Number(dials[2]!.split(" ")[0]);
  assert.equal(Number(dials[3]!.split(" ")[0]) - last >= 15_000, true, "the fourth has the usual time");
});

Deno.test("a dial in doubt is given up within seconds", () => {
  const world = new ChannelWorld().join().at(1_000).closed().at(1_500);
  world.channel.verify(world.now);
  world.take();
  world.at(4_500);
  assert.match(world.take().join(), /no connection in time/);
});

Deno.test("close hangs up with 1000 and nothing follows", () => {
  const world = new ChannelWorld().join();
  world.take();
  world.channel.close();
  world.drain().text('{"topic":"gateway","event":"phx_close","payload":{},"ref":null}').closed().at(HOUR);
  assert.deepEqual(world.take(), ["0 hangup 1000"]);
  assert.equal(world.channel.pollTimeout(), undefined);
});

Deno.test("what happens to a socket after the hangup is nobody's business", () => {
  const world = new ChannelWorld().join().frame("phx_close", {});
  world.take();
  world.closed().open().ok(0);
  assert.deepEqual(world.take(), []);
});

Deno.test("whatever arrives in whatever order: no throw, timers in the future, frames only on an open socket", () => {
  const frame = fc.oneof(
    fc.string(),
    fc.json(),
    fc.record({
      topic: fc.constantFrom("gateway", "phoenix", "x"),
      event: fc.constantFrom("phx_reply", "phx_close", "phx_error", "disconnect", "init", "heartbeat"),
      payload: fc.oneof(
        fc.jsonValue(),
        fc.constantFrom({ status: "ok", response: {} }, { reason: "token_expired" }),
      ),
      ref: fc.oneof(fc.nat({ max: 5 }), fc.constant(null), fc.string()),
    }).map((value) => JSON.stringify(value)),
  );
  const step = fc.oneof(
    frame.map((text) => (w: ChannelWorld) => w.text(text)),
    fc.constantFrom<(w: ChannelWorld) => unknown>(
      (w) => w.open(),
      (w) => w.closed(),
      (w) => w.dialError(),
      (w) => w.refuse(503, "x", "1"),
      (w) => w.channel.reconnect(w.now),
      (w) => w.channel.move(w.now),
      (w) => w.channel.networkChanged(w.now),
      (w) => w.channel.verify(w.now),
      (w) => w.channel.send("x", {}),
    ),
    fc.nat({ max: 60_000 }).map((ms) => (w: ChannelWorld) => w.at(w.now + ms)),
  );
  fc.assert(fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
    const world = new ChannelWorld({ firstConnectTimeout: Infinity });
    for (const one of steps) {
      one(world);
      world.drain();
      world.channel.handleTimeout(world.now);
      world.drain();
      const due = world.channel.pollTimeout();
      assert.ok(due === undefined || due >= world.now);
    }
  }));
});
