/**
 * ```
 *   client ── natc (cone) ── core ── natg (cone) ── gateway ── res
 *                              └ portal (an admin looks at its pages), relay
 * ```
 */
import assert from "node:assert/strict";
import { hashPassword } from "../../../mod/embedded/portal/sign_in/mod.ts";
import { TextBrowser } from "../portal/browser.ts";
import { POLICY_HEAD, PORTAL, SERVER, withProduct } from "../product.ts";
import { eventually, type Scenario } from "../scenario.ts";

const PASSWORD = "correct horse battery staple";
/** Gateways report every 10 s; a rate needs two reports. */
const TWO_REPORTS_MS = 25_000;
const SECONDS = 26;

export const scenario: Scenario = {
  title:
    "the admin pages show real traffic: path, round trip, rates as measured, flows that end and what is denied",
  needs: ["curl", "iperf3", "ping"],
  run: async (report) => {
    const policy = `${POLICY_HEAD}
[[resource]]
name = "private v4"
address = "10.50.0.0/24"
allow = ["client"]
filters = ["icmp", "tcp/80", "tcp/5201-5210"]

[[user]]
name = "rosa"
admin = true
password_hash = "${await hashPassword(PASSWORD)}"
`;
    await withProduct(async (product) => {
      await product.startClient();
      await eventually("an answer", 10_000, () => product.answers());
      await eventually("a direct path", 5000, () => Promise.resolve(product.path === "direct"));
      const { internet } = product;
      await using browser = await TextBrowser.signedIn(
        internet.host("portal"),
        `http://${PORTAL}`,
        "rosa",
        PASSWORD,
      );

      report.step("a port that no filter lets through");
      const refused = await internet.host("client").run(
        ["curl", "-s", "--max-time", "1", `http://${SERVER[4]}:8080/`],
      );
      assert.notEqual(refused.code, 0);

      report.step("a transfer, and the gateway's page meanwhile");
      const measuring = product.throughput(SECONDS);
      const link = /href="(\/admin\/gateways\/[^"]+)"/.exec(await browser.page("/admin/gateways"))?.[1];
      assert.ok(link);
      let shown = 0;
      await eventually("a rate on the page", TWO_REPORTS_MS, async () => {
        const row = /direct (\d+\.?\d*) ms ↑ ([\d.]+) ([MG])bit\/s/.exec(await browser.text(link));
        shown = row ? Number(row[2]) * (row[3] === "G" ? 1 : 1e-3) : 0;
        return shown > 0.05;
      });
      const measured = await measuring;
      report.note(`shown ${shown.toFixed(2)} Gbit/s, measured ${measured.toFixed(2)} Gbit/s`);
      // The page has the mean of ten seconds of it, and counts headers.
      assert.ok(shown > measured / 2 && shown < measured * 2, `${shown} against ${measured}`);

      report.step("the flows that ended, and what was denied");
      await eventually("the transfer among the flows", TWO_REPORTS_MS, async () => {
        const text = await browser.text("/admin/activity");
        assert.match(text, /denied .{1,80} private v4 10\.50\.0\.2:8080 tcp not in the resource's filters/);
        assert.match(text, /flow .{1,80} private v4 10\.50\.0\.2:52\d\d tcp ↑ [\d.]+ GB ↓/);
      });
    }, { policy });
  },
};
