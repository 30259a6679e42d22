/**
 * ```
 *   client ── natc ── core ── natg ── gateway ── lan ┬ res  10.50.0.2 fd50::2 (page)
 *   curl asks 100.100.111.1       resolv.conf: .3    └ res2 10.50.0.3 fd50::3 (other page, dnsmasq: lab.test)
 * ```
 */
import assert from "node:assert/strict";
import { PAGE } from "../product.ts";
import type { Scenario } from "../scenario.ts";
import { OTHER_PAGE, withSiteNames } from "../site_names.ts";

export const scenario: Scenario = {
  title: "names of the site lead curl to their addresses, in whatever families they have",
  smoke: true,
  needs: ["curl", "dnsmasq", "dig"],
  run: (report) =>
    withSiteNames(async (names, product) => {
      report.step("an A record only: IPv4 works, IPv6 is refused at once");
      assert.equal(await names.curl("v4.lab.test"), PAGE);
      assert.equal(await names.curl("v4.lab.test", "-4"), PAGE);
      assert.ok(await names.refusal("v4.lab.test", 6) < 1000);

      report.step("an AAAA record only: IPv6 works, IPv4 is refused at once");
      assert.equal(await names.curl("v6.lab.test"), PAGE);
      assert.equal(await names.curl("v6.lab.test", "-6"), PAGE);
      assert.ok(await names.refusal("v6.lab.test", 4) < 1000);

      report.step("both, and an alias of them");
      for (const name of ["both.lab.test", "alias.lab.test", "ALIAS.Lab.Test"]) {
        assert.equal(await names.curl(name, "-4"), PAGE, name);
        assert.equal(await names.curl(name, "-6"), PAGE, name);
      }

      report.step("two addresses: the four proxy addresses lead to them in turn");
      const proxies = (await names.dig("A", "round.lab.test")).split("\n");
      assert.equal(proxies.length, 4);
      const pages = [];
      for (const proxy of proxies) {
        pages.push(await names.curl("round.lab.test", "--resolve", `round.lab.test:80:${proxy}`));
      }
      assert.deepEqual(pages, [PAGE, OTHER_PAGE, PAGE, OTHER_PAGE]);

      report.step("the gateway's hosts file counts before its nameservers");
      assert.equal(await names.curl("pinned.lab.test"), OTHER_PAGE);
      assert.ok(!names.queries.some((query) => query.includes("pinned")));

      report.step("ping by name; a name of an address where nobody is");
      const ping = await names.application(["ping", "-n", "-c", "1", "-W", "2", "both.lab.test"]);
      assert.equal(ping.code, 0, ping.stdout);
      const dead = await names.application(["ping", "-n", "-c", "4", "-W", "1", "-4", "dead.lab.test"]);
      assert.match(dead.stdout, /Destination Host Unreachable/, dead.stdout);

      report.step("the site's addresses themselves are no resource");
      const direct = await names.application(["curl", "-sS", "--max-time", "3", "http://10.50.0.2/"]);
      assert.notEqual(direct.code, 0);
      assert.equal(product.gateway.status, undefined);
    }),
};
