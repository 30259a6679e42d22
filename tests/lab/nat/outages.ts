/**
 * What happens to a network while a TCP connection goes through it. The connection is the same from the first step to
 * the last, or the scenario fails.
 */
import { forgetMappings } from "../../../mod/embedded/testbed/mod.ts";
import type { Product } from "../product.ts";
import { eventually, type Report } from "../scenario.ts";
import { become } from "./pairs.ts";
import { addSecondRelay, blockPeers, unblockPeers } from "./peers.ts";
import { Stream } from "./stream.ts";

/** Path loss is noticed within 17 s; a TCP sender that was silent so long may wait as long again. */
const RECOVERY_MS = 40_000;
const BACK_TO_DIRECT_MS = 40_000;

export async function surviveOutages(product: Product, report: Report): Promise<void> {
  const { internet } = product;
  await become(product, "natg", "cone");
  await become(product, "natc", "cone");
  await product.gateway.stop();
  await product.startGateway();
  await allowEcho(product);
  await product.startClient();
  await eventually("an answer", 15_000, () => product.answers());
  await onPath(product, "direct");
  const stream = await Stream.open(product);

  const outage = async (what: string, happen: () => Promise<void>, then?: "direct" | "relayed") => {
    const since = Date.now();
    await happen();
    if (then) await onPath(product, then);
    await stream.flows(RECOVERY_MS);
    report.note(`${what}: TCP paused for ${(stream.longestPause(since) / 1000).toFixed(1)} s`);
  };

  report.step("one TCP connection from here to the end");
  await product.portal.stop();
  await outage("portal away, UDP between the peers blocked", () => blockPeers(product), "relayed");
  await outage("portal away, UDP let through again", () => unblockPeers(product), "direct");
  await product.startPortal();
  await outage("portal back", () => Promise.resolve());
  for (const to of ["cell", "wifi"] as const) {
    await outage(`client roams to ${to}`, () => internet.roam(to));
  }
  const links = portalLinks(product.gateway.output), moved = performance.now();
  await outage("gateway's own address changed", () => moveGateway(product));
  // Its link to the portal died with the address, and what comes next needs the portal.
  await eventually(
    "the gateway's new link to the portal",
    60_000,
    () => Promise.resolve(portalLinks(product.gateway.output) > links),
  );
  report.note(`gateway back at the portal after ${((performance.now() - moved) / 1000).toFixed(1)} s`);
  await outage("UDP between the peers blocked again", () => blockPeers(product), "relayed");
  await outage("relay restarted", async () => {
    await product.relay.stop();
    await product.startRelay();
  });
  await addSecondRelay(product);
  await outage("relay killed, a second one is there", () => {
    product.relay.kill("SIGKILL");
    return Promise.resolve();
  });
}

/** The stock policy leaves no port for the echo server. The portal takes a changed file at once. */
async function allowEcho(product: Product): Promise<void> {
  await Deno.writeTextFile(product.policyFile, product.policy.replaceAll("tcp/5201-5210", "tcp/5201-5300"));
}

async function onPath(product: Product, path: "direct" | "relayed"): Promise<void> {
  const limit = path === "direct" ? BACK_TO_DIRECT_MS : RECOVERY_MS;
  await eventually(`a ${path} path`, limit, () => Promise.resolve(product.path === path));
}

/** The gateway gets another address in its network; its router has not seen it before. */
async function moveGateway({ internet }: Product): Promise<void> {
  await internet.host("gateway").ip(
    "addr add 192.168.88.3/24 dev wan",
    "addr del 192.168.88.2/24 dev wan",
    "addr replace 192.168.88.3/24 dev wan",
    "route replace default via 192.168.88.1",
  );
  await forgetMappings(internet.host("natg"));
}

function portalLinks(output: string): number {
  return output.split("Connected to portal").length;
}
