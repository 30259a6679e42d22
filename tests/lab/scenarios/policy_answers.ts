/**
 * ```
 *   client ── natc ── core ── natg ── gateway ── res 10.50.0.2 (reads records of every flow)
 *                       └ portal, relay      └── (nobody at 10.50.0.77)
 * ```
 */
import assert from "node:assert/strict";
import type { FlowRecord } from "../../../mod/flows/mod.ts";
import {
  counter,
  growth,
  policyWith,
  resource,
  sendAndClose,
  startServers,
  watch,
} from "../policy/resources.ts";
import { type Product, SERVER, withProduct } from "../product.ts";
import { eventually, type Scenario } from "../scenario.ts";

const FILTERS = ["icmp", "tcp/80", "tcp/82", "tcp/7000", "udp/5000"];
const POLICY = policyWith(
  resource("private v4", "10.50.0.0/24", FILTERS),
  resource("private v6", "fd50::/64", FILTERS),
);

async function timed<T>(body: () => Promise<T>): Promise<{ result: T; ms: number }> {
  const started = performance.now();
  return { result: await body(), ms: performance.now() - started };
}

function get(product: Product, url: string) {
  return timed(() =>
    product.internet.host("client").run(["curl", "-sS", "-o", "/dev/null", "--max-time", "8", url])
  );
}

/** Every record that the gateway wrote so far. */
async function records(product: Product): Promise<FlowRecord[]> {
  const text = await Deno.readTextFile(product.flowFile);
  return text.split("\n").filter(Boolean).map((line) => JSON.parse(line));
}

function urlOf(address: string, port: number): string {
  return `http://${address.includes(":") ? `[${address}]` : address}:${port}/`;
}

export const scenario: Scenario = {
  title: "what the policy refuses is refused at once and by name; resets, ends and dead hosts are passed on",
  needs: ["curl", "nft", "ping"],
  run: (report) =>
    withProduct(async (product) => {
      const client = product.internet.host("client"), server = product.internet.host("res");
      startServers(server);
      await product.startClient();
      await eventually("an answer", 10_000, () => product.answers());

      report.step("a forbidden port is answered, and nothing of it reaches the server");
      const arrivals = await watch(server, "meta l4proto { tcp, udp } th dport 81");
      for (const family of [4, 6] as const) {
        const { result, ms } = await get(product, urlOf(SERVER[family], 81));
        assert.equal(result.code, 7, result.stderr);
        assert.ok(ms < 2000, `it took ${ms.toFixed(0)} ms`);
        report.note(`IPv${family}: ${result.stderr.trim()} (${ms.toFixed(0)} ms)`);
      }
      assert.equal(await arrivals.packets(), 0);
      assert.ok(await counter(product, "policy_out_refused_tcp_port") >= 2);

      report.step("an allowed port without a server: the server's reset arrives");
      for (const family of [4, 6] as const) {
        const { result, ms } = await get(product, urlOf(SERVER[family], 82));
        assert.match(result.stderr, /refused|Couldn't connect/);
        assert.ok(ms < 2000, `it took ${ms.toFixed(0)} ms`);
      }

      report.step("a half-closed connection still brings the answer");
      for (const family of [4, 6] as const) {
        assert.equal(await sendAndClose(client, SERVER[family], 300_000), "300000");
      }

      report.step("a UDP port without a server: its port-unreachable arrives");
      const udp = `
        const { default: dgram } = await import("node:dgram");
        const s = dgram.createSocket("udp4");
        s.on("error", (error) => { console.log(error.code); Deno.exit(0); });
        s.connect(5000, "${SERVER[4]}", () => { s.send("x"); setInterval(() => s.send("x"), 200); });
        setTimeout(() => Deno.exit(1), 4000);`;
      const errors = await growth(
        product,
        "policy_in_icmp_error",
        () => client.run([Deno.execPath(), "eval", udp]),
      );
      assert.ok(errors >= 1, "the error went through the policy");

      report.step("ping of a dead host: host-unreachable of the gateway's own kernel");
      const dead = await client.run(["ping", "-n", "-c", "2", "-W", "5", "10.50.0.77"]);
      assert.match(dead.stdout, /From 10\.50\.0\.1 .*Destination Host Unreachable/);
      report.note(dead.stdout.split("\n").find((line) => line.includes("Unreachable"))!);

      report.step("a spoofed source is refused, and nothing of it reaches the server");
      const pings = await watch(server, "ip protocol icmp icmp type echo-request");
      await client.ip("addr add 100.64.99.99/32 dev tun-firezone");
      const spoofed = await growth(
        product,
        "policy_out_refused_spoofed_source",
        () => client.run(["ping", "-n", "-c", "3", "-i", "0.2", "-W", "1", "-I", "100.64.99.99", SERVER[4]]),
      );
      await client.ip("addr del 100.64.99.99/32 dev tun-firezone");
      assert.equal(spoofed, 3);
      assert.equal(await pings.packets(), 0);

      report.step("every flow is on record with its end");
      await eventually("four ends", 4000, async () =>
        (await records(product)).filter(({ record }) =>
          record === "close"
        ).length >= 4);
      const closed = (await records(product)).filter((record) => record.record === "close");
      const endsOf = (port: number) =>
        closed.filter((record) => record.inner_dst_port === port).map(({ end }) => end);
      assert.deepEqual(endsOf(82), ["rst", "rst"]);
      assert.deepEqual(endsOf(7000), ["fin", "fin"]);
      assert.deepEqual(endsOf(81), [], "what was refused is no flow");
      const transfer = closed.find((record) => record.inner_dst_port === 7000)!;
      assert.ok(transfer.tx_bytes >= 300_000 && transfer.tx_bytes < 310_000, `${transfer.tx_bytes} bytes`);
      assert.equal(transfer.resource_name, "private v4");
      report.note(JSON.stringify(transfer));
      assert.equal(await counter(product, "flow_records_lost"), 0);
    }, { policy: POLICY, flowLogs: true }),
};
