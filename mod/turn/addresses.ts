/** What one relay has taught us about addresses, and the events that tell it: each only when something changed. */
import type { IpFamily, SocketAddress } from "../packet/address.ts";
import type { AllocationEvent } from "./events.ts";

export class Addresses {
  readonly #hosts = new Map<IpFamily, SocketAddress>();
  readonly #reflexive = new Map<IpFamily, SocketAddress>();
  readonly #relayed = new Map<IpFamily, SocketAddress>();
  readonly #events: AllocationEvent[] = [];

  get hasEvents(): boolean {
    return this.#events.length > 0;
  }

  pollEvent(): AllocationEvent | undefined {
    return this.#events.shift();
  }

  relayed(family: IpFamily): SocketAddress | undefined {
    return this.#relayed.get(family);
  }

  /**
   * A BINDING that we sent from `local` was answered: the relay saw us as `mapped`. True when it had seen us as
   * something else before. Families that don't belong together are a relay's nonsense and ignored.
   */
  noteBinding(socketFamily: IpFamily, local: SocketAddress, mapped: SocketAddress | undefined): boolean {
    if (local.family !== socketFamily) return false;
    if (!this.#hosts.get(socketFamily)?.equals(local)) {
      this.#hosts.set(socketFamily, local);
      this.#events.push({ type: "host", address: local });
    }
    if (mapped?.family !== socketFamily || mapped.port === 0) return false;
    const known = this.#reflexive.get(socketFamily);
    if (known?.equals(mapped)) return false;
    this.#reflexive.set(socketFamily, mapped);
    this.#events.push({ type: "server-reflexive", address: mapped, base: local });
    return known !== undefined;
  }

  /** The relay listens for us at these; the first of each family counts. */
  noteRelayed(granted: readonly SocketAddress[]): void {
    for (const family of [4, 6] as const) {
      const address = granted.find((candidate) => candidate.family === family);
      const known = this.#relayed.get(family);
      if (!address || known?.equals(address)) continue;
      this.#relayed.set(family, address);
      this.#events.push({ type: "relayed", address });
      if (known) this.#events.push({ type: "invalidated", addresses: [known] });
    }
  }

  /** The relay no longer listens for us. */
  forgetRelayed(): void {
    if (this.#relayed.size > 0) {
      this.#events.push({ type: "invalidated", addresses: [...this.#relayed.values()] });
    }
    this.#relayed.clear();
  }
}
