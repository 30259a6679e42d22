import assert from "node:assert/strict";
import { Nameservers } from "../../mod/dns/mod.ts";
import { SocketAddress } from "../../mod/packet/mod.ts";

const [ONE, TWO, THREE] = [1, 2, 3].map((n) => SocketAddress.of(`10.0.0.${n}`, 53)!) as [
  SocketAddress,
  SocketAddress,
  SocketAddress,
];

function servers(): Nameservers {
  const nameservers = new Nameservers();
  nameservers.set([ONE, TWO, THREE]);
  return nameservers;
}

const order = (nameservers: Nameservers, transport: "udp" | "tcp" = "udp") =>
  nameservers.ranked(transport).map(({ ip }) => ip.at(-1)).join("");

Deno.test("without any news the order is that of the configuration; no servers are no servers", () => {
  assert.equal(order(servers()), "123");
  assert.deepEqual(new Nameservers().ranked("udp"), []);
});

Deno.test("the fastest that answers comes first, one that only knows errors after it, a silent one last", () => {
  const nameservers = servers();
  nameservers.noteProbe(ONE, "udp", 30, true);
  nameservers.noteProbe(THREE, "udp", 10, true);
  assert.equal(order(nameservers), "312");
  nameservers.noteProbe(THREE, "udp", 1, false);
  assert.equal(order(nameservers), "132");
  nameservers.noteFailure(ONE, "udp");
  assert.equal(order(nameservers), "321");
});

Deno.test("the transports are judged apart", () => {
  const nameservers = servers();
  nameservers.noteFailure(ONE, "udp");
  assert.equal(order(nameservers, "tcp"), "123");
  assert.equal(order(nameservers, "udp"), "231");
});

Deno.test("nobody is given up: a silent one that answers is alive again, and the next probe says how fast", () => {
  const nameservers = servers();
  for (const server of [ONE, TWO, THREE]) nameservers.noteFailure(server, "udp");
  assert.equal(order(nameservers), "123");
  nameservers.noteAnswer(TWO, "udp", 5);
  assert.equal(order(nameservers), "213");
  nameservers.noteProbe(ONE, "udp", 50, true);
  assert.equal(order(nameservers), "123");
  // One query does not overrule a probe.
  nameservers.noteAnswer(ONE, "udp", 500);
  nameservers.noteProbe(TWO, "udp", 60, true);
  assert.equal(order(nameservers), "123");
});

Deno.test("a new list keeps what is known of those that stay and forgets those that go", () => {
  const nameservers = servers();
  nameservers.noteFailure(ONE, "udp");
  nameservers.noteFailure(TWO, "udp");
  nameservers.set([ONE, THREE]);
  assert.equal(order(nameservers), "31");
  nameservers.set([ONE, TWO, THREE]);
  assert.equal(order(nameservers), "231");
});
