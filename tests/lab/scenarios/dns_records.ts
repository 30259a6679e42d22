/**
 * ```
 *   client ── natc ── core ── natg ── gateway ── lan ── res2 10.50.0.3 fd50::3 (dnsmasq: lab.test)
 *   dig asks 100.100.111.1      ─► gateway's tunnel addresses, port 53535, UDP and TCP
 * ```
 */
import assert from "node:assert/strict";
import { eventually, type Scenario } from "../scenario.ts";
import { LONG_TEXT, withSiteNames } from "../site_names.ts";

export const scenario: Scenario = {
  title: "SRV, TXT and any other record of the site is found through the gateway, over UDP and TCP",
  needs: ["curl", "dnsmasq", "dig"],
  run: (report) =>
    withSiteNames(async (names, product) => {
      const everyWay = ["+notcp", "+tcp"] as const;
      report.step("SRV and TXT through the client's resolver");
      for (const way of everyWay) {
        assert.equal(await names.dig(way, "SRV", "_web._tcp.lab.test"), "1 2 80 both.lab.test.");
        assert.equal(await names.dig(way, "TXT", "info.lab.test"), '"of the site"');
      }

      report.step("an answer above 1200 bytes is cut over UDP and whole over TCP");
      const cut = await names.digAll("+ignore", "+notcp", "+bufsize=4096", "TXT", "long.lab.test");
      assert.match(cut, /flags:[^;]* tc[ ;]/);
      assert.match(cut, /ANSWER: 0/);
      const whole = await names.dig("+bufsize=4096", "TXT", "long.lab.test");
      assert.equal(whole.split("\n").length, 6);
      assert.ok(whole.includes(LONG_TEXT));

      const addresses = await product.internet.host("gateway").check([
        "ip",
        "-o",
        "addr",
        "show",
        "tun-firezone",
      ]);
      const tunnel = [/inet (\S+)\/32/, /inet6 (fd00\S+)\/128/].map((pattern) =>
        pattern.exec(addresses)![1]!
      );
      const askAll = async () => {
        for (const address of tunnel) {
          for (const way of everyWay) {
            for (let round = 0; round < 3; round++) {
              const answer = await names.dig(way, `@${address}`, "-p", "53535", "A", "server.elsewhere.test");
              assert.equal(answer, "10.50.0.77", `${address} ${way}`);
            }
          }
        }
      };
      report.step("straight at the gateway: both families, both transports, three times, any name");
      await askAll();
      assert.match(
        await names.digAll(`@${tunnel[0]}`, "-p", "53535", "A", "nobody.elsewhere.test"),
        /NXDOMAIN/,
      );

      report.step("and again after the portal came back and set the gateway up anew");
      await product.portal.stop();
      await product.startPortal();
      const joins = () => [...product.gateway.output.matchAll(/Listening for DNS queries/g)].length;
      await eventually("the gateway to be set up again", 30_000, () => Promise.resolve(joins() >= 2));
      await askAll();

      report.step("the forwarder answers nobody outside the tunnel");
      const outside = await product.internet.host("res").run([
        ..."dig +time=1 +tries=1 -p 53535 @10.50.0.1 A server.elsewhere.test".split(" "),
      ]);
      assert.notEqual(outside.code, 0);
    }),
};
