/**
 * What devices log in with: the policy file's tokens, and those made while the portal runs, by a verb or by signing
 * in. Of the latter only the hash is kept. All are looked up by their hash, so that no comparison depends on how much
 * of a guess is right.
 */
import { sha256 } from "@noble/hashes/sha2.js";
import type { Id } from "../../../portal/types.ts";
import {
  type ActorPolicy,
  FAR_FUTURE,
  type GatewayPolicy,
  type PortalPolicy,
  type RelayToken,
} from "../policy/policy.ts";

/** A token that was made while the portal ran. */
export interface TokenRecord {
  /** Names it in lists and verbs. */
  readonly id: Id;
  /** Hex SHA-256 of its text. */
  readonly hash: string;
  readonly role: "gateway" | "client";
  /** Name of the gateway entry, or of the actor. */
  readonly owner: string;
  /** Who signed the actor in; undefined: made by a verb. */
  readonly providerId: string | undefined;
  /** Unix seconds. */
  readonly createdAt: number;
  /** Unix seconds; FAR_FUTURE = never. */
  readonly expiresAt: number;
}

export type TokenOwner =
  & {
    /** Of the record; undefined for a token of the policy file. */
    readonly id: Id | undefined;
    /** Unix seconds at which what was begun with this token ends. */
    readonly expiresAt: number;
    readonly providerId: string | undefined;
  }
  & (
    | { readonly role: "gateway"; readonly entry: GatewayPolicy }
    | { readonly role: "client"; readonly entry: ActorPolicy }
    | { readonly role: "relay"; readonly entry: RelayToken }
  );

const POLICY_TOKEN = { id: undefined, expiresAt: FAR_FUTURE, providerId: undefined };

export class Tokens {
  /** By id. */
  readonly #records = new Map<Id, TokenRecord>();
  /** By hash. */
  readonly #owners = new Map<string, TokenOwner>();
  #gateways: ReadonlyMap<string, GatewayPolicy> = new Map();
  #actors: ReadonlyMap<string, ActorPolicy> = new Map();

  constructor(policy: PortalPolicy, records: Iterable<TokenRecord>) {
    for (const record of records) this.#records.set(record.id, record);
    this.setPolicy(policy);
  }

  /** Those made while the portal ran, also of owners that the policy doesn't have at the moment. */
  get records(): readonly TokenRecord[] {
    return [...this.#records.values()];
  }

  setPolicy(policy: PortalPolicy): void {
    this.#gateways = new Map(policy.gateways.map((entry) => [entry.name, entry]));
    this.#actors = new Map(policy.actors.map((entry) => [entry.name, entry]));
    this.#owners.clear();
    for (const entry of policy.relayTokens) {
      this.#owners.set(hashToken(entry.token), { ...POLICY_TOKEN, role: "relay", entry });
    }
    for (const entry of policy.gateways) {
      if (entry.token === undefined) continue;
      this.#owners.set(hashToken(entry.token), { ...POLICY_TOKEN, role: "gateway", entry });
    }
    for (const entry of policy.actors) {
      if (entry.kind !== "client" || entry.token === undefined) continue;
      const { expiresAt } = entry;
      this.#owners.set(hashToken(entry.token), { ...POLICY_TOKEN, expiresAt, role: "client", entry });
    }
    for (const record of this.#records.values()) this.#own(record);
  }

  add(record: TokenRecord): void {
    this.#records.set(record.id, record);
    this.#own(record);
  }

  /** @returns what was removed */
  remove(id: Id): TokenRecord | undefined {
    const record = this.#records.get(id);
    if (!record) return undefined;
    this.#records.delete(id);
    this.#owners.delete(record.hash);
    return record;
  }

  get(hash: string): TokenOwner | undefined {
    return this.#owners.get(hash);
  }

  gateway(hash: string): GatewayPolicy | undefined {
    const owner = this.#owners.get(hash);
    return owner?.role === "gateway" ? owner.entry : undefined;
  }

  actor(hash: string): ActorPolicy | undefined {
    const owner = this.#owners.get(hash);
    return owner?.role === "client" ? owner.entry : undefined;
  }

  #own({ id, hash, role, owner, providerId, expiresAt }: TokenRecord): void {
    const common = { id, providerId };
    if (role === "gateway") {
      const entry = this.#gateways.get(owner);
      if (entry) this.#owners.set(hash, { ...common, expiresAt, role, entry });
    } else {
      const entry = this.#actors.get(owner);
      if (entry) {
        this.#owners.set(hash, { ...common, expiresAt: Math.min(expiresAt, entry.expiresAt), role, entry });
      }
    }
  }
}

/** Whitespace inside a token means nothing, as devices drop it. */
export function hashToken(token: string): string {
  return sha256(new TextEncoder().encode(token.replace(/\s/g, ""))).toHex();
}
