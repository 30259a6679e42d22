/**
 * What devices log in with: the policy file's tokens, and those made while the portal runs, by a verb or by signing
 * in. Of the latter only the hash is kept. All are looked up by their hash, so that no comparison depends on how much
 * of a guess is right.
 */
import { sha256 } from "@noble/hashes/sha2.js";
import type { Id } from "../../../portal/types.ts";
import { type ActorPolicy, FAR_FUTURE, type GatewayPolicy, type PortalPolicy } from "../policy/policy.ts";

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
  );

export class Tokens {
  readonly #records = new Map<string, TokenRecord>();
  readonly #owners = new Map<string, TokenOwner>();

  constructor(policy: PortalPolicy, records: Iterable<TokenRecord>) {
    for (const record of records) this.#records.set(record.hash, record);
    this.setPolicy(policy);
  }

  /** Those made while the portal ran, also of owners that the policy doesn't have at the moment. */
  get records(): readonly TokenRecord[] {
    return [...this.#records.values()];
  }

  setPolicy(policy: PortalPolicy): void {
    this.#owners.clear();
    for (const entry of policy.gateways) {
      if (entry.token === undefined) continue;
      const owner = { id: undefined, expiresAt: FAR_FUTURE, providerId: undefined };
      this.#owners.set(hashToken(entry.token), { ...owner, role: "gateway", entry });
    }
    for (const entry of policy.actors) {
      if (entry.kind !== "client" || entry.token === undefined) continue;
      const owner = { id: undefined, expiresAt: entry.expiresAt, providerId: undefined };
      this.#owners.set(hashToken(entry.token), { ...owner, role: "client", entry });
    }
    for (const record of this.#records.values()) this.#own(policy, record);
  }

  add(policy: PortalPolicy, record: TokenRecord): void {
    this.#records.set(record.hash, record);
    this.#own(policy, record);
  }

  /** @returns what was removed */
  remove(id: Id): TokenRecord | undefined {
    const record = this.records.find((one) => one.id === id);
    if (!record) return undefined;
    this.#records.delete(record.hash);
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

  #own(policy: PortalPolicy, { id, hash, role, owner, providerId, expiresAt }: TokenRecord): void {
    const common = { id, providerId };
    if (role === "gateway") {
      const entry = policy.gateways.find(({ name }) => name === owner);
      if (entry) this.#owners.set(hash, { ...common, expiresAt, role, entry });
    } else {
      const entry = policy.actors.find(({ name }) => name === owner);
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
