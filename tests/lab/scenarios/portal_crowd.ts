/**
 * ```
 *   1,000 clients ── natc (one address for all) ── core ── portal (is killed)
 * ```
 */
import assert from "node:assert/strict";
import type { BackgroundProcess } from "../../../mod/embedded/testbed/mod.ts";
import { PORTAL, withProduct } from "../product.ts";
import { eventually, type Scenario } from "../scenario.ts";

const SCRIPT = new URL("../portal/crowd.ts", import.meta.url).pathname;
const CLIENTS = 1000, BACK_MS = 30_000, DOWN_MS = 3000;

export const scenario: Scenario = {
  title: "1,000 clients that lose their portal at once are all back within 30 seconds",
  run: (report) =>
    withProduct(async (product) => {
      const tokens = Array.from({ length: CLIENTS }, (_, i) => `crowd-token-${String(i).padStart(12, "0")}`);
      const entries = tokens.map((token, i) => `[[client]]\nname = "crowd ${i}"\ntoken = "${token}"\n`);
      await Deno.writeTextFile(
        product.policyFile,
        product.policy.replaceAll('allow = ["client"]', 'allow = ["everyone"]') + entries.join(""),
      );
      await product.portal.waitFor(/~ resource "private v6"/, 5000);
      const tokenFile = `${product.policyFile}.tokens`;
      await Deno.writeTextFile(tokenFile, tokens.join("\n"));
      const crowd = product.internet.host("client").start(
        [Deno.execPath(), "run", "-A", "--no-check", SCRIPT, `ws://${PORTAL}`, tokenFile],
        { label: "crowd" },
      );
      report.step("they sign in for the first time, all at once");
      report.note(`all in after ${await allIn(crowd)} s, ${usage(product.portal.pid)}`);

      report.step(`the portal is killed, and started again after ${DOWN_MS / 1000} s`);
      product.portal.kill("SIGKILL");
      await eventually("none to be in", 5000, () => Promise.resolve(count(crowd) === 0));
      await new Promise((resolve) => setTimeout(resolve, DOWN_MS));
      await product.startPortal();
      report.note(`all back after ${await allIn(crowd)} s, ${usage(product.portal.pid)}`);
      assert.doesNotMatch(crowd.output, /failed|warning/);
      assert.equal(product.gateway.status, undefined);
    }),
};

/** @returns the seconds it took */
async function allIn(crowd: BackgroundProcess): Promise<string> {
  const started = performance.now();
  await eventually("everybody to be in", BACK_MS, () => Promise.resolve(count(crowd) === CLIENTS));
  return ((performance.now() - started) / 1000).toFixed(1);
}

function count(crowd: BackgroundProcess): number {
  return Number([...crowd.output.matchAll(/joined (\d+)/g)].at(-1)?.[1] ?? 0);
}

/** What a process has used so far. */
function usage(pid: number): string {
  const stat = Deno.readTextFileSync(`/proc/${pid}/stat`).split(") ")[1]!.split(" ");
  const seconds = (Number(stat[11]) + Number(stat[12])) / 100;
  const rss = Number(/VmRSS:\s+(\d+)/.exec(Deno.readTextFileSync(`/proc/${pid}/status`))?.[1]) / 1024;
  return `portal ${seconds.toFixed(1)} s of CPU, ${rss.toFixed(0)} MB`;
}
