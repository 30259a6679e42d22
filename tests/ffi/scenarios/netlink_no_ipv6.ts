/** IPv6 switched off by sysctl. */
import assert from "node:assert/strict";
import { Tun } from "../../../ffi/deno_tun/mod.ts";
import { parsePrefix, RouteSocket } from "../../../ffi/netlink/mod.ts";
import { run } from "../namespace.ts";

run("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1");
run("sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=1");
const tun = Tun.open({ name: "tun-firezone" });
const routes = new RouteSocket();
const { index } = routes.link("tun-firezone")!;
assert.equal(routes.addAddress(index, parsePrefix("100.64.0.1")), "done");
const six = { destination: parsePrefix("fd00:2021:1111::/107"), link: index, table: 0x2021fd00 };
assert.equal(routes.addAddress(index, parsePrefix("fd00:2021:1111::1")), "unsupported");
routes.changeLink(index, { mtu: 1280, up: true, linkLocal: false });
assert.equal(routes.addRoute(six), "unsupported");
assert.equal(routes.addRoute({ ...six, destination: parsePrefix("100.64.0.0/11") }), "done");
routes.close();
tun.close();
