/**
 * Every pairing of NATs in front of client and gateway, in one internet whose routers change their kind.
 *
 * What is possible follows from RFC 4787: an address-and-port-dependent filter lets in only what was written to, and a
 * symmetric NAT writes from a port that nobody can know before. So two symmetric NATs, or a symmetric one and a
 * filtering one, need the relay; everything else finds a direct path.
 */
import type { CustomerNat } from "../internet.ts";
import { type Product, SERVER } from "../product.ts";
import type { NatKind } from "../../../mod/embedded/testbed/mod.ts";
import { eventually, type Report } from "../scenario.ts";

export const KINDS = ["none", "cone", "conemap", "symmetric"] as const satisfies readonly NatKind[];
export type Kind = typeof KINDS[number];

/** The first packet starts everything: portal, checks, handshake. It waits for the tunnel and is answered. */
const SETUP_LIMIT_S = 10;
const SETTLE_MS = 6_000;
const INSIDE = {
  natc: ["192.168.77.0/24", "198.51.100.34"],
  natg: ["192.168.88.0/24", "198.51.100.50"],
} as const;

interface Outcome {
  readonly path: "direct" | "relayed";
  /** From the first packet to its answer, ms. */
  readonly setup: number;
}

export function expectedPath(client: Kind, gateway: Kind): "direct" | "relayed" {
  const isSymmetric = client === "symmetric" || gateway === "symmetric";
  return isSymmetric && client !== "none" && gateway !== "none" ? "relayed" : "direct";
}

/** Connects through each pairing; throws when one does not connect, or on another path than its NATs allow. */
export async function connectThroughAllPairs(product: Product, report: Report): Promise<void> {
  const rows: string[] = [];
  report.note(`${"client \\ gateway".padEnd(18)}${KINDS.map((kind) => kind.padEnd(18)).join("")}`);
  const table = new Map<string, Outcome>();
  for (const gateway of KINDS) {
    await become(product, "natg", gateway);
    await product.gateway.stop();
    await product.startGateway();
    for (const client of KINDS) {
      await become(product, "natc", client);
      table.set(`${client} ${gateway}`, await connect(product, client, gateway));
    }
  }
  for (const client of KINDS) {
    const cells = KINDS.map((gateway) => {
      const { path, setup } = table.get(`${client} ${gateway}`)!;
      return `${path} ${setup.toFixed(0)} ms`.padEnd(18);
    });
    rows.push(`${client.padEnd(18)}${cells.join("")}`);
  }
  for (const row of rows) report.note(row);
}

/** Makes the customer's router a NAT of this kind; without one its network is routed, as with public addresses. */
export async function become(
  product: Product,
  router: CustomerNat & keyof typeof INSIDE,
  kind: Kind,
): Promise<void> {
  const { internet } = product;
  const [network, via] = INSIDE[router];
  await internet.nat(router, kind);
  const change = kind === "none" ? `route replace ${network} via ${via}` : `route flush ${network}`;
  await internet.host("core").ip(change);
}

async function connect(product: Product, client: Kind, gateway: Kind): Promise<Outcome> {
  const pair = `client behind ${client}, gateway behind ${gateway}`;
  await product.startClient();
  const setup = await firstAnswer(product);
  if (setup === undefined) throw new Error(`${pair}: no answer within ${SETUP_LIMIT_S} s.`);
  const expected = expectedPath(client, gateway);
  await eventually(
    `${pair}: a ${expected} path`,
    SETTLE_MS,
    () => Promise.resolve(product.path === expected),
  );
  await eventually(`${pair}: an answer on it`, SETTLE_MS, () => product.answers());
  await product.client.stop();
  return { path: expected, setup };
}

/** One ping, whose packet waits in the client until the tunnel is up: its round trip is the set-up time, ms. */
async function firstAnswer({ internet }: Product): Promise<number | undefined> {
  const ping = ["ping", "-n", "-c", "1", "-W", String(SETUP_LIMIT_S), SERVER[4]];
  const { stdout } = await internet.host("client").run(ping);
  const time = / time=([\d.]+) ms/.exec(stdout);
  return time ? Number(time[1]) : undefined;
}
