/**
 * ```
 *   client ── natc ── core ── natg ── gateway ── res 10.50.0.2 (filters)
 *                       └ portal, relay      └── res2 10.50.0.3 (everything is allowed)
 * ```
 */
import assert from "node:assert/strict";
import type { Host } from "../../../mod/embedded/testbed/mod.ts";
import { counter, growth, policyWith, resource, watch } from "../policy/resources.ts";
import { withProduct } from "../product.ts";
import { eventually, type Scenario } from "../scenario.ts";

const FILTERED = "10.50.0.2", OPEN = "10.50.0.3";
const POLICY = policyWith(
  resource("filtered", "10.50.0.2/32", ["icmp", "udp/5000"]),
  resource("open", "10.50.0.3/32"),
);
/** Debian's own, for raw sockets. */
const PYTHON = "/usr/bin/python3";
/** GRE; and 253, which is for experiments (RFC 3692). */
const PROTOCOLS = [47, 253];
const COUNT = 5;

/** Answers every packet of an IP protocol: four bytes of a header, then whatever came, reversed. */
function startEcho(host: Host, protocol: number): void {
  const code = `
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, ${protocol})
while True:
    packet, (peer, _) = s.recvfrom(2000)
    payload = packet[(packet[0] & 15) * 4:]
    s.sendto(payload[:4] + payload[4:][::-1], (peer, 0))`;
  host.start([PYTHON, "-c", code], { label: `echo ${protocol}` });
}

/** Sends packets of an IP protocol and returns what came back. */
async function exchange(host: Host, protocol: number, address: string): Promise<string> {
  const code = `
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, ${protocol})
s.settimeout(1)
for i in range(${COUNT}):
    s.sendto(bytes([0, 0, 8, 0]) + b"hello%d" % i, ("${address}", 0))
    try:
        packet, (peer, _) = s.recvfrom(2000)
        print(peer, packet[(packet[0] & 15) * 4 + 4:].decode())
    except OSError as error:
        print(type(error).__name__)`;
  return (await host.check([PYTHON, "-c", code])).trim();
}

export const scenario: Scenario = {
  title: "GRE and other protocols go both ways where everything is allowed and nowhere else; fragments never",
  needs: ["nft", "ping", "python3"],
  run: (report) =>
    withProduct(async (product) => {
      const client = product.internet.host("client");
      const filtered = product.internet.host("res"), open = product.internet.host("res2");
      for (const protocol of PROTOCOLS) {
        startEcho(open, protocol);
        startEcho(filtered, protocol);
      }
      await product.startClient();
      for (const address of [FILTERED, OPEN]) {
        await eventually(`an answer of ${address}`, 10_000, async () =>
          (await client.run(["ping", "-n", "-c", "1", "-W", "1", address])).code === 0);
      }
      for (const protocol of PROTOCOLS) {
        report.step(`protocol ${protocol}: there and back where everything is allowed`);
        const expected = Array.from({ length: COUNT }, (_, i) =>
          `${OPEN} ${i}olleh`).join("\n");
        assert.equal(await exchange(client, protocol, OPEN), expected);

        report.step(`protocol ${protocol}: refused by name where there are filters`);
        const arrivals = await watch(filtered, `meta l4proto ${protocol}`);
        const refused = await growth(product, "policy_out_refused_protocol_filter", async () => {
          const answers = await exchange(client, protocol, FILTERED);
          assert.doesNotMatch(answers, /olleh/);
          report.note(answers.split("\n")[0]!);
        });
        assert.equal(refused, COUNT);
        assert.equal(await arrivals.packets(), 0);
      }

      report.step("fragments towards the client are dropped by name, and cost nothing else");
      // Larger than the tunnel: the kernel of the gateway sends on the answers in fragments.
      const large = `
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_IP, 10, 0)
s.bind(("", 5000))
while True:
    data, peer = s.recvfrom(2000)
    s.sendto(b"x" * int(data), peer)`;
      open.start([PYTHON, "-c", large], { label: "large answers" });
      const ask = `
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(1)
for size in (1000, 1400, 1000, 1400, 1000):
    s.sendto(b"%d" % size, ("${OPEN}", 5000))
    try:
        print(len(s.recv(2000)))
    except TimeoutError:
        print("nothing")`;
      const dropped = await growth(product, "drop_tun_packet_fragment", async () => {
        assert.deepEqual((await client.check([PYTHON, "-c", ask])).trim().split("\n"), [
          "1000",
          "nothing",
          "1000",
          "nothing",
          "1000",
        ]);
      });
      assert.equal(dropped, 4, "two of two");
      assert.equal(await counter(product, "loop_failed_rounds"), 0);
    }, { policy: POLICY }),
};
