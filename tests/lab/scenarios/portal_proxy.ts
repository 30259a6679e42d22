/**
 * ```
 *   client ── natc ── core ── natg (no TCP to the portal) ── gateway ── res
 *                        ├ portal
 *                        └ relay, and an HTTP proxy with a password
 * ```
 */
import assert from "node:assert/strict";
import { posternCommand } from "../../bench/tunnel/postern.ts";
import { GATEWAY_TOKEN, PORTAL, type Product, withProduct } from "../product.ts";
import { eventually, type Scenario } from "../scenario.ts";

const PROXY = "198.51.100.2:3128", PASSWORD = "s3cret%21", DECODED = "s3cret!";
const PROXY_PROCESS = new URL("../portal/proxy_process.ts", import.meta.url).pathname;
const PATIENCE_MS = 15_000;

export const scenario: Scenario = {
  title: "a gateway that reaches the portal only through an HTTP proxy serves its clients",
  needs: ["ping", "curl"],
  run: (report) =>
    withProduct(async (product) => {
      await product.gateway.stop();
      await onlyByProxy(product);
      const [host, port] = PROXY.split(":");
      const relay = product.internet.host("relay");
      const proxy = relay.start([
        Deno.execPath(),
        "run",
        "-A",
        "--no-check",
        PROXY_PROCESS,
        host!,
        port!,
        `me:${DECODED}`,
      ], {
        label: "proxy",
      });
      await proxy.waitFor(/Proxy is listening/, PATIENCE_MS);

      report.step("the wrong password: the gateway says what to do, and stays");
      startGateway(product, `http://me:wrong@${PROXY}`);
      await product.gateway.waitFor(
        /does not accept the credentials in http_proxy \(HTTP 407\)/,
        PATIENCE_MS,
      );
      await new Promise((resolve) => setTimeout(resolve, 1000));
      assert.equal(product.gateway.status, undefined, product.gateway.tail());
      await product.gateway.stop();

      report.step("the right one");
      startGateway(product, `http://me:${PASSWORD}@${PROXY}`);
      await product.gateway.waitFor(/Tunnel interface is up/, PATIENCE_MS);
      await product.startClient();
      await eventually("the private page", PATIENCE_MS, () => product.fetchPage());
      assert.match(proxy.output, new RegExp(`^CONNECT ${PORTAL.replaceAll(".", "\\.")} HTTP/1\\.1$`, "m"));
      assert.doesNotMatch(product.gateway.output, /s3cret/);
    }),
};

/** The gateway's network lets no TCP out to the portal's port. */
async function onlyByProxy(product: Product): Promise<void> {
  const rules = `table inet proxy_only {
    chain forward { type filter hook forward priority -10; tcp dport ${PORTAL.split(":")[1]} drop; }
  }`;
  await product.internet.host("natg").check(["nft", rules]);
}

function startGateway(product: Product, proxy: string): void {
  const args = ["gateway", "--api-url", `ws://${PORTAL}`, "--masquerade", GATEWAY_TOKEN];
  product.gateway = product.internet.host("gateway").start([...posternCommand(), ...args], {
    label: "postern gateway behind a proxy",
    env: { RUST_LOG: "debug", FIREZONE_ID: "lab-gateway", http_proxy: proxy },
  });
}
