/**
 * Names that only the gateway's site knows: dnsmasq and a second web server on `res2`, and applications on the
 * client that find names the way they always do, through the resolver that the client offers.
 */
import type { BackgroundProcess } from "../../mod/embedded/testbed/mod.ts";
import { DNS_SENTINEL } from "../../mod/embedded/client/mod.ts";
import { PAGE, POLICY_HEAD, type Product, type ProductOptions, withFiles, withProduct } from "./product.ts";
import { eventually } from "./scenario.ts";

export const NAMESERVER = { 4: "10.50.0.3", 6: "fd50::3" } as const;
export const OTHER_PAGE = "the other private page";
export const LONG_TEXT = "long ".repeat(50).trim();
const START_TIMEOUT_MS = 5000;

/** Access by name only: no address of the site is a resource. */
const POLICY = `${POLICY_HEAD}
[[resource]]
name = "lab names"
address = "**.lab.test"
allow = ["client"]
filters = ["icmp", "tcp/80"]
`;

const RECORDS = `host-record=v4.lab.test,10.50.0.2
host-record=v6.lab.test,fd50::2
host-record=both.lab.test,10.50.0.2,fd50::2
cname=alias.lab.test,both.lab.test
host-record=round.lab.test,10.50.0.2
host-record=round.lab.test,10.50.0.3
host-record=dead.lab.test,10.50.0.99
host-record=server.elsewhere.test,10.50.0.77
srv-host=_web._tcp.lab.test,both.lab.test,80,1,2
txt-record=info.lab.test,"of the site"
${Array.from({ length: 6 }, (_, i) => `txt-record=long.lab.test,"${i} ${LONG_TEXT}"`).join("\n")}
`;

export class SiteNames {
  readonly product: Product;
  readonly #folder: string;
  #server: BackgroundProcess | undefined;

  constructor(product: Product, folder: string) {
    this.product = product;
    this.#folder = folder;
  }

  async start(): Promise<void> {
    await Deno.mkdir(`${this.#folder}/hosts`, { recursive: true });
    await Deno.writeTextFile(`${this.#folder}/hosts/moving`, "10.50.0.2 moving.lab.test\n");
    await Deno.writeTextFile(`${this.#folder}/resolv.conf`, `nameserver ${DNS_SENTINEL}\n`);
    const code = `Deno.serve({ hostname: "::", port: 80 }, () => new Response(${
      JSON.stringify(`${OTHER_PAGE}\n`)
    }))`;
    this.product.internet.host("res2").start([Deno.execPath(), "eval", code], { label: "second web server" });
    await this.startServer();
  }

  async startServer(): Promise<void> {
    const settings = `keep-in-foreground\nno-resolv\nno-hosts\nno-daemon\nuser=\ngroup=\nlog-queries\n` +
      `log-facility=-\nbind-interfaces\nlisten-address=${NAMESERVER[4]},${NAMESERVER[6]}\n` +
      `local=/test/\nlocal-ttl=1\nedns-packet-max=4096\naddn-hosts=${this.#folder}/hosts/moving\n${RECORDS}`;
    await Deno.writeTextFile(`${this.#folder}/dnsmasq.conf`, settings);
    const command = ["dnsmasq", `--conf-file=${this.#folder}/dnsmasq.conf`, "--pid-file="];
    this.#server = this.product.internet.host("res2").start(command, { label: "dnsmasq" });
    await this.#server.waitFor(/started/, START_TIMEOUT_MS);
  }

  async stopServer(): Promise<void> {
    await this.#server?.stop();
  }

  /** `moving.lab.test` is somewhere else from now on. */
  async move(address: string): Promise<void> {
    await Deno.writeTextFile(`${this.#folder}/hosts/moving`, `${address} moving.lab.test\n`);
    this.#server!.kill("SIGHUP");
    await eventually("the nameserver to know the new address", START_TIMEOUT_MS, async () => {
      const answer = await this.product.internet.host("res").check([
        ..."dig +short +time=1 +tries=1".split(" "),
        `@${NAMESERVER[4]}`,
        "moving.lab.test",
      ]);
      return answer.trim() === address;
    });
  }

  /** Queries that the nameserver got, as `A both.lab.test`. */
  get queries(): string[] {
    return [...this.#server!.output.matchAll(/query\[(\w+)\] (\S+) from/g)].map((match) =>
      `${match[1]} ${match[2]}`
    );
  }

  /** Runs a program on the client that resolves names through the tunnel's client. */
  application(command: readonly string[]): Promise<{ code: number; stdout: string; stderr: string }> {
    const files = { "/etc/resolv.conf": `${this.#folder}/resolv.conf` };
    return this.product.internet.host("client").run(withFiles(files, command));
  }

  /** What curl gets by name; the error's text when it fails. */
  async curl(name: string, ...options: readonly string[]): Promise<string> {
    const command = ["curl", "-sS", "--max-time", "8", ...options, `http://${name}/`];
    const { code, stdout, stderr } = await this.application(command);
    return code === 0 ? stdout.trim() : stderr.trim();
  }

  /**
   * Milliseconds until the system says that a name is unreachable over this family. One of its addresses only: curl
   * tries one each second.
   */
  async refusal(name: string, family: 4 | 6 = 4): Promise<number> {
    const [address] = (await this.dig(family === 4 ? "A" : "AAAA", name)).split("\n");
    const started = performance.now();
    const said = await this.curl(name, "--resolve", `${name}:80:${address}`);
    if (!/Failed to connect|unreachable|No route/.test(said)) {
      throw new Error(`${name} is not refused: ${said}`);
    }
    return performance.now() - started;
  }

  /** The records that dig finds, sorted. */
  async dig(...args: readonly string[]): Promise<string> {
    return (await this.digAll("+short", ...args)).trim().split("\n").sort().join("\n");
  }

  /** Everything that dig prints. */
  async digAll(...args: readonly string[]): Promise<string> {
    return (await this.application(["dig", "+time=6", "+tries=1", ...args])).stdout;
  }
}

/** The product with {@link SiteNames} behind its gateway, and a client that has reached the gateway by name once. */
export async function withSiteNames(
  body: (names: SiteNames, product: Product) => Promise<void>,
  options: ProductOptions = {},
): Promise<void> {
  const folder = await Deno.makeTempDir({ dir: "/run" });
  await withProduct(async (product) => {
    const names = new SiteNames(product, folder);
    await names.start();
    await product.startClient();
    await eventually("a page by name", 15_000, async () => await names.curl("both.lab.test") === PAGE);
    await body(names, product);
  }, {
    policy: POLICY,
    gatewayFiles: {
      "/etc/resolv.conf": `search elsewhere.test\nnameserver ${NAMESERVER[4]}\n`,
      "/etc/hosts": "127.0.0.1 localhost\n10.50.0.3 pinned.lab.test\n",
    },
    ...options,
  });
}
