/**
 * Finds the connection that a message belongs to (spec snownet §6.1): by peer id for the portal, by the 24-bit base of
 * a WireGuard receiver index, by the static key of an initiation's sender, by the user name fragment of a STUN request
 * and by the transaction id of a STUN answer. Source addresses are never used: behind NATs they change owners.
 */
import {
  fragmentHashOf,
  hashFragment,
  isStunIndication,
  isStunRequest,
  type StunMessage,
  transactionKey,
} from "../stun/mod.ts";
import type { Connection } from "./connection.ts";

/** How long an unanswered STUN request is remembered for finding its answer's connection, ms. */
const TRANSACTION_TTL = 10_000;

export class Directory {
  readonly #byId = new Map<string, Connection>();
  readonly #byIndex = new Map<number, Connection>();
  readonly #byKey = new Map<string, Connection>();
  /** Fragments of four characters are not unique: several connections may share one. */
  readonly #byUfrag = new Map<string, Set<Connection>>();
  /** How many fragments have this hash: what has none of them belongs to nobody, which is told without a string. */
  readonly #fragmentHashes = new Map<number, number>();
  readonly #transactions = new Map<string, { readonly connection: Connection; readonly expires: number }>();

  add(connection: Connection): void {
    const { peerId, publicKey, local } = connection.request;
    this.#byId.set(peerId, connection);
    this.#byIndex.set(connection.tunnel.index, connection);
    this.#byKey.set(publicKey.toHex(), connection);
    const sharing = this.#byUfrag.get(local.ufrag) ?? new Set();
    if (sharing.size === 0) this.#countFragment(local.ufrag, 1);
    this.#byUfrag.set(local.ufrag, sharing.add(connection));
  }

  remove(connection: Connection): void {
    const { peerId, publicKey, local } = connection.request;
    this.#byId.delete(peerId);
    this.#byIndex.delete(connection.tunnel.index);
    if (this.#byKey.get(publicKey.toHex()) === connection) this.#byKey.delete(publicKey.toHex());
    const sharing = this.#byUfrag.get(local.ufrag);
    sharing?.delete(connection);
    if (sharing?.size === 0 && this.#byUfrag.delete(local.ufrag)) this.#countFragment(local.ufrag, -1);
  }

  get(peerId: string): Connection | undefined {
    return this.#byId.get(peerId);
  }

  all(): IterableIterator<Connection> {
    return this.#byId.values();
  }

  /** What our user names begin with, up to the colon; each once. */
  fragments(): IterableIterator<string> {
    return this.#byUfrag.keys();
  }

  byIndex(base: number): Connection | undefined {
    return this.#byIndex.get(base);
  }

  byPublicKey(key: Uint8Array): Connection | undefined {
    return this.#byKey.get(key.toHex());
  }

  /**
   * False when the STUN message in bytes[offset, offset + length) belongs to no connection, whatever else it says: a
   * request for an unknown fragment, an answer to nothing that was asked, an indication.
   */
  mayKnowStun(bytes: Uint8Array, offset: number, length: number): boolean {
    if (isStunRequest(bytes, offset)) return this.#fragmentHashes.has(fragmentHashOf(bytes, offset, length));
    return !isStunIndication(bytes, offset) && this.#asker(transactionKey(bytes, offset + 8)) !== undefined;
  }

  /** The connection whose agent accepts the message: integrity is verified. */
  byStun(message: StunMessage): Connection | undefined {
    if (message.class === "request") {
      for (const connection of this.#byUfrag.get(message.username?.split(":", 1)[0] ?? "") ?? []) {
        if (connection.agent.accepts(message)) return connection;
      }
      return undefined;
    }
    const connection = this.#asker(transactionKey(message.transactionId));
    return connection?.agent.accepts(message) ? connection : undefined;
  }

  noteTransaction(key: string, connection: Connection, now: number): void {
    this.#transactions.set(key, { connection, expires: now + TRANSACTION_TTL });
  }

  /** Forgets transactions that nobody answers any more. */
  sweep(now: number): void {
    // Insertion order is expiry order.
    for (const [key, { expires }] of this.#transactions) {
      if (expires > now) break;
      this.#transactions.delete(key);
    }
  }

  /** Whose transaction this is. Those of connections that are gone lie there until they expire, and are nobody's. */
  #asker(key: string): Connection | undefined {
    const connection = this.#transactions.get(key)?.connection;
    return connection && this.#byId.get(connection.peerId) === connection ? connection : undefined;
  }

  #countFragment(ufrag: string, change: 1 | -1): void {
    const hash = hashFragment(ufrag), count = (this.#fragmentHashes.get(hash) ?? 0) + change;
    if (count > 0) this.#fragmentHashes.set(hash, count);
    else this.#fragmentHashes.delete(hash);
  }
}
