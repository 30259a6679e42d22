/**
 * DNS servers on the tunnel's addresses, as long as these may change: bound after each set-up of the interface, with
 * three attempts, since an address may take a moment to be usable (spec policy §5.1).
 */
import { ConnectionLimits } from "../connection_limits.ts";
import { DnsServer, type QueryHandler } from "./server.ts";

const ATTEMPTS = 3;
const PAUSE = 100;
const IDLE_TIMEOUT = 30_000;

export interface TunnelDnsOptions {
  readonly port: number;
  readonly handler: QueryHandler;
  readonly onRefused: () => void;
  readonly onWarning: (message: string, fields: Record<string, unknown>) => void;
}

export class TunnelDns {
  readonly #options: TunnelDnsOptions;
  readonly #limits = new ConnectionLimits();
  #servers: DnsServer[] = [];
  #turn: Promise<unknown> = Promise.resolve();
  #isClosed = false;

  constructor(options: TunnelDnsOptions) {
    this.#options = options;
  }

  /**
   * Serves on these addresses and no others; those that are served already are left alone. A host may lack one
   * family: one address is enough. Resolves with those that are served now.
   * @throws Error when none could be bound
   */
  listen(addresses: readonly string[]): Promise<readonly string[]> {
    const turn = this.#turn.then(() => this.#listen(addresses));
    this.#turn = turn.catch(() => {});
    return turn;
  }

  close(): void {
    this.#isClosed = true;
    for (const server of this.#servers.splice(0)) server.close();
  }

  async #listen(addresses: readonly string[]): Promise<readonly string[]> {
    for (const server of this.#servers) if (!addresses.includes(server.address)) server.close();
    this.#servers = this.#servers.filter(({ address }) => addresses.includes(address));
    const missing = addresses.filter((address) =>
      !this.#servers.some((server) => server.address === address)
    );
    const problems: string[] = [];
    await Promise.all(missing.map(async (address) => {
      try {
        await this.#bind(address);
      } catch (error) {
        problems.push(`${address}: ${error instanceof Error ? error.message : error}`);
      }
    }));
    if (this.#servers.length === 0 && !this.#isClosed) {
      throw new Error(
        `Cannot serve DNS in the tunnel: ${problems.join("; ")}. Free port ${this.#options.port}.`,
      );
    }
    for (const reason of problems) this.#options.onWarning("DNS is not served on an address", { reason });
    return this.#servers.map(({ address }) => address);
  }

  async #bind(address: string): Promise<void> {
    const { port, handler, onRefused, onWarning } = this.#options;
    for (let attempt = 1;; attempt++) {
      try {
        const server = await DnsServer.listen({
          address,
          port,
          limits: this.#limits,
          idleTimeout: IDLE_TIMEOUT,
          handler,
          onRefused,
          onError: (error) => {
            this.#servers = this.#servers.filter((other) => other !== server);
            onWarning("A DNS server ended; the next set-up of the tunnel starts it again", {
              address,
              reason: String(error),
            });
          },
        });
        if (this.#isClosed) server.close();
        else this.#servers.push(server);
        return;
      } catch (error) {
        if (attempt >= ATTEMPTS) throw error;
        await new Promise((resolve) => setTimeout(resolve, PAUSE));
      }
    }
  }
}
