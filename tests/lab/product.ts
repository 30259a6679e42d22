/** The product's own programs in the lab's internet: portal, relay, gateway and client, each where it would be. */
import type { BackgroundProcess } from "../../mod/embedded/testbed/mod.ts";
import { posternCommand } from "../bench/tunnel/postern.ts";
import { Internet } from "./internet.ts";

export const SERVER = { 4: "10.50.0.2", 6: "fd50::2" } as const;
export const PAGE = "the private page";
export const PORTAL = "198.51.100.18:8443";
export const GATEWAY_TOKEN = "lab-gateway-token-00001", CLIENT_TOKEN = "lab-client-token-000001";
const RELAY_SECRET = "lab-relay-secret-00001";
const START_TIMEOUT_MS = 15_000;
/** A server that lost its client is busy until it notices: transfers take turns. */
const IPERF_PORTS = [5201, 5202, 5203, 5204, 5205, 5206, 5207, 5208, 5209, 5210];

/** Everything of a policy file but resources and the client. */
export const POLICY_HEAD = `[[site]]
name = "lab"

[[gateway]]
name = "gateway"
token = "${GATEWAY_TOKEN}"

[[relay]]
ipv4 = "198.51.100.2"
ipv6 = "2001:db8:1::2"
secret = "${RELAY_SECRET}"

[[client]]
name = "client"
token = "${CLIENT_TOKEN}"
`;

const POLICY = `${POLICY_HEAD}
[[resource]]
name = "private v4"
address = "10.50.0.0/24"
allow = ["client"]
filters = ["icmp", "tcp/80", "tcp/5201-5210", "udp"]

[[resource]]
name = "private v6"
address = "fd50::/64"
allow = ["client"]
filters = ["icmp", "tcp/80", "tcp/5201-5210", "udp"]
`;

export type { Host } from "../../mod/embedded/testbed/mod.ts";

export interface ProductOptions {
  /** The policy file's text; two networks with filters when absent. */
  readonly policy?: string;
  /** The gateway records flows in this file, or with `true` in one of the product's own. */
  readonly flowLogs?: boolean | string;
  /** What the gateway sees in place of files of this machine, by their paths; see {@link Product.gatewayFile}. */
  readonly gatewayFiles?: Readonly<Record<string, string>>;
}

/** The command as one that sees other files in these places, target by source; nobody else sees them. */
export function withFiles(files: Readonly<Record<string, string>>, command: readonly string[]): string[] {
  const mounts = Object.entries(files).map(([target, source]) => `mount --bind '${source}' '${target}' && `);
  return mounts.length === 0
    ? [...command]
    : ["unshare", "-m", "sh", "-c", `${mounts.join("")}exec "$@"`, "sh", ...command];
}

export class Product implements AsyncDisposable {
  readonly internet: Internet;
  readonly #folder: string;
  readonly #options: ProductOptions;
  readonly #command = posternCommand();
  #transfers = 0;
  portal!: BackgroundProcess;
  relay!: BackgroundProcess;
  gateway!: BackgroundProcess;
  client!: BackgroundProcess;

  private constructor(internet: Internet, folder: string, options: ProductOptions) {
    this.#options = options;
    this.internet = internet;
    this.#folder = folder;
  }

  /** Everything up but the client. */
  static async start(internet: Internet, options: ProductOptions = {}): Promise<Product> {
    const product = new Product(internet, await Deno.makeTempDir({ dir: "/run" }), options);
    try {
      await product.#start();
    } catch (error) {
      await product[Symbol.asyncDispose]();
      throw error;
    }
    return product;
  }

  async #start(): Promise<void> {
    await Deno.writeTextFile(this.policyFile, this.policy);
    await Deno.writeTextFile(`${this.#folder}/secret`, RELAY_SECRET);
    for (const [path, text] of Object.entries(this.#options.gatewayFiles ?? {})) {
      await Deno.writeTextFile(this.gatewayFile(path), text);
    }
    this.#startServers();
    await Promise.all([this.startPortal(), this.startRelay()]);
    await this.startGateway();
  }

  get policyFile(): string {
    return `${this.#folder}/policy.toml`;
  }

  get flowFile(): string {
    const { flowLogs } = this.#options;
    return typeof flowLogs === "string" ? flowLogs : `${this.#folder}/flows.jsonl`;
  }

  /** The file that the gateway sees at `path`; write into it to change what it sees. */
  gatewayFile(path: string): string {
    return `${this.#folder}/gateway${path.replaceAll("/", "-")}`;
  }

  get policy(): string {
    return this.#options.policy ?? POLICY;
  }

  async startPortal(): Promise<void> {
    const args = [
      "portal",
      this.policyFile,
      "--listen",
      "0.0.0.0:8443",
      "--state",
      `${this.#folder}/state.db`,
    ];
    this.portal = this.#run("portal", args);
    await this.portal.waitFor(/Portal is listening/, START_TIMEOUT_MS);
  }

