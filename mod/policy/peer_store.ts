/** Peers by client id (packets from the network) and by exact tunnel address (packets from TUN). */
import { Peer } from "./peer.ts";
import { rangeKey4, rangeKey6 } from "./ranges.ts";
import type { Client, Id } from "./types.ts";

export class PeerStore {
  readonly #byId = new Map<Id, Peer>();
  readonly #byAddress = new Map<number, Peer>();
  readonly #freeSlots: number[] = [];
  #slots = 0;

  get size(): number {
    return this.#byId.size;
  }

  all(): IterableIterator<Peer> {
    return this.#byId.values();
  }

  byId(id: Id): Peer | undefined {
    return this.#byId.get(id);
  }

  /** @param key of a tunnel address, see {@link rangeKey4}. */
  byAddress(key: number): Peer | undefined {
    return this.#byAddress.get(key);
  }

  /** The peers other than `client.id` that hold one of its addresses. */
  rivalsOf(client: Client): Peer[] {
    const rivals = this.#keys(client).map((key) => this.#byAddress.get(key));
    return rivals.filter((peer, i): peer is Peer =>
      peer !== undefined && peer.clientId !== client.id && rivals.indexOf(peer) === i
    );
  }

  /** A new peer. Its addresses must be free and in the tunnel ranges. */
  add(client: Client, now: number): Peer {
    const slot = this.#freeSlots.pop() ?? this.#slots++;
    const peer = new Peer(slot, client.id, client, now);
    this.#byId.set(client.id, peer);
    for (const key of this.#keys(peer)) this.#byAddress.set(key, peer);
    return peer;
  }

  /** Gives `peer` other addresses and nothing else; it keeps its slot and its connection. */
  readdress(peer: Peer, client: Client): void {
    for (const key of this.#keys(peer)) this.#byAddress.delete(key);
    peer.reset(client);
    for (const key of this.#keys(peer)) this.#byAddress.set(key, peer);
  }

  remove(peer: Peer): void {
    this.#byId.delete(peer.clientId);
    for (const key of this.#keys(peer)) this.#byAddress.delete(key);
    this.#freeSlots.push(peer.slot);
    peer.removed = true;
  }

  #keys({ ipv4, ipv6 }: { readonly ipv4: Uint8Array; readonly ipv6: Uint8Array }): [number, number] {
    const last = (ip: Uint8Array, at: number) => ip[at]! << 16 | ip[at + 1]! << 8 | ip[at + 2]!;
    return [rangeKey4(last(ipv4, 1)), rangeKey6(last(ipv6, 13))];
  }
}
