/**
 * ```
 *   client ── natc (cone, strict) ──┬── core ── natg (cone) ── gateway ── res
 *                                   └ portal, relay
 * ```
 */
import assert from "node:assert/strict";
import { content } from "../content.ts";
import { policyWith, resource } from "../policy/resources.ts";
import { type Product, SERVER, withProduct } from "../product.ts";
import { eventually, type Scenario } from "../scenario.ts";

const SERVE = new URL("../content.ts", import.meta.url).pathname;
const PORT = 8080, COUNT = 200, LEAST_BYTES = 1_000, STEP_BYTES = 12_345;

export const scenario: Scenario = {
  title: "two hundred downloads at once arrive whole, over IPv4 and IPv6, direct and relayed",
  needs: ["curl"],
  run: (report) =>
    withProduct(async (product) => {
      const server = product.internet.host("res").start(
        [Deno.execPath(), "run", "--allow-net", "--no-check", SERVE, "serve", String(PORT)],
        { label: "downloads" },
      );
      await server.waitFor(/serving/, 15_000);
      for (const path of ["direct", "relayed"] as const) {
        await product.internet.blockUdp(path === "relayed");
        await product.startClient();
        await eventually("an answer", 10_000, () => product.answers());
        await eventually(`a ${path} path`, 10_000, () => Promise.resolve(product.path === path));
        report.step(path);
        report.note(await downloadAll(product));
        await product.client.stop();
      }
    }, { policy: policyWith(resource("v4", "10.50.0.0/24"), resource("v6", "fd50::/64")) }),
};

/** Throws when one of the files is not what it should be; says how it went. */
async function downloadAll(product: Product): Promise<string> {
  const folder = await Deno.makeTempDir({ dir: "/run" });
  try {
    const files = Array.from({ length: COUNT }, (_, seed) => {
      const host = seed % 2 === 0 ? SERVER[4] : `[${SERVER[6]}]`, bytes = LEAST_BYTES + seed * STEP_BYTES;
      return { seed, bytes, url: `http://${host}:${PORT}/${seed}/${bytes}`, path: `${folder}/${seed}` };
    });
    const config = files.map(({ url, path }) => `url = "${url}"\noutput = "${path}"\n`).join("");
    await Deno.writeTextFile(`${folder}/curl`, config);
    const started = performance.now();
    const command = ["curl", "-sS", "--fail", "-Z", "--parallel-immediate", "--parallel-max", String(COUNT)];
    await product.internet.host("client").check([...command, "--config", `${folder}/curl`], {
      timeoutMs: 60_000,
    });
    const seconds = (performance.now() - started) / 1_000;
    let total = 0;
    for (const { seed, bytes, path } of files) {
      const got = await Deno.readFile(path);
      assert.ok(
        equal(got, content(seed, bytes)),
        `file ${seed}, ${got.length} of ${bytes} bytes, is another`,
      );
      total += bytes;
    }
    return `${COUNT} files, ${(total / 1e6).toFixed(0)} MB in ${seconds.toFixed(1)} s`;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
