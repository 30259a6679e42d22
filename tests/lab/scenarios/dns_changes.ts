/**
 * ```
 *   client ── natc ── core ── natg ── gateway ── lan ┬ res  10.50.0.2 (page)
 *   curl asks 100.100.111.1       resolv.conf: .3    └ res2 10.50.0.3 (other page, dnsmasq that changes, dies, returns)
 * ```
 */
import assert from "node:assert/strict";
import { PAGE } from "../product.ts";
import { eventually, type Scenario } from "../scenario.ts";
import { NAMESERVER, OTHER_PAGE, withSiteNames } from "../site_names.ts";

export const scenario: Scenario = {
  title: "names change, vanish and lose their nameserver; who asks gets an honest answer soon",
  needs: ["curl", "dnsmasq", "dig"],
  run: (report) =>
    withSiteNames(async (names, product) => {
      report.step("a name that moves: open again, it leads to the new address");
      assert.equal(await names.curl("moving.lab.test"), PAGE);
      await names.move("10.50.0.3");
      // The record lived for a second, the client tells the gateway at most every two.
      await eventually(
        "the other page",
        8000,
        async () => await names.curl("moving.lab.test") === OTHER_PAGE,
      );

      report.step("a name that does not exist is unreachable at once, and reachable once it exists");
      assert.ok(await names.refusal("missing.lab.test") < 1000);
      assert.ok(names.queries.includes("A missing.lab.test.elsewhere.test"), "the search list was tried");
      await Deno.writeTextFile(
        product.gatewayFile("/etc/hosts"),
        "127.0.0.1 localhost\n10.50.0.2 missing.lab.test\n",
      );
      await eventually("the page", 8000, async () => await names.curl("missing.lab.test") === PAGE);

      report.step("the nameserver is down: known names keep their addresses, new ones are unreachable");
      await names.stopServer();
      await new Promise((resolve) => setTimeout(resolve, 2500));
      assert.equal(await names.curl("both.lab.test"), PAGE);
      report.note(`unreachable after ${(await names.refusal("round.lab.test") / 1000).toFixed(1)} s`);
      assert.match(await names.digAll("+nocookie", "TXT", "info.lab.test"), /status: SERVFAIL/);

      report.step("it comes back, and so do the names");
      await names.startServer();
      await eventually("the page", 10_000, async () => await names.curl("round.lab.test") === PAGE);
      assert.equal(await names.dig("TXT", "info.lab.test"), '"of the site"');

      report.step("another nameserver in resolv.conf is used without a restart");
      const resolvConf = product.gatewayFile("/etc/resolv.conf");
      await Deno.writeTextFile(resolvConf, "nameserver 10.50.0.99\n");
      await eventually(
        "no answer any more",
        10_000,
        async () => await names.dig("TXT", "info.lab.test") === "",
      );
      await Deno.writeTextFile(resolvConf, `nameserver 10.50.0.99\nnameserver ${NAMESERVER[6]}\n`);
      await eventually(
        "an answer of the second one",
        10_000,
        async () => await names.dig("TXT", "info.lab.test") === '"of the site"',
      );
    }),
};
