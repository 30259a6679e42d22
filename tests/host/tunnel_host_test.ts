/**
 * On the real kernel, in the throw-away namespaces of `deno task test system`:
 *
 *   this namespace: tun-test (100.64.0.1/32, fd00:2021:1111::1/128), table 0x2021fd00
 */
import assert from "node:assert/strict";
import { Tun } from "../../ffi/deno_tun/mod.ts";
import { check, insideSandbox } from "../../mod/embedded/testbed/mod.ts";
import { GSO_MAX_SIZE, TunnelHost } from "../../mod/host/mod.ts";
import { parseIp } from "../../mod/packet/address.ts";

const ADDRESSES = { ipv4: parseIp("100.64.0.1")!, ipv6: parseIp("fd00:2021:1111::1")! };
const ip = (...args: string[]) => check(["ip", ...args]);
const TABLE = String(0x2021fd00);

/** These tests change the network they run in, so they run in a sandbox or not at all. */
function inSandbox(name: string, body: () => Promise<void>): void {
  Deno.test(name, async () => {
    if (insideSandbox()) return await body();
    assert.ok(!Deno.env.get("CI"), "In CI this must run in the sandbox: `deno task test system`.");
    console.log("left out: not in a sandbox. Use `deno task test system`.");
  });
}

inSandbox("the device gets addresses, MTU, queue, routes and rules, and again changes nothing", async () => {
  using _tun = Tun.open({ name: "tun-test" });
  const host = new TunnelHost({ tunName: "tun-test", gsoMaxSize: GSO_MAX_SIZE });
  for (let round = 0; round < 2; round++) {
    host.configure(ADDRESSES, ["10.50.0.0/24"]);
    const link = await ip("-d", "addr", "show", "dev", "tun-test");
    assert.match(link, /[<,]UP[,>].* mtu 1280 .*qlen 10000/);
    assert.match(link, /gso_max_size 60224/);
    assert.match(link, /inet 100\.64\.0\.1\/32/);
    assert.match(link, /inet6 fd00:2021:1111::1\/128/);
    assert.doesNotMatch(link, /fe80::/);
    assert.match(await ip("route", "show", "table", TABLE), /100\.64\.0\.0\/11 .*tun-test[^]*/);
    assert.match(await ip("route", "show", "table", TABLE), /10\.50\.0\.0\/24 .*tun-test/);
    assert.match(await ip("-6", "route", "show", "table", TABLE), /fd00:2021:1111::\/107 .*tun-test/);
    for (const family of ["-4", "-6"]) {
      const rules = await ip(family, "rule");
      assert.equal(rules.match(/not from all fwmark 0xfd002021 lookup/g)?.length, 1, rules);
    }
  }
  host.restore();
});

inSandbox("a new configuration replaces addresses and further networks", async () => {
  using _tun = Tun.open({ name: "tun-test" });
  const host = new TunnelHost({ tunName: "tun-test" });
  host.configure(ADDRESSES, ["10.50.0.0/24"]);
  host.configure({ ...ADDRESSES, ipv4: parseIp("100.64.0.9")! }, ["fd50::/64"]);
  const link = await ip("addr", "show", "dev", "tun-test");
  assert.match(link, /100\.64\.0\.9\/32/);
  assert.doesNotMatch(link, /100\.64\.0\.1\/32/);
  assert.doesNotMatch(await ip("route", "show", "table", TABLE), /10\.50/);
  assert.match(await ip("-6", "route", "show", "table", TABLE), /fd50::\/64/);
  host.restore();
});

inSandbox("restoring removes the rules, forwarding and masquerading, also twice", async () => {
  using _tun = Tun.open({ name: "tun-test" });
  const forward = "/proc/sys/net/ipv4/ip_forward";
  await Deno.writeTextFile(forward, "0");
  const host = new TunnelHost({ tunName: "tun-test", masquerade: true });
  host.configure(ADDRESSES, []);
  assert.equal((await Deno.readTextFile(forward)).trim(), "1");
  assert.match(await check(["nft", "list", "ruleset"]), /100\.64\.0\.0\/11 .*masquerade/);
  host.restore();
  host.restore();
  assert.equal((await Deno.readTextFile(forward)).trim(), "0");
  assert.doesNotMatch(await check(["nft", "list", "ruleset"]), /masquerade/);
  for (const family of ["-4", "-6"]) assert.doesNotMatch(await ip(family, "rule"), /fd002021/);
});

inSandbox("a device that is not there is an error that says so", () => {
  const host = new TunnelHost({ tunName: "tun-none" });
  assert.throws(() => host.configure(ADDRESSES, []), /no such interface/);
  host.restore();
  return Promise.resolve();
});
