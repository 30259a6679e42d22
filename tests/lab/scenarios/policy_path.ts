/**
 * ```
 *   client ── natc ── core ── natg ── gateway ── res2 10.50.0.3 ══ far 10.60.0.2, fd60::2
 *                       └ portal, relay      └── res 10.50.0.2   (a hop of 900 bytes for IPv4)
 * ```
 */
import assert from "node:assert/strict";
import type { Host } from "../../../mod/embedded/testbed/mod.ts";
import { growth, policyWith, resource, sendAndClose, startServers } from "../policy/resources.ts";
import { type Product, SERVER, withProduct } from "../product.ts";
import { eventually, type Scenario } from "../scenario.ts";

const FAR = { 4: "10.60.0.2", 6: "fd60::2" } as const;
const HOP_MTU = 900;
/** Debian's own. */
const PYTHON = "/usr/bin/python3";
const FILTERS = ["icmp", "tcp/7000", "udp"];
const POLICY = policyWith(
  resource("private v4", "10.50.0.0/24", FILTERS),
  resource("private v6", "fd50::/64", FILTERS),
  resource("far v4", "10.60.0.0/24", FILTERS),
  resource("far v6", "fd60::/64", FILTERS),
);

/** A network behind res2. Its hosts know no way back to the tunnel's addresses, as all resources here. */
async function extend({ internet }: Product): Promise<Host> {
  const router = internet.host("res2"), gateway = internet.host("gateway");
  await router.sysctl({ "net.ipv4.ip_forward": 1, "net.ipv6.conf.all.forwarding": 1 });
  const far = await internet.attach(
    "far",
    { host: router, device: "far", addresses: ["10.60.0.1/24", "fd60::1/64"] },
    { device: "eth0", addresses: ["10.60.0.2/24", "fd60::2/64"] },
  );
  await far.ip("route add default via 10.60.0.1", "-6 route add default via fd60::1");
  await gateway.ip("route add 10.60.0.0/24 via 10.50.0.3", "-6 route add fd60::/64 via fd50::3");
  return far;
}

/** The hops that a program names, in order. */
function hopsOf(output: string): string[] {
  return [...output.matchAll(/^\s*(\d+)[?:]?\s+([0-9a-f.:]*[.:][0-9a-f.:]+)/gm)].map(([, , address]) =>
    address!
  );
}

/** Answers with as many bytes as it is asked for, never in fragments. */
function startLargeAnswers(host: Host, family: 4 | 6): void {
  const code = `
import socket
v6 = ${family === 6 ? "True" : "False"}
s = socket.socket(socket.AF_INET6 if v6 else socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(41 if v6 else 0, 23 if v6 else 10, 2)
s.bind(("", 500${family}))
while True:
    data, peer = s.recvfrom(2000)
    try:
        s.sendto(b"x" * int(data), peer)
    except OSError:
        pass`;
  host.start([PYTHON, "-c", code], { label: `large answers ${family}` });
}

function askForLarge(family: 4 | 6): string {
  return `
import socket
s = socket.socket(socket.AF_INET${family === 6 ? "6" : ""}, socket.SOCK_DGRAM)
s.sendto(b"1400", ("${SERVER[family]}", 500${family}))`;
}

export const scenario: Scenario = {
  title: "the way to a resource can be traced, and a small hop behind the gateway is discovered",
  needs: ["ping", "python3", "tracepath", "traceroute"],
  run: (report) =>
    withProduct(async (product) => {
      const client = product.internet.host("client");
      const far = await extend(product);
      startServers(far);
      await product.startClient();
      await eventually("an answer", 10_000, () => product.answers());
      const traces: readonly (readonly [string, readonly string[]])[] = [
        ["traceroute with UDP", ["traceroute", "-n", "-w", "2", "-q", "1", FAR[4]]],
        ["traceroute with ICMP", ["traceroute", "-n", "-I", "-w", "2", "-q", "1", FAR[4]]],
        ["traceroute with UDP over IPv6", ["traceroute", "-6", "-n", "-w", "2", "-q", "1", FAR[6]]],
        ["traceroute with ICMP over IPv6", ["traceroute", "-6", "-n", "-I", "-w", "2", "-q", "1", FAR[6]]],
        ["tracepath", ["tracepath", "-n", FAR[4]]],
        ["tracepath over IPv6", ["tracepath", "-6", "-n", FAR[6]]],
      ];
      for (const [what, command] of traces) {
        report.step(`${what}: gateway, router, server`);
        const output = await client.check(command);
        const isV6 = command.includes("-6");
        const hops = hopsOf(output.split("\n").slice(1).join("\n"));
        const distinct = hops.filter((hop, i) => hop !== hops[i - 1]);
        report.note(distinct.join(" → "));
        assert.match(distinct[0]!, isV6 ? /^fd00:2021:1111:/ : /^100\.(6[4-9]|[78]\d|9[0-5])\./, output);
        assert.deepEqual(distinct.slice(1), isV6 ? ["fd50::3", FAR[6]] : ["10.50.0.3", FAR[4]], output);
      }

      report.step(`a hop of ${HOP_MTU} bytes is discovered`);
      await product.internet.host("res2").ip(`link set far mtu ${HOP_MTU}`);
      const errors = await growth(product, "policy_in_icmp_error", async () => {
        const large = await client.run([
          "ping",
          "-n",
          "-M",
          "do",
          "-s",
          "1200",
          "-c",
          "2",
          "-W",
          "2",
          FAR[4],
        ]);
        assert.match(
          large.stdout + large.stderr,
          new RegExp(`mtu ?= ?${HOP_MTU}`),
          large.stdout + large.stderr,
        );
      });
      assert.ok(errors >= 1);
      const fitting = String(HOP_MTU - 28);
      await client.check(["ping", "-n", "-M", "do", "-s", fitting, "-c", "1", "-W", "2", FAR[4]]);
      const path = await client.check(["tracepath", "-n", FAR[4]]);
      assert.match(path, new RegExp(`pmtu ${HOP_MTU}`), path);
      report.note(path.trim().split("\n").at(-1)!.trim());

      report.step("a server that sends more than the tunnel takes is told so by the gateway");
      for (const family of [4, 6] as const) {
        startLargeAnswers(product.internet.host("res"), family);
        await eventually("the limit", 8000, async () => {
          await client.run([PYTHON, "-c", askForLarge(family)]);
          const to = family === 4 ? "10.50.0.1" : "fd50::1";
          return /mtu 1280/.test(await product.internet.host("res").check(["ip", "route", "get", to]));
        });
      }

      report.step("a connection through it carries megabytes");
      await client.ip("route flush cache");
      const started = performance.now();
      assert.equal(await sendAndClose(client, FAR[4], 3_000_000), "3000000");
      report.note(`3 MB in ${(performance.now() - started).toFixed(0)} ms`);
      assert.match(await client.check(["ip", "route", "get", FAR[4]]), new RegExp(`mtu ${HOP_MTU}`));
    }, { policy: POLICY }),
};
