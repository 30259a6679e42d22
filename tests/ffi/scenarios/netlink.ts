/** A TUN set up as the gateway sets it up (spec policy §6.2), checked against iproute2. */
import assert from "node:assert/strict";
import { Tun } from "../../../ffi/deno_tun/mod.ts";
import { SystemError } from "../../../ffi/errno.ts";
import { formatPrefix, parsePrefix, RouteSocket } from "../../../ffi/netlink/mod.ts";
import { run } from "../namespace.ts";

const MARK = 0xfd002021, TABLE = 0x2021fd00;
const tun = Tun.open({ name: "tun-firezone" });
const routes = new RouteSocket();
assert.equal(routes.link("absent"), undefined);
const link = routes.link("tun-firezone")!;
assert.deepEqual([link.name, link.mtu, link.up], ["tun-firezone", 1500, false]);

routes.changeLink(link.index, { linkLocal: false });
routes.changeLink(link.index, { mtu: 1280, txQueueLength: 10000, gsoMaxSize: 60224 });
const v4 = parsePrefix("100.64.0.1"), v6 = parsePrefix("fd00:2021:1111::1");
assert.deepEqual([v4, v4, v6, v6].map((prefix) => routes.addAddress(link.index, prefix)), [
  "done",
  "already",
  "done",
  "already",
]);
routes.changeLink(link.index, { up: true });
const ranges = ["100.64.0.0/11", "fd00:2021:1111::/107"].map((text) => ({
  destination: parsePrefix(text),
  link: link.index,
  table: TABLE,
}));
for (const route of ranges) {
  assert.deepEqual([routes.addRoute(route), routes.addRoute(route)], ["done", "already"]);
}
for (const family of [4, 6] as const) {
  const rule = { family, mark: MARK, table: TABLE };
  assert.deepEqual([routes.addRule(rule), routes.addRule(rule)], ["done", "already"]);
}

// Unmarked packets to peers come from the tunnel's address; nothing leads anywhere else.
assert.deepEqual(routes.sourceTowards(parsePrefix("100.64.5.5").address), v4.address);
assert.equal(routes.sourceTowards(parsePrefix("192.0.2.1").address), undefined);

// What the kernel now has, by our own eyes and by iproute2's
assert.deepEqual(routes.addresses(link.index).map(formatPrefix).sort(), [
  "100.64.0.1/32",
  "fd00:2021:1111::1/128",
]);
assert.deepEqual(routes.routes(4).filter(({ table }) => table === TABLE), [ranges[0]]);
const shown = run("ip", "-d", "link", "show", "tun-firezone");
assert.match(shown, /mtu 1280 .*qlen 10000/);
assert.match(shown, /addrgenmode none/);
assert.match(shown, /gso_max_size 60224/);
assert.match(
  run("ip", "route", "show", "table", String(TABLE)),
  /^100\.64\.0\.0\/11 dev tun-firezone proto static/,
);
assert.match(
  run("ip", "-6", "route", "show", "table", String(TABLE)),
  /^fd00:2021:1111::\/107 dev tun-firezone proto static/,
);
for (const family of ["-4", "-6"]) {
  const rules = run("ip", family, "-d", "rule", "show").split("\n").filter((line) =>
    line.includes("0xfd002021")
  );
  assert.equal(rules.length, 1);
  assert.match(rules[0]!, /^32765:\tnot from all fwmark 0xfd002021 lookup 539098368 proto kernel/);
}
assert.match(run("ip", "route", "get", "100.64.1.1"), /dev tun-firezone table 539098368/);
assert.doesNotMatch(run("ip", "addr", "show", "dev", "tun-firezone"), /fe80::/);

// A rule of another form is not ours
run("ip", "rule", "add", "fwmark", "0xfd002021", "lookup", String(TABLE));
assert.equal(routes.rules(4).length, 1);

// And away again; twice is no error
for (const route of ranges) {
  assert.deepEqual([routes.deleteRoute(route), routes.deleteRoute(route)], ["done", "already"]);
}
for (const family of [4, 6] as const) {
  const rule = { family, mark: MARK, table: TABLE };
  assert.deepEqual([routes.deleteRule(rule), routes.deleteRule(rule)], ["done", "already"]);
}
assert.deepEqual([routes.deleteAddress(link.index, v4), routes.deleteAddress(link.index, v4)], [
  "done",
  "already",
]);
assert.equal(run("ip", "rule", "show").split("\n").filter((line) => line.includes("not from")).length, 0);

assert.throws(() => routes.changeLink(link.index, { mtu: 10 }), (error) => {
  assert.ok(error instanceof SystemError);
  assert.equal(error.code, "EINVAL");
  assert.match(
    error.message,
    /^Cannot set mtu of interface \d+: .*The kernel says: mtu less than device minimum\.$/,
  );
  return true;
});
tun.close();
assert.throws(() => routes.addAddress(link.index, v4), SystemError);
routes.close();
