/**
 * What happens to a network while a TCP connection goes through it. The connection is the same from the first step to
 * the last, or the scenario fails.
 */
import { type BackgroundProcess, forgetMappings } from "../../../mod/embedded/testbed/mod.ts";
import type { Product } from "../product.ts";
import { eventually, type Report } from "../scenario.ts";
import { become } from "./pairs.ts";
import { addSecondRelay, blockPeers, unblockPeers } from "./peers.ts";
import { Stream } from "./stream.ts";

/**
 * How long the connection may stand still, with what TCP adds: a sender whose retransmissions were lost waits as long
 * again, since its timer doubles each time (RFC 6298 §5.5). A path that dies in silence is noticed in some 4 s, which
 * makes 6.5; a change of our own address is told by the kernel. Who moves while the other end has no portal is not
 * found before it has: its pause before the next attempt comes on top.
 */
const SILENT_MS = 17_000, SIGNALLED_MS = 5_000, UNTOLD_MS = 35_000;
const BACK_TO_DIRECT_MS = 40_000;
/** To a gateway's next join: after a change of its address, or after an outage of the portal of 20 s at most. */
const BACK_AT_PORTAL_MS = 10_000;

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

  const outage = async (
    what: string,
    happen: () => Promise<void>,
    { then, limit = SILENT_MS }: { then?: "direct" | "relayed"; limit?: number } = {},
  ) => {
    const since = Date.now();
    await happen();
    if (then) await onPath(product, then);
    await stream.flows(UNTOLD_MS);
    const paused = stream.longestPause(since);
    report.note(`${what}: TCP paused for ${(paused / 1000).toFixed(1)} s`);
    if (paused > limit) throw new Error(`${what}: TCP paused for ${paused} ms, ${limit} are allowed.`);
  };

  report.step("one TCP connection from here to the end");
  await product.portal.stop();
  await outage("portal away, UDP between the peers blocked", () => blockPeers(product), { then: "relayed" });
  await outage("portal away, UDP let through again", () => unblockPeers(product), { then: "direct" });
  const joins = portalLinks(product.gateway.output);
  await product.startPortal();
  await outage("portal back", () => Promise.resolve());
  // The gateway may still be waiting for its next attempt at the portal: until then it can't learn where the client is.
  await outage("client roams to cell, right after the portal is back", () => internet.roam("cell"), {
    limit: UNTOLD_MS,
  });
  await joined(product.gateway, joins);
  for (const to of ["wifi", "cell", "wifi"] as const) {
    await outage(`client roams to ${to}`, () => roamAfresh(product, to), { limit: SIGNALLED_MS });
  }
  // What is blocked later is the way through the first router: there must not be another.
  await internet.host("client").ip("link set cell0 down");
  const links = portalLinks(product.gateway.output), moved = performance.now();
  await outage("gateway's own address changed", () => moveGateway(product), { limit: SIGNALLED_MS });
  // Its link to the portal died with the address, and what comes next needs the portal.
  await joined(product.gateway, links);
  report.note(`gateway back at the portal after ${((performance.now() - moved) / 1000).toFixed(1)} s`);
  await outage("UDP between the peers blocked again", () => blockPeers(product), { then: "relayed" });
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
  const limit = path === "direct" ? BACK_TO_DIRECT_MS : SILENT_MS;
  await eventually(`a ${path} path`, limit, () => Promise.resolve(product.path === path));
}

/** The client goes to a network whose router has forgotten it. */
async function roamAfresh({ internet }: Product, to: "wifi" | "cell"): Promise<void> {
  await forgetMappings(internet.host(to === "cell" ? "natc2" : "natc"));
  await internet.roam(to);
}

/** The gateway gets another address in its network, and its router has not seen it before. */
async function moveGateway({ internet }: Product): Promise<void> {
  const gateway = internet.host("gateway");
  await gateway.ip("addr del 192.168.88.2/24 dev wan");
  await forgetMappings(internet.host("natg"));
  await gateway.ip("addr add 192.168.88.3/24 dev wan", "route replace default via 192.168.88.1");
}

/** Waits for one more link to the portal than there were. */
async function joined(end: BackgroundProcess, before: number): Promise<void> {
  await eventually(
    `a new link of ${end.label} to the portal`,
    BACK_AT_PORTAL_MS,
    () => Promise.resolve(portalLinks(end.output) > before),
  );
}

function portalLinks(output: string): number {
  return output.split("Connected to portal").length;
}
