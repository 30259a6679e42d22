/** What the monitor hears of an empty namespace that comes to life, and what it leaves out. Unprivileged on demand. */
import assert from "node:assert/strict";
import { Tun } from "../../../ffi/deno_tun/mod.ts";
import { NetworkMonitor, parsePrefix, RouteSocket } from "../../../ffi/netlink/mod.ts";
import { Poller } from "../../../ffi/poll.ts";
import { run } from "../namespace.ts";

const TABLE = 0x2021fd00;
const ip = (...args: string[]) => run("ip", ...args);
const tun = Tun.open({ name: "tun-firezone" });
const routes = new RouteSocket();
const link = routes.link("tun-firezone")!.index;
const monitor = NetworkMonitor.open({ link, table: TABLE });
const poller = new Poller([monitor.fd]);

/** True when the monitor says that something happened after `change`; what it heard before is forgotten. */
function hears(change: () => void): boolean {
  monitor.drain();
  change();
  let heard = false;
  // The kernel multicasts before it answers the request; duplicate address detection comes later by itself.
  while (poller.wait(50) > 0) heard = monitor.drain() || heard;
  return heard;
}

assert.equal(monitor.drain(), false, "never blocks, and nothing happened so far");

// Our own doing
assert.equal(
  hears(() => {
    routes.changeLink(link, { linkLocal: false });
    routes.changeLink(link, { mtu: 1280, txQueueLength: 10000, gsoMaxSize: 60224 });
    routes.addAddress(link, parsePrefix("100.64.0.1"));
    routes.addAddress(link, parsePrefix("fd00:2021:1111::1"));
    routes.changeLink(link, { up: true });
    for (const text of ["100.64.0.0/11", "fd00:2021:1111::/107", "10.50.0.0/24"]) {
      routes.addRoute({ destination: parsePrefix(text), link, table: TABLE });
    }
    routes.deleteRoute({ destination: parsePrefix("10.50.0.0/24"), link, table: TABLE });
    routes.deleteAddress(link, parsePrefix("100.64.0.1"));
  }),
  false,
  "our tunnel's link, addresses and routes",
);

// Others'
const heard: Record<string, boolean> = {
  "a link comes": hears(() => {
    ip("link", "add", "wan", "type", "veth", "peer", "name", "far");
    ip("link", "set", "far", "up");
    ip("link", "set", "wan", "up");
  }),
  "an IPv4 address": hears(() => void ip("addr", "add", "192.0.2.2/24", "dev", "wan")),
  "another instead": hears(() => void ip("addr", "add", "192.0.2.3/24", "dev", "wan")),
  "an address goes": hears(() => void ip("addr", "del", "192.0.2.3/24", "dev", "wan")),
  "an IPv6 address": hears(() => void ip("-6", "addr", "add", "2001:db8::2/64", "dev", "wan", "nodad")),
  "a default route": hears(() => void ip("route", "add", "default", "via", "192.0.2.1")),
  "another default route": hears(() => void ip("route", "replace", "default", "via", "192.0.2.9")),
  "an IPv6 default route": hears(() => void ip("-6", "route", "add", "default", "via", "2001:db8::1")),
  "a route in a table of somebody's": hears(() =>
    void ip("route", "add", "default", "via", "192.0.2.1", "table", "77")
  ),
  "a default route goes": hears(() => void ip("route", "del", "default")),
  "the carrier goes": hears(() => void ip("link", "set", "far", "down")),
  "the carrier is back": hears(() => void ip("link", "set", "far", "up")),
  "a link goes down": hears(() => void ip("link", "set", "wan", "down")),
  "a link goes": hears(() => void ip("link", "del", "wan")),
};
assert.deepEqual(Object.entries(heard).filter(([, was]) => !was).map(([what]) => what), []);

// Noise
ip("link", "add", "wan", "type", "veth", "peer", "name", "far");
for (const name of ["wan", "far"]) ip("link", "set", name, "up");
ip("addr", "add", "192.0.2.2/24", "dev", "wan");
ip("-6", "addr", "add", "2001:db8::2/64", "dev", "wan", "nodad");
hears(() => void ip("link", "set", "wan", "mtu", "1400"));
const quiet: Record<string, boolean> = {
  "neighbours": hears(() =>
    void ip("neigh", "replace", "192.0.2.1", "lladdr", "02:00:00:00:00:01", "dev", "wan")
  ),
  "an MTU": hears(() => void ip("link", "set", "wan", "mtu", "1300")),
  "a lease renewed": hears(() =>
    void ip("addr", "change", "192.0.2.2/24", "dev", "wan", "valid_lft", "600", "preferred_lft", "600")
  ),
  "an IPv6 lifetime": hears(() =>
    void ip(
      "-6",
      "addr",
      "change",
      "2001:db8::2/64",
      "dev",
      "wan",
      "valid_lft",
      "600",
      "preferred_lft",
      "600",
    )
  ),
};
assert.deepEqual(Object.entries(quiet).filter(([, was]) => was).map(([what]) => what), []);

// More than the socket holds
assert.ok(
  hears(() => {
    const batch = Array.from(
      { length: 2_000 },
      (_, i) => `route replace 198.18.${i >> 8}.${i & 255}/32 via 192.0.2.1\n`,
    ).join("");
    const file = Deno.makeTempFileSync();
    Deno.writeTextFileSync(file, batch);
    ip("-batch", file);
    Deno.removeSync(file);
  }),
  "ENOBUFS means that something happened",
);
assert.equal(monitor.drain(), false, "and the socket goes on");
assert.ok(hears(() => void ip("addr", "add", "192.0.2.4/24", "dev", "wan")));

monitor.close();
monitor.close();
tun.close();
