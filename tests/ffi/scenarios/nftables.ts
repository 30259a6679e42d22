/**
 *   tun-firezone 100.64.0.1 ── this namespace forwards ── wan 203.0.113.1 ── veth ── peer (203.0.113.2, silent)
 *
 * The ruleset is checked through nft; a client's packet, written to the TUN, is counted by the rule.
 */
import assert from "node:assert/strict";
import { Tun } from "../../../ffi/deno_tun/mod.ts";
import { SystemError } from "../../../ffi/errno.ts";
import { formatPrefix, parsePrefix } from "../../../ffi/netlink/mod.ts";
import { Masquerade } from "../../../ffi/nftables/mod.ts";
import { run } from "../namespace.ts";

const ranges = [parsePrefix("100.64.0.0/11"), parsePrefix("fd00:2021:1111::/107")];
const options = { ranges, tun: "tun-firezone" };
const ruleset = () => run("nft", "list", "ruleset");
const load = async (rules: string) => {
  const file = await Deno.makeTempFile();
  await Deno.writeTextFile(file, rules);
  run("nft", "-f", file);
  await Deno.remove(file);
};

// 1. Alone: both rules, owned by this process, and nothing afterwards
const plain = Masquerade.install(options);
assert.deepEqual([plain.covered, plain.opened], [[], []]);
assert.equal(
  ruleset().replace(/ # progname .*/g, "").replace(/ +$/gm, ""),
  `table inet postern {
\tflags owner

\tchain postrouting {
\t\ttype nat hook postrouting priority srcnat; policy accept;
\t\tip saddr 100.64.0.0/11 oifname != "tun-firezone" counter packets 0 bytes 0 masquerade comment "postern"
\t\tip6 saddr fd00:2021:1111::/107 oifname != "tun-firezone" counter packets 0 bytes 0 masquerade comment "postern"
\t}
}
`,
);
assert.throws(() => Masquerade.install(options), SystemError, "another one owns the table");
assert.match(ruleset(), /table inet postern/, "and the failure took nothing from it");

// 2. Real packets: what a client sends out of the TUN leaves with our address
run("ip", "link", "add", "wan", "type", "veth", "peer", "name", "peer");
const tun = Tun.open({ name: "tun-firezone" });
run("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.disable_ipv6=1");
run("ip", "addr", "add", "203.0.113.1/24", "dev", "wan");
run("ip", "addr", "add", "100.64.0.1/32", "dev", "tun-firezone");
for (const name of ["lo", "wan", "peer", "tun-firezone"]) run("ip", "link", "set", name, "up");
run("ip", "route", "add", "100.64.0.0/11", "dev", "tun-firezone");
run("ip", "neigh", "add", "203.0.113.2", "lladdr", "02:00:00:00:00:02", "dev", "wan");
const echo = Uint8Array.fromHex("4500001c000000004001000064400005cb0071020800f7fd00010001");
const sum = echo.subarray(0, 20).reduce((total, byte, i) => total + (i % 2 ? byte : byte << 8), 0);
new DataView(echo.buffer).setUint16(10, ~((sum & 0xffff) + (sum >> 16)));
assert.equal(tun.write(echo), true);
assert.match(ruleset(), /ip saddr 100\.64\.0\.0\/11 oifname != "tun-firezone" counter packets 1 bytes 28/);
plain.remove();
plain.remove();
assert.equal(ruleset(), "");

// 3. Somebody else masquerades IPv4 already, drops forwarding in one table and speaks of the TUN in another
await load(`
table ip nat {
  chain post {
    type nat hook postrouting priority 100; policy accept;
    ip saddr 100.64.0.0/10 counter masquerade
  }
}
table ip filter {
  chain FORWARD {
    type filter hook forward priority 0; policy drop;
    ip saddr 192.0.2.1 accept
  }
}
table inet strict {
  chain forward {
    type filter hook forward priority 10; policy drop;
    iifname "tun-firezone" tcp dport 443 accept
  }
}
`);
const before = ruleset();
const beside = Masquerade.install(options);
assert.deepEqual(beside.covered.map(formatPrefix), ["100.64.0.0/11"]);
assert.deepEqual(beside.opened, ["ip filter FORWARD"]);
const during = ruleset();
assert.match(
  during,
  /chain FORWARD \{\n.*\n\t\toifname "tun-firezone" .*accept.*\n\t\tiifname "tun-firezone" .*accept/,
);
assert.equal(during.match(/ip6 saddr fd00:2021:1111::\/107/g)?.length, 1);
assert.equal(during.match(/100\.64\.0\.0/g)?.length, 1, "not doubled");
beside.remove();
assert.equal(ruleset(), before);

// 4. A process that is killed leaves no table; what it left in a foreign chain is replaced, not doubled
const script = `import { Masquerade, parsePrefix } from ${
  JSON.stringify(new URL("../../../ffi/mod.ts", import.meta.url).href)
};
  Masquerade.install({ ranges: [parsePrefix("100.64.0.0/11"), parsePrefix("fd00:2021:1111::/107")], tun: "tun-firezone" });
  console.log("ready");
  setTimeout(() => {}, 60_000);`;
const victim = new Deno.Command(Deno.execPath(), { args: ["eval", "--no-config", script], stdout: "piped" })
  .spawn();
const reader = victim.stdout.getReader();
await reader.read();
assert.match(ruleset(), /table inet postern/);
victim.kill("SIGKILL");
await victim.status;
await reader.cancel();
assert.doesNotMatch(ruleset(), /table inet postern/);
assert.equal(ruleset().match(/comment "postern tun-firezone"/g)?.length, 2);
using again = Masquerade.install(options);
assert.equal(ruleset().match(/comment "postern tun-firezone"/g)?.length, 2);
again.remove();
assert.equal(ruleset(), before);
tun.close();
