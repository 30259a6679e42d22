/**
 * What happens to a network while a TCP connection goes through it. The connection is the same from the first step to
 * the last, or the scenario fails.
 */
import { forgetMappings } from "../../../mod/embedded/testbed/mod.ts";
import { posternCommand } from "../../bench/tunnel/postern.ts";
import type { Product } from "../product.ts";
import { eventually, type Report } from "../scenario.ts";
import { become } from "./pairs.ts";
import { Stream } from "./stream.ts";

/** Path loss is noticed within 17 s; a TCP sender that was silent so long may wait as long again. */
const RECOVERY_MS = 40_000;
const BACK_TO_DIRECT_MS = 40_000;
const SECOND_RELAY = "198.51.100.18";
const SECOND_SECRET = "lab-second-relay-00001";

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
  await outage("gateway's own address changed", () => moveGateway(product));
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
  await Deno.writeTextFile(product.policyFile, echoPolicy(product));
}

function echoPolicy(product: Product): string {
  return product.policy.replaceAll("tcp/5201-5210", "tcp/5201-5300");
}

async function onPath(product: Product, path: "direct" | "relayed"): Promise<void> {
  const limit = path === "direct" ? BACK_TO_DIRECT_MS : RECOVERY_MS;
  await eventually(`a ${path} path`, limit, () => Promise.resolve(product.path === path));
}

/** UDP passes only from and to a relay's own port. */
async function blockPeers({ internet }: Product): Promise<void> {
  const router = internet.host("natc");
  await router.nft(
    `table inet udpblock { chain forward_ { type filter hook forward priority -10; policy accept;
    udp dport 3478 accept
    udp sport 3478 accept
    meta l4proto udp drop
  }
}
`,
  );
}

async function unblockPeers({ internet }: Product): Promise<void> {
  await internet.host("natc").dropTable("udpblock");
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

/** A second relay, on the portal's host, which the portal then hands out besides the first. */
async function addSecondRelay(product: Product): Promise<void> {
  const secret = `${product.policyFile}.second`;
  await Deno.writeTextFile(secret, SECOND_SECRET);
  const relay = product.internet.host("portal").start(
    [...posternCommand(), "relay", "--secret-file", secret, "--public-ipv4", SECOND_RELAY],
    { label: "second relay" },
  );
  await relay.waitFor(/Relay is listening/, 15_000);
  const policy = `${echoPolicy(product)}\n[[relay]]\nipv4 = "${SECOND_RELAY}"\nsecret = "${SECOND_SECRET}"\n`;
  const [before, beforeClient] = [product.gateway, product.client].map((end) => allocations(end.output));
  await Deno.writeTextFile(product.policyFile, policy);
  await eventually("allocations on the second relay", 10_000, () =>
    Promise.resolve(
      allocations(product.gateway.output) > before! && allocations(product.client.output) > beforeClient!,
    ));
}

function allocations(output: string): number {
  return output.split("Updated allocation").length;
}