  async startRelay(): Promise<void> {
    const addresses = ["--public-ipv4", "198.51.100.2", "--public-ipv6", "2001:db8:1::2"];
    this.relay = this.#run("relay", ["relay", "--secret-file", `${this.#folder}/secret`, ...addresses]);
    await this.relay.waitFor(/Relay is listening/, START_TIMEOUT_MS);
  }

  async startGateway(): Promise<void> {
    this.gateway = this.#run("gateway", [
      "gateway",
      "--api-url",
      `ws://${PORTAL}`,
      "--masquerade",
      GATEWAY_TOKEN,
    ]);
    await this.gateway.waitFor(/Tunnel interface is up/, START_TIMEOUT_MS);
    await this.gateway.waitFor(/Updated allocation/, START_TIMEOUT_MS);
  }

  async startClient(): Promise<void> {
    const args = ["client", "--api-url", `ws://${PORTAL}`, "--firezone-id", "lab-client", CLIENT_TOKEN];
    this.client = this.#run("client", args);
    await this.client.waitFor(/Tunnel interface is up/, START_TIMEOUT_MS);
  }

  /** True when one ping through the tunnel is answered within a second. */
  async answers(family: 4 | 6 = 4): Promise<boolean> {
    const { code } = await this.internet.host("client").run([
      "ping",
      "-n",
      "-c",
      "1",
      "-W",
      "1",
      SERVER[family],
    ]);
    return code === 0;
  }

  /** Fetches the private page; throws when it is not the page. */
  async fetchPage(family: 4 | 6 = 4): Promise<void> {
    const host = family === 4 ? SERVER[4] : `[${SERVER[6]}]`;
    const page = await this.internet.host("client").check([
      "curl",
      "-sS",
      "--max-time",
      "8",
      `http://${host}/`,
    ]);
    if (page.trim() !== PAGE) throw new Error(`Not the private page: ${page}`);
  }

  /** Gbit/s of one TCP stream from the client to the server, or back. */
  async throughput(seconds: number, direction: "up" | "down" = "up"): Promise<number> {
    const port = IPERF_PORTS[this.#transfers++ % IPERF_PORTS.length]!;
    const args = [
      "-J",
      "-c",
      SERVER[4],
      "-p",
      String(port),
      "-t",
      String(seconds),
      "--connect-timeout",
      "5000",
    ];
    const { stdout } = await this.internet.host("client").run(
      ["iperf3", ...args, ...(direction === "down" ? ["-R"] : [])],
      { timeoutMs: (seconds + 20) * 1000 },
    );
    const report = JSON.parse(stdout);
    if (report.error) throw new Error(`iperf3: ${report.error}`);
    return report.end.sum_received.bits_per_second / 1e9;
  }

  /** The path that the client's packets took last, by its own word. */
  get path(): string | undefined {
    return [...this.client.output.matchAll(/Packets take a path.*path=(\w+)/g)].at(-1)?.[1];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.internet[Symbol.asyncDispose]();
    await Deno.remove(this.#folder, { recursive: true });
  }

  #run(host: "portal" | "relay" | "gateway" | "client", args: readonly string[]): BackgroundProcess {
    const seen = host === "gateway" ? Object.keys(this.#options.gatewayFiles ?? {}) : [];
    const files = Object.fromEntries(seen.map((path) => [path, this.gatewayFile(path)]));
    return this.internet.host(host).start(withFiles(files, [...this.#command, ...args]), {
      label: `postern ${host}`,
      env: {
        RUST_LOG: "debug",
        FIREZONE_ID: host === "gateway" ? "lab-gateway" : "lab-client",
        ...(this.#options.flowLogs ? { FIREZONE_FLOW_LOGS: this.flowFile } : {}),
      },
    });
  }

  #startServers(): void {
    const server = this.internet.host("res");
    for (const port of IPERF_PORTS) {
      server.start(["iperf3", "-s", "-p", String(port)], { label: `iperf3 ${port}` });
    }
    const code = `Deno.serve({ hostname: "::", port: 80 }, () => new Response(${
      JSON.stringify(`${PAGE}\n`)
    }))`;
    server.start([Deno.execPath(), "eval", code], { label: "web server" });
  }
}

/** An internet with the product in it, for the length of `body`; on a failure the programs' last words are told. */
export async function withProduct(
  body: (product: Product) => Promise<void>,
  options: ProductOptions = {},
): Promise<void> {
  await using product = await Product.start(await Internet.build(), options);
  try {
    await body(product);
  } catch (error) {
    for (const process of [product.portal, product.relay, product.gateway, product.client]) {
      if (process) {
        console.error(`--- ${process.label}${process.status ? " (ended)" : ""}\n${process.tail(12)}`);
      }
    }
    throw error;
  }
}
