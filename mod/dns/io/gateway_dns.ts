/** DNS of a gateway: the forwarder on port 53535 of its tunnel addresses, the resolver for DNS resources. */
import type { DnsCounts } from "../counts.ts";
import { Dns } from "../dns.ts";
import { SystemConfig } from "../system_config.ts";
import { Driver, monotonicNow } from "./driver.ts";
import { FILES } from "./files.ts";
import { TunnelDns } from "./tunnel_dns.ts";

/** Where clients ask for what only the site's nameservers know. */
export const GATEWAY_DNS_PORT = 53535;

export class GatewayDns {
  readonly #dns: Dns;
  readonly #driver: Driver;
  readonly #servers: TunnelDns;
  readonly #replies = new Map<number, (bytes: Uint8Array | undefined) => void>();
  readonly #onResolved: (name: string, addresses: readonly Uint8Array[] | undefined) => void;

  /**
   * @param onResolved called once for each name that was asked for, in lower case
   * @throws Error when this host's resolv.conf cannot be read
   */
  constructor(
    onResolved: (name: string, addresses: readonly Uint8Array[] | undefined) => void,
    onWarning: (message: string, fields: Record<string, unknown>) => void,
  ) {
    const now = monotonicNow();
    const random = (length: number) => crypto.getRandomValues(new Uint8Array(length));
    this.#onResolved = onResolved;
    this.#dns = new Dns({ random, config: new SystemConfig(FILES, now), now });
    this.#driver = new Driver(this.#dns, () => this.#drain());
    this.#servers = new TunnelDns({
      port: GATEWAY_DNS_PORT,
      handler: (bytes, transport, client) =>
        new Promise((resolve) => {
          this.#driver.input((now) => {
            const number = this.#dns.handleQuery(bytes, transport, client, now);
            if (number === undefined) resolve(undefined);
            else this.#replies.set(number, resolve);
          });
        }),
      onRefused: () => this.counts.add(this.counts.refusedConnections),
      onWarning,
    });
  }

  /** Whom it asks now. */
  get nameservers(): readonly string[] {
    return this.#dns.servers.map(({ ip }) => ip);
  }

  get counts(): DnsCounts {
    return this.#dns.counts;
  }

  /** See {@link TunnelDns.listen}. */
  listen(addresses: readonly string[]): Promise<readonly string[]> {
    return this.#servers.listen(addresses);
  }

  resolve(domain: string): void {
    this.#driver.input((now) => this.#dns.resolve(domain, now));
  }

  close(): void {
    this.#servers.close();
    this.#driver.close();
    for (const resolve of this.#replies.values()) resolve(undefined);
  }

  #drain(): void {
    for (let reply = this.#dns.pollReply(); reply; reply = this.#dns.pollReply()) {
      this.#replies.get(reply.number)?.(reply.bytes);
      this.#replies.delete(reply.number);
    }
    for (let r = this.#dns.pollResolution(); r; r = this.#dns.pollResolution()) {
      this.#onResolved(r.name, r.addresses);
    }
  }
}
