/** How many TCP connections a DNS server keeps open: all together, and of one client. */

const MAX_CONNECTIONS = 512;
const MAX_PER_CLIENT = 32;

export class ConnectionLimits {
  readonly #open = new Map<string, number>();
  #total = 0;

  /** True: the connection may be served; {@link leave} must follow. */
  enter(client: string): boolean {
    const own = this.#open.get(client) ?? 0;
    if (this.#total >= MAX_CONNECTIONS || own >= MAX_PER_CLIENT) return false;
    this.#open.set(client, own + 1);
    this.#total++;
    return true;
  }

  leave(client: string): void {
    const left = this.#open.get(client)! - 1;
    if (left === 0) this.#open.delete(client);
    else this.#open.set(client, left);
    this.#total--;
  }
}
