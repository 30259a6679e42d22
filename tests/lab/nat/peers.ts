/** What can be done to the network between two peers: their direct way, and the relays that the portal knows. */
import { posternCommand } from "../../bench/tunnel/postern.ts";
import type { Product } from "../product.ts";
import { eventually } from "../scenario.ts";

const SECOND_RELAY = "198.51.100.18";
const SECOND_SECRET = "lab-second-relay-00001";
const START_MS = 15_000;

/** UDP passes the client's first router only from and to a relay's own port. */
export async function blockPeers({ internet }: Pick<Product, "internet">): Promise<void> {
  await internet.host("natc").nft(
    `table inet udpblock { chain forward_ { type filter hook forward priority -10; policy accept;
    udp dport 3478 accept
    udp sport 3478 accept
    meta l4proto udp drop
  }
}
`,
  );
}

export async function unblockPeers({ internet }: Product): Promise<void> {
  await internet.host("natc").dropTable("udpblock");
}

/** Starts a second relay on the portal's host, and waits until gateway and client have allocations on it. */
export async function addSecondRelay(product: Product): Promise<void> {
  const secret = `${product.policyFile}.second`;
  await Deno.writeTextFile(secret, SECOND_SECRET);
  const relay = product.internet.host("portal").start(
    [...posternCommand(), "relay", "--secret-file", secret, "--public-ipv4", SECOND_RELAY],
    { label: "second relay" },
  );
  await relay.waitFor(/Relay is listening/, START_MS);
  const ends = [product.gateway, product.client];
  const before = ends.map((end) => allocations(end.output));
  const policy = await Deno.readTextFile(product.policyFile);
  const description = `[[relay]]\nipv4 = "${SECOND_RELAY}"\nsecret = "${SECOND_SECRET}"\n`;
  await Deno.writeTextFile(product.policyFile, `${policy}\n${description}`);
  await eventually(
    "allocations on the second relay",
    START_MS,
    () => Promise.resolve(ends.every((end, i) => allocations(end.output) > before[i]!)),
  );
}

/** The portal stops to hand out the first relay, which goes on as if nothing had happened. */
export async function removeFirstRelay(product: Product): Promise<void> {
  const policy = await Deno.readTextFile(product.policyFile);
  const start = policy.indexOf("[[relay]]"), end = policy.indexOf("\n[[", start);
  await Deno.writeTextFile(
    product.policyFile,
    policy.slice(0, start) + policy.slice(end < 0 ? undefined : end),
  );
}

function allocations(output: string): number {
  return output.split("Updated allocation").length;
}
